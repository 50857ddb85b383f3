package faultproxy_test

import (
	"errors"
	"net/http"
	"slices"
	"syscall"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
)

func TestScript(t *testing.T) {
	s := newServer(t)
	script := &faultproxy.Script{Inner: s.Client().Transport, Call: func(r *http.Request) string { return r.Method }}
	c := &http.Client{Transport: script}
	var others []int
	script.Begin(map[string][]faultproxy.Step{
		"POST": {
			{Fault: faultproxy.ResetBefore()},
			{Fault: faultproxy.ResetAfter()},
			{},
			{Fault: faultproxy.Answer(403, "7").WithBody("text/plain", "no")},
			{Fault: faultproxy.AnswerAfter(500), Before: func() { others = append(others, len(s.requests())) }},
		},
		"PUT": {{}},
	})
	reset := func(r result) bool { return errors.Is(r.err, syscall.ECONNRESET) }
	for i, want := range []func(result) bool{
		reset, reset,
		func(r result) bool { return r.body == answerBody },
		func(r result) bool { return r.status == 403 && r.header.Get("Retry-After") == "7" && r.body == "no" },
		func(r result) bool { return r.status == 500 && r.body == "" },
		func(r result) bool { return r.body == answerBody },
	} {
		if got := ask(t.Context(), c, http.MethodPost, s.URL, "x"); !want(got) {
			t.Errorf("request %d: %+v", i, got)
		}
	}
	if n := len(s.requests()); n != 4 || !slices.Equal(others, []int{2}) {
		t.Errorf("the server saw %d requests, and %d before the others", n, others)
	}
	if calls, left := script.Calls(); len(calls) != 6 || !slices.Equal(left, []string{"PUT"}) {
		t.Errorf("the calls are %q, and of %q there are steps left", calls, left)
	}
	script.Begin(nil)
	if calls, left := script.Calls(); len(calls)+len(left) != 0 {
		t.Errorf("%q, %q", calls, left)
	}
}
