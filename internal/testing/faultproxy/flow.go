package faultproxy

import (
	"net"
	"sync"
	"sync/atomic"
)

// flow is a connection of a client. A dead flow stays open, but nothing more comes
// through in either direction.
type flow struct {
	net.Conn
	number int
	dead   atomic.Bool
	owner  *Flows
}

// Read drops the bytes of a dead connection, so that the client's writes still
// succeed, and returns only its end.
func (f *flow) Read(b []byte) (int, error) {
	for {
		n, err := f.Conn.Read(b)
		if !f.dead.Load() || err != nil {
			return n, err
		}
	}
}

func (f *flow) Write(b []byte) (int, error) {
	if f.dead.Load() {
		return len(b), nil
	}
	return f.Conn.Write(b)
}

func (f *flow) Close() error {
	f.owner.remove(f)
	if f.dead.Load() {
		f.reset() // no FIN: a dead connection does not end in an orderly way
		return nil
	}
	return f.Conn.Close()
}

// reset ends the connection with an RST.
func (f *flow) reset() {
	f.owner.remove(f)
	if tcp, ok := f.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = f.Conn.Close()
}

// Flows are the connections of clients to a proxy. Several goroutines may use its
// methods.
type Flows struct {
	listener net.Listener

	mu      sync.Mutex
	open    map[*flow]bool
	count   int
	silence int // how many of the next connections are dead from the beginning
	resets  int // how many connections after those are reset at once
}

func listen() (*Flows, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &Flows{listener: listener, open: map[*flow]bool{}}, nil
}

// acceptor is the listener of a server whose connections are flows.
type acceptor struct{ *Flows }

func (l acceptor) Accept() (net.Conn, error) { return l.next() }
func (l acceptor) Addr() net.Addr            { return l.listener.Addr() }
func (l acceptor) Close() error              { return l.listener.Close() }

func (l *Flows) next() (*flow, error) {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return nil, err
		}
		f, usable := l.admit(conn)
		if usable {
			return f, nil
		}
		f.reset()
	}
}

func (l *Flows) admit(conn net.Conn) (f *flow, usable bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	f = &flow{Conn: conn, owner: l, number: l.count}
	l.open[f] = true
	switch {
	case l.silence > 0:
		l.silence--
		f.dead.Store(true)
	case l.resets > 0:
		l.resets--
		return f, false
	}
	return f, true
}

func (l *Flows) remove(f *flow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, f)
}

func (l *Flows) all() []*flow {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*flow, 0, len(l.open))
	for f := range l.open {
		all = append(all, f)
	}
	return all
}

// Drop makes all open connections go dead, as Silence does, and returns their number.
func (l *Flows) Drop() int {
	all := l.all()
	for _, f := range all {
		f.dead.Store(true)
	}
	return len(all)
}

// Reset resets all open connections, and returns their number.
func (l *Flows) Reset() int {
	all := l.all()
	for _, f := range all {
		f.reset()
	}
	return len(all)
}

// SilenceNext makes the next n connections dead from the beginning: they are accepted,
// but nothing ever answers, not even the TLS handshake.
func (l *Flows) SilenceNext(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silence = n
}

// ResetNext resets the next n connections as soon as they are accepted. Those of
// SilenceNext come first.
func (l *Flows) ResetNext(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resets = n
}

// Connections returns how many connections clients have opened so far.
func (l *Flows) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// Address returns the host and port that the proxy listens on.
func (l *Flows) Address() string { return l.listener.Addr().String() }
