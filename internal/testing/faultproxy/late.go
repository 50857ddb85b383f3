package faultproxy

import (
	"context"
	"sync"
)

// held are the requests of Late(0) that wait for Release.
type held struct {
	mu      sync.Mutex
	waiting []*heldRequest // in the order of arrival
}

type heldRequest struct {
	release   chan struct{} // closed when it must be delivered
	delivered chan struct{} // closed when the server has answered, or never will
}

func (h *held) add() *heldRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := &heldRequest{release: make(chan struct{}), delivered: make(chan struct{})}
	h.waiting = append(h.waiting, one)
	return one
}

func (h *held) take() []*heldRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.waiting
	h.waiting = nil
	return taken
}

// Held returns how many requests wait for Release.
func (p *Proxy) Held() int {
	p.held.mu.Lock()
	defer p.held.mu.Unlock()
	return len(p.held.waiting)
}

// Release delivers all held requests to the server, one after another in the order of
// their arrival, and waits until the server has answered them. If a client still waits,
// its connection ends. Release returns their number.
func (p *Proxy) Release() int {
	taken := p.held.take()
	for _, one := range taken {
		close(one.release)
		<-one.delivered
	}
	return len(taken)
}

// late delivers the request after the client has given up.
func (x *exchange) late() {
	if x.fault.Delay > 0 {
		select {
		case <-x.r.Context().Done():
		case <-x.p.stop.Done():
			x.abort()
		}
		if x.p.sleep(context.Background(), x.fault.Delay) {
			x.ask()
		}
		x.abort()
	}
	one := x.p.held.add()
	defer close(one.delivered)
	select {
	case <-one.release:
		x.ask()
	case <-x.p.stop.Done():
	}
	x.abort()
}
