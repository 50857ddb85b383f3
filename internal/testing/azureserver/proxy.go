package azureserver

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// servePlain serves the proxy and the endpoints of managed identities.
func (s *Server) servePlain(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		s.connect(w, r)
		return
	}
	x := s.begin(w, r, "")
	defer x.end()
	s.logins.serveIdentity(x)
}

// connect opens a tunnel to the server itself for every host that it knows.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil || port != "443" || !s.known(host) {
		http.Error(w, "this proxy leads to its own vaults and login only", http.StatusForbidden)
		return
	}
	inner, err := net.Dial("tcp", s.secureAddress)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	outer, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = inner.Close()
		return
	}
	_, _ = io.WriteString(outer, "HTTP/1.1 200 Connection established\r\n\r\n")
	s.tunnels.join(inner, outer, buffered)
}

// tunnels are the connections that run through the proxy.
type tunnels struct {
	mu      sync.Mutex
	open    map[net.Conn]bool
	closed  bool
	running sync.WaitGroup
}

// join copies in both directions until one end closes. buffered holds what the client
// sent ahead.
func (t *tunnels) join(inner, outer net.Conn, buffered io.Reader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_, _ = inner.Close(), outer.Close()
		return
	}
	if t.open == nil {
		t.open = map[net.Conn]bool{}
	}
	t.open[inner], t.open[outer] = true, true
	carry := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from)
		t.remove(inner, outer)
	}
	t.running.Go(func() { carry(inner, buffered) })
	t.running.Go(func() { carry(outer, inner) })
}

func (t *tunnels) remove(conns ...net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(t.open, c)
	}
}

// close cuts all tunnels and waits until they have ended.
func (t *tunnels) close() {
	t.mu.Lock()
	t.closed = true
	for c := range t.open {
		_ = c.Close()
	}
	t.mu.Unlock()
	t.running.Wait()
}
