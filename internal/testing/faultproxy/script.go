package faultproxy

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Script is a transport that says of each request what becomes of it, and what
// others do before it arrives: for cases in which it matters between which two
// calls something happens. It needs no proxy.
type Script struct {
	Inner http.RoundTripper
	Call  func(*http.Request) string // what a test calls a request, such as "POST data"

	mu    sync.Mutex
	steps map[string][]Step
	calls []string
}

// Step is what becomes of one request. The zero value lets it through.
type Step struct {
	Before func() // what others do before it arrives
	Fault  Fault  // an answer of its own, before or after the server's, or a reset
}

// Begin forgets all calls. The next requests of each name meet the steps, one
// after the other; those that come later are let through.
func (s *Script) Begin(steps map[string][]Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps, s.calls = make(map[string][]Step), nil
	for call, of := range steps {
		s.steps[call] = slices.Clone(of)
	}
}

// Calls returns the names of the requests since Begin, in their order, and those
// for which there are steps left.
func (s *Script) Calls() (made, left []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for call, of := range s.steps {
		if len(of) > 0 {
			left = append(left, call)
		}
	}
	return slices.Clone(s.calls), left
}

func (s *Script) next(r *http.Request) Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := s.Call(r)
	s.calls = append(s.calls, call)
	of := s.steps[call]
	if len(of) == 0 {
		return Step{}
	}
	s.steps[call] = of[1:]
	return of[0]
}

// RoundTrip implements [http.RoundTripper].
func (s *Script) RoundTrip(r *http.Request) (*http.Response, error) {
	step := s.next(r)
	if step.Before != nil {
		step.Before()
	}
	switch step.Fault.Kind {
	case KindAnswer, KindResetBefore:
		if r.Body != nil {
			r.Body.Close()
		}
		return step.Fault.instead(r)
	}
	response, err := s.Inner.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch step.Fault.Kind {
	case KindAnswerAfter, KindResetAfter:
		response.Body.Close()
		return step.Fault.instead(r)
	}
	return response, nil
}

// instead is what the client sees instead of the server's answer.
func (f Fault) instead(r *http.Request) (*http.Response, error) {
	if f.Status == 0 {
		return nil, syscall.ECONNRESET
	}
	header := f.Header.Clone()
	return &http.Response{Status: http.StatusText(f.Status), StatusCode: f.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(strings.NewReader(f.Body)), ContentLength: int64(len(f.Body)), Request: r}, nil
}
