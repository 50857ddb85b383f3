//go:build linux || darwin

package agent

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/seal"
	"github.com/nebula-credential/nebula/internal/unixsocket"
)

const (
	maxConnections = 64
	idleTimeout    = 10 * time.Second // for a request, and for taking its response
	sweepInterval  = 10 * time.Second // in which keys are forgotten that nobody asks for
)

// Agent keeps data keys and gives them to processes of the same user.
type Agent struct {
	socket *unixsocket.Listener
	keys   *table
}

// Listen makes the socket at a path, with the directories above it, and returns
// an agent that keeps keys for at most ttl. Errors: ErrAlreadyExists if an agent
// listens there, ErrInvalidConfig if the directory is open to others or the path
// is too long, ErrPermissionDenied if the socket cannot be made.
func Listen(ctx context.Context, path string, ttl time.Duration) (*Agent, error) {
	if err := checkStart(); err != nil {
		return nil, err
	}
	s, err := use().Listen(ctx, path)
	if err != nil {
		return nil, err
	}
	return &Agent{socket: s, keys: newTable(ttl, clock())}, nil
}

// checkStart refuses arguments that cannot work.
func checkStart() error {
	if unixsocket.Inherited() {
		return &nebula.Error{Kind: nebula.ErrNotSupported, Op: opName,
			Message: "the agent was started with a socket that another process made, whose user its clients would see",
			Hint:    "have the service start the agent itself, without a socket unit"}
	}
	return nil
}

// Socket returns the path of the socket.
func (a *Agent) Socket() string { return a.socket.Path() }

// Serve answers until the context ends or the socket fails, and then forgets all
// keys and removes the socket. It is called once.
func (a *Agent) Serve(ctx context.Context) error {
	var open sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		_ = a.socket.Close() // or waits for it
		open.Wait()
		a.keys.lock()
	}()
	context.AfterFunc(ctx, a.Close)
	go a.sweep(ctx)
	room := make(chan struct{}, maxConnections)
	for {
		conn, err := a.socket.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return use().Failed("the agent cannot go on", a.socket.Path(), err)
		}
		room <- struct{}{}
		open.Go(func() {
			defer func() { <-room }()
			a.serve(ctx, conn)
		})
	}
}

// Close removes the socket of an agent that does not serve.
func (a *Agent) Close() { _ = a.socket.Close() }

func (a *Agent) sweep(ctx context.Context) {
	ticker := time.NewTicker(min(sweepInterval, max(a.keys.ttl/4, time.Millisecond)))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			a.keys.expire()
		case <-ctx.Done():
			return
		}
	}
}

// serve answers one peer, who is the same user.
func (a *Agent) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	for greeted := false; ; {
		_ = conn.SetDeadline(time.Now().Add(idleTimeout))
		var q request
		if err := read(conn, &q); err != nil {
			return
		}
		if q.Op != opHello && !greeted {
			_ = write(conn, response{Error: "hello comes first"})
			return
		}
		r := a.answer(&q)
		greeted = greeted || q.Op == opHello && r.Error == ""
		err := write(conn, r)
		clear(q.Key)
		clear(r.Key)
		if err != nil || r.Error != "" {
			return
		}
	}
}

func (a *Agent) answer(q *request) response {
	switch q.Op {
	case opHello:
		if q.Version != protocolVersion {
			return response{Error: "another version of the agent is needed", Version: protocolVersion}
		}
		return response{Version: protocolVersion}
	case opGet:
		k, found := a.keys.get(q.Address)
		if !found {
			return response{}
		}
		defer clear(k.secret[:])
		return response{Key: append([]byte(nil), k.secret[:]...), Pinned: k.pinned}
	case opAdd:
		if err := checkAdd(q); err != nil {
			return response{Error: err.Error()}
		}
		a.keys.add(q.Address, q.Key, q.Pinned, q.TTL)
		return response{}
	case opList:
		return response{Keys: a.keys.list()}
	case opLock:
		return response{Forgotten: a.keys.lock()}
	}
	return response{Error: "unknown operation"}
}

const maxAddress = 4096 // bytes

func checkAdd(q *request) error {
	switch {
	case len(q.Key) != seal.KeySize:
		return errors.New("that is no data key")
	case q.Address == "" || len(q.Address) > maxAddress || !utf8.ValidString(q.Address):
		return errors.New("that is no address")
	case q.TTL < 0:
		return errors.New("the time to live is negative")
	}
	return nil
}
