package takeover_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/takeover"
)

// newStore returns a store and a function that initialises it.
func newStore(t *testing.T) (s *nebula.Store, initialise func()) {
	t.Helper()
	p, err := memory.New(memory.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	key := &nebula.KeyFile{Path: t.TempDir() + "/key"}
	if err := nebula.CreateKeyFile(key.Path); err != nil {
		t.Fatal(err)
	}
	if s, err = nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{key}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, func() {
		if _, err := s.Init(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
}

func secrets(pairs ...string) []takeover.Secret {
	var all []takeover.Secret
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, takeover.Secret{Name: pairs[i], Value: []byte(pairs[i+1])})
	}
	return all
}

// Characters that an id cannot have become _. If a name makes no id, or the id of another
// name, one error lists all such names.
func TestNames(t *testing.T) {
	for name, want := range map[string]nebula.ID{
		"a": "a", "my.key": "my_key", "prod/db/password": "prod_db_password", "é x": "__x", "-a": "_a", "a-b": "a-b", "DB": "DB", "": "", "con": "",
		strings.Repeat("x", 129): "", "\x1b[2J": "__2J",
	} {
		p := takeover.NewPlan(secrets(name, "secret"), takeover.Naming{})
		err := p.NameError()
		if p.Items[0].ID != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, p.Items[0].ID, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	}
	p := takeover.NewPlan(secrets("-A", "1", "con", "2", "x/y", "3", "gone", "4"), takeover.Naming{
		Prefix: "p-", FoldCase: true, Map: map[string]string{"x/y": "Other", "gone": "", "typo": "x"}})
	if err := p.NameError(); err != nil {
		t.Error(err)
	}
	for i, want := range []nebula.ID{"p--a", "p-con", "Other", ""} {
		if p.Items[i].ID != want {
			t.Errorf("%s is %q, want %q", p.Items[i].Name, p.Items[i].ID, want)
		}
	}
	if p.Items[3].State != takeover.LeftOut || len(p.Unmatched) != 1 || p.Unmatched[0] != "typo" {
		t.Errorf("%+v", p)
	}
	p = takeover.NewPlan(secrets("a.b", "1", "a/b", "2", "a b", "3", "-", "4", "", "5"), takeover.Naming{})
	err := p.NameError()
	for _, want := range []string{`"a.b" and "a/b" would both be a_b`, `"a.b" and "a b" would both be a_b`, "the id is empty", "nothing was stored"} {
		if !errors.Is(err, nebula.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if strings.Contains(err.Error(), `"-"`) {
		t.Errorf("the error names -, which becomes _: %v", err)
	}
}

func TestMap(t *testing.T) {
	m, err := takeover.ParseMap([]byte("\"a/b\" = \"c\"\nd = \"\"\n"))
	if err != nil || m["a/b"] != "c" || len(m) != 2 {
		t.Errorf("%v, %v", m, err)
	}
	for _, text := range []string{"a", "a = 1", "[a]\nb = \"c\"", "a = \"b\"\na = \"c\""} {
		if m, err := takeover.ParseMap([]byte(text)); !errors.Is(err, nebula.ErrUsage) {
			t.Errorf("%q: %v, %v", text, m, err)
		}
	}
}

func get(t *testing.T, s *nebula.Store, id nebula.ID) string {
	t.Helper()
	c, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return string(c.Secret.Reveal())
}

func TestRun(t *testing.T) {
	s, initialise := newStore(t)
	initialise()
	var all []takeover.Secret
	for i := range 250 {
		all = append(all, takeover.Secret{Name: fmt.Sprint("n", i), Value: []byte(fmt.Sprint("value", i))})
	}
	put := func(id nebula.ID, value string) {
		t.Helper()
		if _, err := s.Put(t.Context(), id, nebula.NewSecret([]byte(value)), nebula.PutOptions{Tags: map[string]string{"own": "1"}}); err != nil {
			t.Fatal(err)
		}
	}
	put("n7", "value7")
	put("n8", "mine")
	run := func(overwrite bool) *takeover.Plan {
		t.Helper()
		p := takeover.NewPlan(clone(all), takeover.Naming{})
		last := 0
		err := errors.Join(p.NameError(), p.Compare(t.Context(), s),
			p.Run(t.Context(), s, takeover.Options{Tags: map[string]string{"team": "x"}, Overwrite: overwrite, Jobs: 4, Progress: func(done, total int) {
				if last++; done != last || total > 250 {
					t.Errorf("progress: %d of %d", done, total)
				}
			}}))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	count := func(p *takeover.Plan, state takeover.State) (n int) {
		for _, item := range p.Items {
			if item.State == state {
				n++
			}
		}
		return n
	}
	p := run(false)
	if count(p, takeover.Imported) != 248 || p.Items[7].State != takeover.Same || p.Items[8].State != takeover.Differs {
		t.Errorf("%d imported, %s, %s", count(p, takeover.Imported), p.Items[7].State, p.Items[8].State)
	}
	if get(t, s, "n249") != "value249" || get(t, s, "n8") != "mine" {
		t.Error("got other values")
	}
	p.Wipe()
	p = run(true)
	if count(p, takeover.Same) != 249 || count(p, takeover.Imported) != 1 || get(t, s, "n8") != "value8" {
		t.Errorf("%d same, %d imported", count(p, takeover.Same), count(p, takeover.Imported))
	}
	c, err := s.Get(t.Context(), "n8")
	if err != nil || c.Metadata.Tags["own"] != "1" || c.Metadata.Tags["team"] != "x" {
		t.Errorf("%v, %v", c.Metadata.Tags, err)
	}
}

func clone(all []takeover.Secret) []takeover.Secret {
	copied := make([]takeover.Secret, len(all))
	for i, s := range all {
		copied[i] = takeover.Secret{Name: s.Name, Value: bytes.Clone(s.Value)}
	}
	return copied
}

// If another writer stores a credential after the comparison, it stays, even with
// Overwrite.
func TestRunLosesNothingOfOthers(t *testing.T) {
	s, initialise := newStore(t)
	initialise()
	put := func(id nebula.ID, value string) {
		t.Helper()
		if _, err := s.Put(t.Context(), id, nebula.NewSecret([]byte(value)), nebula.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put("old", "1")
	p := takeover.NewPlan(secrets("new", "ours", "old", "ours", "third", "ours"), takeover.Naming{})
	if err := p.Compare(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	put("new", "theirs")
	put("old", "theirs")
	if err := p.Run(t.Context(), s, takeover.Options{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []nebula.Kind{nebula.ErrAlreadyExists, nebula.ErrConflict, ""} {
		if got := nebula.KindOf(p.Items[i].Err); got != want {
			t.Errorf("%s: %v, want %s", p.Items[i].ID, p.Items[i].Err, want)
		}
	}
	if get(t, s, "new") != "theirs" || get(t, s, "old") != "theirs" || get(t, s, "third") != "ours" {
		t.Error("a credential of another writer is lost")
	}
}

// If the store is not initialised, the run ends at the first secret. If the run is
// interrupted, it begins no further one.
func TestRunEndsEarly(t *testing.T) {
	s, initialise := newStore(t)
	p := takeover.NewPlan(secrets("a", "1", "b", "2"), takeover.Naming{})
	if err := p.Compare(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context(), s, takeover.Options{}); !errors.Is(err, nebula.ErrNotInitialised) || p.Items[0].State != takeover.New {
		t.Errorf("%v, %s", err, p.Items[0].State)
	}
	initialise()
	ctx, cancel := context.WithCancel(t.Context())
	err := p.Run(ctx, s, takeover.Options{Progress: func(int, int) { cancel() }, Jobs: 1})
	if !errors.Is(err, context.Canceled) || p.Items[0].State != takeover.Imported || p.Items[1].State != takeover.New {
		t.Errorf("%v, %s, %s", err, p.Items[0].State, p.Items[1].State)
	}
}

func TestJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":"1","b":1.0e5,"c":false}`:       "a=1 b=1.0e5 c=false",
		"\ufeff{}":                            "",
		`{"a":{"base64":"/w=="}}`:             "a=\xff",
		`{"a":{"b":[{"c":"1"},2]},"a/x":"3"}`: "a/b/0/c=1 a/b/1=2 a/x=3",
		`{"a":{"base64":"not"},"n":{"m":{}}}`: "a/base64=not",
		`{"a":{"b":"1"},"a/b":"2"}`:           "!\"a/b\" is there twice",
		`{"a":null,"b":[null]}`:               "!\"a\" is null\n\"b/0\" is null",
		`{"a":"\ud800"}`:                      "!half a character",
		`[1]`:                                 "!not a JSON object",
		``:                                    "!not a JSON object",
		`{"a":1} {}`:                          "!not a JSON object",
		"{\"a\":\"\xff\"}":                    "!not a JSON object",
		`{"a":"1","a":"1"}`:                   "!\"a\" is there twice",
	} {
		got, err := takeover.JSON([]byte(text), true)
		var told []string
		for _, s := range got {
			told = append(told, s.Name+"="+string(s.Value))
		}
		if reason, wrong := strings.CutPrefix(want, "!"); wrong {
			if !errors.Is(err, nebula.ErrUsage) || !strings.Contains(err.Error(), reason) {
				t.Errorf("%s: %v, want %q", text, err, reason)
			}
		} else if err != nil || strings.Join(told, " ") != want {
			t.Errorf("%s: %q, %v, want %q", text, told, err, want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":{"b":["x",1,true,{"base64":"/w=="}]},"c":"é"}`), true)
	f.Fuzz(func(t *testing.T, text []byte, nested bool) {
		got, err := takeover.JSON(text, nested)
		seen := make(map[string]bool)
		for _, s := range got {
			if seen[s.Name] {
				t.Errorf("%q is there twice", s.Name)
			}
			seen[s.Name] = true
		}
		if err != nil && (got != nil || nebula.KindOf(err) != nebula.ErrUsage) {
			t.Error(err)
		}
	})
}
