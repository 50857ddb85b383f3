package kubernetes_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/kubernetes"
)

// scene is a credential that this process and another one change at the same time.
// A script says what becomes of this process's requests, and what the other one does
// before each of them.
type scene struct {
	*testing.T
	server *livetest.KubernetesServer
	config kubernetes.Config
	script *faultproxy.Script

	ours, theirs nebula.Provider
	name         nebula.Name
	written      []nebula.Version // before the change, and meanwhile by the other one
}

func newScene(t *testing.T, s *livetest.KubernetesServer, namespace string) *scene {
	t.Helper()
	x := &scene{T: t, server: s, config: liveConfig(t, s, namespace)}
	x.config.SecretPrefix = uniquePrefix()
	x.theirs = open(t, x.config)
	x.script = &faultproxy.Script{Inner: transport(t, s), Call: func(r *http.Request) string { return r.Method }}
	ours := x.config
	ours.Transport = x.script
	ours.Retry = provider.RetryPolicy{MaxRetries: 2, BaseDelayMS: 10, MaxDelayMS: 11, Multiplier: 1}
	x.ours = open(t, ours)
	x.name, _ = record(t, "x", "", nil)
	return x
}

// What the other process does.

// write writes whatever is there, so that it does not name the records before.
func (x *scene) write() { x.store(nil, nebula.StoreOptions{}) }

func (x *scene) writeTagged() { x.store(map[string]string{"old": "1"}, nebula.StoreOptions{}) }

// writeOver writes over what it has read, and so names the records before.
func (x *scene) writeOver() {
	x.Helper()
	got, err := x.theirs.Retrieve(x.Context(), x.name)
	if err != nil {
		x.Error(err)
		return
	}
	x.store(nil, nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version), Previous: got.Envelope})
}

func (x *scene) store(tags map[string]string, o nebula.StoreOptions) {
	x.Helper()
	x.storeBy(x.theirs, tags, o)
}

func (x *scene) storeBy(p nebula.Provider, tags map[string]string, o nebula.StoreOptions) {
	x.Helper()
	_, e := record(x, "x", "v", tags)
	v, err := p.Store(x.Context(), x.name, e, o)
	if err != nil {
		x.Error(err)
	}
	x.written = append(x.written, v)
}

func (x *scene) remove() {
	x.Helper()
	if existed, err := x.theirs.Delete(x.Context(), x.name, nebula.Precondition{}); err != nil || !existed {
		x.Errorf("delete: %v, %v", existed, err)
	}
}

// unmark takes our marks away, unlabel the labels alone.
func (x *scene) unmark()  { x.change(map[string]any{"annotations": nil, "labels": nil}) }
func (x *scene) unlabel() { x.change(map[string]any{"labels": nil}) }

// hold deletes the Secret, which a finalizer keeps until the end of the test.
func (x *scene) hold() {
	x.Helper()
	x.change(map[string]any{"finalizers": []any{"example.com/hold"}})
	x.remove()
	x.Cleanup(func() { x.change(map[string]any{"finalizers": nil}) })
}

func (x *scene) change(metadata map[string]any) {
	x.Helper()
	path := "api/v1/namespaces/" + x.config.Namespace + "/secrets/" + kubernetes.SecretName(x.config, x.name)
	x.server.API(x, http.MethodPatch, path, map[string]any{"metadata": metadata})
}

// read makes this process see the current version.
func (x *scene) read() {
	x.Helper()
	if _, err := x.ours.Retrieve(x.Context(), x.name); err != nil {
		x.Fatal(err)
	}
}

func (x *scene) writeOurs() { x.storeBy(x.ours, nil, nebula.StoreOptions{}) }

// The conditions of a change.

func (x *scene) absent() nebula.Precondition { return nebula.IfAbsent() }
func (x *scene) first() nebula.Precondition  { return nebula.IfVersion(x.written[0]) }
func (x *scene) last() nebula.Precondition   { return nebula.IfVersion(x.written[len(x.written)-1]) }

// The acts of a scene, for short.
var (
	theyWrite, theyWriteOver, theyWriteTags = (*scene).write, (*scene).writeOver, (*scene).writeTagged
	theyDelete, theyHold                    = (*scene).remove, (*scene).hold
	theyUnmark, theyUnlabel                 = (*scene).unmark, (*scene).unlabel
	weRead, weWrite                         = (*scene).read, (*scene).writeOurs
	ifAbsent, overFirst, overLast           = (*scene).absent, (*scene).first, (*scene).last
)

type (
	acts  = []func(*scene)
	steps = map[string][]step
)

// step is one of the script.
type step struct {
	before func(*scene)
	fault  faultproxy.Fault
}

// What becomes of a request.
var (
	lost       = faultproxy.Answer(http.StatusBadGateway, "") // it does not arrive
	unanswered = faultproxy.ResetAfter()                      // it is carried out, the answer is lost
	denied     = faultproxy.Answer(http.StatusForbidden, "")
	raced      = faultproxy.Answer(http.StatusConflict, "").WithBody("application/json", `{"kind":"Status","reason":"Conflict","details":{"kind":"secrets"}}`)
	refused    = faultproxy.Answer(http.StatusUnprocessableEntity, "").WithBody("application/json", `{"kind":"Status","reason":"Invalid"}`)
)

// play makes a change, and compares its calls with those that are wanted.
func (x *scene) play(script steps, change func() error, calls string) error {
	x.Helper()
	next := make(map[string][]faultproxy.Step)
	for call, of := range script {
		for _, s := range of {
			one := faultproxy.Step{Fault: s.fault}
			if s.before != nil {
				one.Before = func() { s.before(x) }
			}
			next[call] = append(next[call], one)
		}
	}
	x.script.Begin(next)
	err := change()
	made, left := x.script.Calls()
	if got := strings.Join(made, " "); got != calls || len(left) != 0 {
		x.Errorf("the calls are %s, want %s; steps are left of %q", got, calls, left)
	}
	return err
}

// there returns the record that is stored, "" if there is none.
func (x *scene) there() (value string, v nebula.Version) {
	x.Helper()
	got, err := x.theirs.Retrieve(x.Context(), x.name)
	if nebula.KindOf(err) == nebula.ErrNotFound {
		return "", ""
	}
	if err != nil {
		x.Fatal(err)
	}
	return string(got.Envelope.Bytes()), got.Version
}
