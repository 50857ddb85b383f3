//go:build linux || darwin

package agent

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nebula-credential/nebula/internal/seal"
)

const (
	maxConnections = 64
	idleTimeout    = 10 * time.Second // for a request, and for taking its response
	sweepInterval  = 10 * time.Second // in which keys are forgotten that nobody asks for
)

// Agent keeps data keys and gives them to processes of the same user.
type Agent struct {
	socket *socket
	keys   *table
	uid    int
	peer   func(*net.UnixConn) (int, error)
}

// Listen makes the socket at a path, with the directories above it, and returns
// an agent that keeps keys for at most ttl. Errors: ErrAlreadyExists if an agent
// listens there, ErrInvalidConfig if the directory is open to others or the path
// is too long, ErrPermissionDenied if the socket cannot be made.
func Listen(ctx context.Context, path string, ttl time.Duration) (*Agent, error) {
	s, err := listen(ctx, path)
	if err != nil {
		return nil, err
	}
	return &Agent{socket: s, keys: newTable(ttl, clock()), uid: userID(), peer: peerID}, nil
}

// Socket returns the path of the socket.
func (a *Agent) Socket() string { return a.socket.path }

// Serve answers until the context ends or the socket fails, and then forgets all
// keys and removes the socket. It is called once.
func (a *Agent) Serve(ctx context.Context) error {
	var open sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		a.socket.close() // or waits for it
		open.Wait()
		a.keys.lock()
	}()
	context.AfterFunc(ctx, a.socket.close)
	go a.sweep(ctx)
	room := make(chan struct{}, maxConnections)
	for {
		conn, err := a.socket.listener.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return failed("the agent cannot go on", a.socket.path, err)
		}
		room <- struct{}{}
		open.Go(func() {
			defer func() { <-room }()
			a.serve(ctx, conn)
		})
	}
}

// Close removes the socket of an agent that does not serve.
func (a *Agent) Close() { a.socket.close() }

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

// serve answers one peer, who has to be the same user. Another one learns nothing.
func (a *Agent) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if uid, err := a.peer(conn); err != nil || uid != a.uid {
		return
	}
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
