package vault_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

// scene is a credential that this process and another one change at the same time.
// A script says what becomes of this process's requests, and what the other one does
// before each of them.
type scene struct {
	*testing.T
	server *livetest.VaultServer
	config vault.Config
	script *faultproxy.Script

	ours, theirs nebula.Provider
	name         nebula.Name
	written      []nebula.Version // by the other one, the first one first
}

func newScene(t *testing.T, s *livetest.VaultServer, mount string) *scene {
	t.Helper()
	x := &scene{T: t, server: s, config: liveConfig(s, mount)}
	x.theirs = open(t, x.config, provider.OneShot())
	x.script = &faultproxy.Script{Inner: newTransport(t), Call: func(r *http.Request) string {
		tree, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"+mount+"/"), "/")
		return r.Method + " " + tree
	}}
	ours := x.config
	ours.Transport = x.script
	ours.Retry = provider.RetryPolicy{MaxRetries: 2, BaseDelayMS: 10, MaxDelayMS: 11, Multiplier: 1}
	x.ours = open(t, ours, provider.OneShot())
	x.name, _ = record(t, "x", "", nil)
	return x
}

// What the other process does.

func (x *scene) write() {
	x.Helper()
	_, e := record(x, "x", "theirs", nil)
	v, err := x.theirs.Store(x.Context(), x.name, e, nebula.StoreOptions{})
	if err != nil {
		x.Error(err)
	}
	x.written = append(x.written, v)
}

func (x *scene) writeTwice() { x.write(); x.write() }
func (x *scene) remove()     { remove(x, x.theirs, x.name) }
func (x *scene) purge()      { purge(x, x.theirs, x.name) }
func (x *scene) destroy() {
	x.Helper()
	x.server.API(x, http.MethodPut, x.config.MountPath+"/destroy/"+x.config.PathPrefix+"/x", map[string]any{"versions": []int{1}})
}
func (x *scene) replace() { x.purge(); x.write() }

// read makes this process see the current version.
func (x *scene) read() {
	x.Helper()
	if _, err := x.ours.Retrieve(x.Context(), x.name); err != nil {
		x.Fatal(err)
	}
}

func (x *scene) removeOurs() { remove(x, x.ours, x.name) }
func (x *scene) purgeOurs()  { purge(x, x.ours, x.name) }

// learnNoPatch makes this process learn that it may not patch.
func (x *scene) learnNoPatch() {
	x.Helper()
	other, e := record(x, "other", "v", nil)
	v, err := x.theirs.Store(x.Context(), other, e, nebula.StoreOptions{})
	if err != nil {
		x.Fatal(err)
	}
	x.script.Begin(map[string][]faultproxy.Step{"PATCH data": {{Fault: denied}}})
	if _, err := x.ours.Store(x.Context(), other, e, nebula.StoreOptions{Precondition: nebula.IfVersion(v)}); err != nil {
		x.Fatal(err)
	}
}

// The conditions of a change.

func (x *scene) absent() nebula.Precondition { return nebula.IfAbsent() }
func (x *scene) first() nebula.Precondition  { return nebula.IfVersion(x.written[0]) }
func (x *scene) last() nebula.Precondition   { return nebula.IfVersion(x.written[len(x.written)-1]) }

// step is one of the script.
type step struct {
	before func(*scene)
	fault  faultproxy.Fault
}

// What becomes of a request.
var (
	lost       = faultproxy.Answer(http.StatusBadGateway, "")           // it does not arrive
	unanswered = faultproxy.ResetAfter()                                // it is carried out, the answer is lost
	failed     = faultproxy.AnswerAfter(http.StatusInternalServerError) // the same, with an answer
	denied     = vaultSays(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	invalid    = vaultSays(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
)

// play makes a change, and compares its calls with those that are wanted.
func (x *scene) play(script map[string][]step, change func() error, calls string) error {
	x.Helper()
	steps := make(map[string][]faultproxy.Step)
	for call, of := range script {
		for _, s := range of {
			next := faultproxy.Step{Fault: s.fault}
			if s.before != nil {
				next.Before = func() { s.before(x) }
			}
			steps[call] = append(steps[call], next)
		}
	}
	x.script.Begin(steps)
	err := change()
	made, left := x.script.Calls()
	if got := strings.Join(made, ", "); got != calls || len(left) != 0 {
		x.Errorf("the calls are\n%s, want\n%s; steps are left of %q", got, calls, left)
	}
	return err
}

// versions returns how many Vault keeps, deleted ones too.
func (x *scene) versions() int {
	x.Helper()
	m := x.server.API(x, http.MethodGet, x.config.MountPath+"/metadata/"+x.config.PathPrefix+"/x", nil)
	versions, _ := m["versions"].(map[string]any)
	return len(versions)
}

// reads reports whether the version of that number can be read.
func (x *scene) reads(number int) bool {
	x.Helper()
	path := fmt.Sprintf("%s/v1/%s/data/%s/x?version=%d", x.config.Address, x.config.MountPath, x.config.PathPrefix, number)
	request, err := http.NewRequestWithContext(x.Context(), http.MethodGet, path, nil)
	if err != nil {
		x.Fatal(err)
	}
	request.Header.Set("X-Vault-Token", x.server.RootToken)
	response, err := x.script.Inner.RoundTrip(request)
	if err != nil {
		x.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
