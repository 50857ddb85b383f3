package nebula_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/local"
)

// machine is a machine whose processes use a backend that may be unreachable.
type machine struct {
	t     *testing.T
	base  string // of the records
	state string // of the pins, the guard and the cache
	key   *nebula.KeyFile
	clock *clock
	down  *backendDown
	id    nebula.KeyID
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, base: filepath.Join(t.TempDir(), "records"), state: filepath.Join(t.TempDir(), "state"),
		key: newKeyFile(t), clock: newClock(), down: &backendDown{}}
	s := m.start(nil)
	var err error
	if m.id, err = s.Init(t.Context(), m.key); err != nil {
		t.Fatal(err)
	}
	return m
}

// start opens the store as a new process does.
func (m *machine) start(change func(*nebula.Options)) *nebula.Store {
	m.t.Helper()
	options := nebula.Options{
		Keys:          []nebula.Key{m.key},
		Now:           m.clock.now,
		Pins:          nebula.NewPinFile(filepath.Join(m.state, "known_stores")),
		RollbackGuard: nebula.NewGuardFile(filepath.Join(m.state, "guard")),
		Cache:         nebula.CacheOptions{LastKnown: 24 * time.Hour, Directory: filepath.Join(m.state, "cache")},
	}
	if change != nil {
		change(&options)
	}
	config := local.DefaultConfig()
	config.BasePath = m.base
	p, err := local.New(config, provider.WithInterceptors(m.down.intercept))
	if err != nil {
		m.t.Fatal(err)
	}
	s, err := nebula.Open(m.t.Context(), p, options)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { s.Close() })
	return s
}

func (m *machine) put(id nebula.ID, value string) {
	m.t.Helper()
	if _, err := m.start(nil).Put(m.t.Context(), id, secret(value), nebula.PutOptions{}); err != nil {
		m.t.Fatal(err)
	}
}

// read reads online, in a process of its own.
func (m *machine) read(id nebula.ID) {
	m.t.Helper()
	if c, err := m.start(nil).Get(m.t.Context(), id); err != nil || !c.LastKnown.IsZero() {
		m.t.Fatalf("%v, %v", c.LastKnown, err)
	}
}

func (m *machine) away() { m.down.set(nebula.ErrUnavailable) }

// files returns the paths of the copies, the keyring's first.
func (m *machine) files() (keyring string, records []string) {
	m.t.Helper()
	err := filepath.WalkDir(filepath.Join(m.state, "cache"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
		case d.Name() == "keyring":
			keyring = path
		default:
			records = append(records, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	return keyring, records
}

// refused wants the backend's failure, with the reason why the copy is not used.
func (m *machine) refused(s *nebula.Store, id nebula.ID, kind nebula.Kind, text string) {
	m.t.Helper()
	c, err := s.Get(m.t.Context(), id)
	if !errors.Is(err, nebula.ErrUnavailable) || !errors.Is(err, kind) || !strings.Contains(err.Error(), text) {
		m.t.Errorf("%q, %v; want one with %s and %q", c.Secret.Reveal(), err, kind, text)
	}
}

// TestStartWithoutBackend: a new process reads what an earlier one has read.
func TestStartWithoutBackend(t *testing.T) {
	m := newMachine(t)
	m.put("a", "one")
	at := m.clock.now()
	m.read("a")
	m.away()
	m.clock.advance(time.Hour)
	s := m.start(nil)
	c, err := s.Get(t.Context(), "a")
	if err != nil || string(c.Secret.Reveal()) != "one" || !c.LastKnown.Equal(at) || c.ID != "a" || c.Version == "" {
		t.Fatalf("%q, %v, %v", c.Secret.Reveal(), c.LastKnown, err)
	}
	if got := s.GetMany(t.Context(), []nebula.ID{"a", "b"}); got[0].Err != nil || !errors.Is(got[1].Err, nebula.ErrUnavailable) {
		t.Errorf("%+v", got)
	}
	// Everything else reports the outage.
	if _, err := s.Put(t.Context(), "a", secret("x"), nebula.PutOptions{}); !errors.Is(err, nebula.ErrUnavailable) {
		t.Errorf("put: %v", err)
	}
	if err := s.Unlock(t.Context()); !errors.Is(err, nebula.ErrUnavailable) {
		t.Errorf("unlock: %v", err)
	}
	m.down.set("")
	if _, err := s.Put(t.Context(), "a", secret("two"), nebula.PutOptions{}); err != nil {
		t.Fatalf("after the outage: %v", err)
	}
	if c, err := s.Get(t.Context(), "a"); err != nil || string(c.Secret.Reveal()) != "two" {
		t.Errorf("after the outage: %q, %v", c.Secret.Reveal(), err)
	}
	m.clock.advance(25 * time.Hour)
	m.away()
	m.refused(m.start(nil), "a", nebula.ErrUnavailable, "more than 24h0m0s ago")
}

// TestCacheFilesAreSealedAndPrivate: nobody else may read the files, and neither they
// nor their names show values or ids.
func TestCacheFilesAreSealedAndPrivate(t *testing.T) {
	m := newMachine(t)
	m.put("some_id", "a secret value")
	m.read("some_id")
	keyring, records := m.files()
	if keyring == "" || len(records) != 1 {
		t.Fatalf("%q, %q", keyring, records)
	}
	for _, path := range append(records, keyring) {
		data, err := os.ReadFile(path)
		if err != nil || bytes.Contains(data, []byte("a secret value")) || strings.Contains(path, "some_id") || bytes.Contains(data, []byte("some_id")) {
			t.Errorf("%s: %v", path, err)
		}
		wantMode(t, path, 0o600)
		wantMode(t, filepath.Dir(path), 0o700)
	}
}

// TestCacheFilesRefused: a copy that was changed is refused, and the error says why.
func TestCacheFilesRefused(t *testing.T) {
	edit := func(t *testing.T, path string, change func([]byte) []byte) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(data), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	replace := func(old, new string) func([]byte) []byte {
		return func(data []byte) []byte { return bytes.Replace(data, []byte(old), []byte(new), 1) }
	}
	for name, test := range map[string]struct {
		do   func(t *testing.T, m *machine, keyring string, records []string)
		with func(*nebula.Options)
		kind nebula.Kind
		text string
	}{
		"record edited": {do: func(t *testing.T, _ *machine, _ string, records []string) {
			for _, path := range records {
				edit(t, path, replace(`"tags":{}`, `"tags":{"a":"b"}`))
			}
		}, kind: nebula.ErrCorrupted, text: "damaged, edited, or swapped"},
		"record cut off": {do: func(t *testing.T, _ *machine, _ string, records []string) {
			for _, path := range records {
				edit(t, path, func(data []byte) []byte { return data[:len(data)/2] })
			}
		}, kind: nebula.ErrCorrupted, text: "damaged or edited"},
		"records swapped": {do: func(t *testing.T, _ *machine, _ string, records []string) {
			for i, step := range [][2]string{{records[0], records[0] + "x"}, {records[1], records[0]}, {records[0] + "x", records[1]}} {
				if err := os.Rename(step[0], step[1]); err != nil {
					t.Fatal(i, err)
				}
			}
		}, kind: nebula.ErrCorrupted, text: "damaged, edited, or swapped"},
		"time edited": {do: func(t *testing.T, _ *machine, _ string, records []string) {
			for _, path := range records {
				edit(t, path, replace(`"read_at":"2026-03-01T12:00:00Z"`, `"read_at":"2026-03-01T12:00:30Z"`))
			}
		}, kind: nebula.ErrCorrupted, text: "damaged, edited, or swapped"},
		"version edited": {do: func(t *testing.T, _ *machine, _ string, records []string) {
			for _, path := range records {
				edit(t, path, replace(`"version":"`, `"version":"9`))
			}
		}, kind: nebula.ErrCorrupted, text: "damaged, edited, or swapped"},
		"an older copy": {do: func(t *testing.T, m *machine, _ string, records []string) {
			before := make([][]byte, len(records))
			for i, path := range records {
				before[i], _ = os.ReadFile(path)
			}
			m.put("a", "newer")
			m.read("a")
			for i, path := range records {
				if err := os.WriteFile(path, before[i], 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}, kind: nebula.ErrRolledBack, text: "an older copy was put in its place"},
		"deleted since": {do: func(t *testing.T, m *machine, _ string, _ []string) {
			without := func(o *nebula.Options) { o.Cache = nebula.CacheOptions{} }
			if _, err := m.start(without).Delete(t.Context(), "a", nebula.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, kind: nebula.ErrRolledBack, text: "was deleted since"},
		"others may write it": {do: func(t *testing.T, _ *machine, _ string, records []string) {
			for _, path := range records {
				if err := os.Chmod(path, 0o622); err != nil {
					t.Fatal(err)
				}
			}
		}, kind: nebula.ErrInvalidConfig, text: "find out who wrote it"},
		"keyring edited": {do: func(t *testing.T, _ *machine, keyring string, _ []string) {
			edit(t, keyring, replace(`"salt":"`, `"salt":"A`))
		}, kind: nebula.ErrCorrupted, text: "damaged or edited"},
		"keyring's line edited": {do: func(t *testing.T, _ *machine, keyring string, _ []string) {
			edit(t, keyring, replace(`"version":"`, `"version":"9`))
		}, kind: nebula.ErrCorrupted, text: "its copy was edited"},
		"an older keyring": {do: func(t *testing.T, m *machine, _ string, _ []string) {
			without := func(o *nebula.Options) { o.Cache = nebula.CacheOptions{} }
			if _, err := m.start(without).AddKey(t.Context(), newKeyFile(t), ""); err != nil {
				t.Fatal(err)
			}
		}, kind: nebula.ErrRolledBack, text: "the copy of the keyring is older than what was seen"},
		"a key that nobody names": {do: func(*testing.T, *machine, string, []string) {},
			with: func(o *nebula.Options) { o.Pins = nil }, kind: nebula.ErrUntrustedKey, text: "is not trusted"},
		"another key that is trusted": {do: func(*testing.T, *machine, string, []string) {},
			with: func(o *nebula.Options) { o.TrustedKey = &nebula.KeyID{1} }, kind: nebula.ErrUntrustedKey, text: "or is of another one"},
		"a key that does not fit": {do: func(*testing.T, *machine, string, []string) {},
			with: func(o *nebula.Options) { o.Keys = []nebula.Key{newKeyFile(t)} }, kind: nebula.ErrWrongKey, text: "opens no slot"},
		"a clock that went back": {do: func(_ *testing.T, m *machine, _ string, _ []string) { m.clock.advance(-time.Hour) },
			kind: nebula.ErrUnavailable, text: "later than the clock of this machine"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.put("a", "one")
			m.put("b", "two")
			m.read("a")
			m.read("b")
			keyring, records := m.files()
			if keyring == "" || len(records) != 2 {
				t.Fatalf("%q, %q", keyring, records)
			}
			test.do(t, m, keyring, records)
			m.away()
			m.refused(m.start(test.with), "a", test.kind, test.text)
		})
	}
}

// TestCacheFilesAreDropped: a change by this machine, or an answer of the backend,
// removes the copy.
func TestCacheFilesAreDropped(t *testing.T) {
	for name, change := range map[string]func(context.Context, *nebula.Store) error{
		"put": func(ctx context.Context, s *nebula.Store) error {
			_, err := s.Put(ctx, "a", secret("two"), nebula.PutOptions{})
			return err
		},
		"delete": func(ctx context.Context, s *nebula.Store) error {
			_, err := s.Delete(ctx, "a", nebula.DeleteOptions{})
			return err
		},
		"purge": func(ctx context.Context, s *nebula.Store) error { _, err := s.Purge(ctx, "a"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.put("a", "one")
			m.read("a")
			if err := change(t.Context(), m.start(nil)); err != nil {
				t.Fatal(err)
			}
			if _, records := m.files(); len(records) != 0 {
				t.Errorf("left: %q", records)
			}
		})
	}
}

// TestKeyringCopyFollows: after a change of the keyring the next read updates the
// copy on disk, although another process still holds the older keyring.
func TestKeyringCopyFollows(t *testing.T) {
	m := newMachine(t)
	m.put("a", "one")
	old := m.start(nil)
	if _, err := old.Get(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.start(nil).AddKey(t.Context(), newKeyFile(t), ""); err != nil {
		t.Fatal(err)
	}
	m.read("a")
	m.clock.advance(12 * time.Hour)
	if _, err := old.Get(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	m.away()
	if _, err := m.start(nil).Get(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// TestBackendThatIsBack: the key opened the copy of the keyring. When the backend is
// back, the key is used again only after the data key was replaced.
func TestBackendThatIsBack(t *testing.T) {
	m := newMachine(t)
	m.put("a", "one")
	m.read("a")
	m.away()
	key := &heldBack{Key: m.key}
	s := m.start(func(o *nebula.Options) { o.Keys = []nebula.Key{key} })
	rotated := m.start(func(o *nebula.Options) { o.Keys = []nebula.Key{key} })
	for _, s := range []*nebula.Store{s, rotated} {
		if c, err := s.Get(t.Context(), "a"); err != nil || c.LastKnown.IsZero() {
			t.Fatalf("%v, %v", c.LastKnown, err)
		}
	}
	m.down.set("")
	asked := key.asked.Load()
	put(t, s, "a", "two", nebula.PutOptions{})
	if more := key.asked.Load() - asked; more > 0 {
		t.Errorf("the key was used %d times more", more)
	}
	if _, err := m.start(nil).Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	put(t, rotated, "a", "three", nebula.PutOptions{})
}

// TestCacheFilesAreWrittenSeldom: a copy with the same content is written again only
// after an eighth of LastKnown.
func TestCacheFilesAreWrittenSeldom(t *testing.T) {
	m := newMachine(t)
	m.put("a", "one")
	s := m.start(nil)
	stat := func() os.FileInfo {
		if _, err := s.Get(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		_, records := m.files()
		info, err := os.Stat(records[0])
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := stat()
	m.clock.advance(3 * time.Hour)
	if !os.SameFile(first, stat()) {
		t.Error("written again before an eighth of LastKnown was over")
	}
	m.clock.advance(time.Second)
	if os.SameFile(first, stat()) {
		t.Error("not written again")
	}
}

// TestCacheFilesAreBounded: the oldest copies are removed.
func TestCacheFilesAreBounded(t *testing.T) {
	m := newMachine(t)
	bounded := func(o *nebula.Options) { o.Cache.Entries = 4 }
	ids := []nebula.ID{"a", "b", "c", "d", "e", "f", "g"}
	s := m.start(bounded)
	for _, id := range ids {
		m.put(id, "value")
		if _, err := s.Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // so that the files' times differ
	}
	if _, records := m.files(); len(records) != 4 {
		t.Errorf("%d files", len(records))
	}
	m.away()
	s = m.start(bounded)
	var left []nebula.ID
	for _, id := range ids {
		if _, err := s.Get(t.Context(), id); err == nil {
			left = append(left, id)
		}
	}
	if !slices.Equal(left, ids[3:]) {
		t.Errorf("left: %q", left)
	}
}

// TestCacheFilesOfRotation: after a process of this machine has seen the rotation, the
// older keyring and records are not used any more.
func TestCacheFilesOfRotation(t *testing.T) {
	m := newMachine(t)
	m.put("a", "one")
	m.put("b", "two")
	m.read("a")
	m.read("b")
	without := func(o *nebula.Options) { o.Cache = nebula.CacheOptions{} }
	if _, err := m.start(without).Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	m.away()
	m.refused(m.start(nil), "a", nebula.ErrUntrustedKey, "the copy of the keyring is older than what was seen")
	m.down.set("")
	m.read("b")
	m.away()
	m.refused(m.start(nil), "a", nebula.ErrRolledBack, "an older copy was put in its place")
	unguarded := func(o *nebula.Options) { o.RollbackGuard = nil }
	m.refused(m.start(unguarded), "a", nebula.ErrCorrupted, "another data key")
	if _, err := m.start(nil).Get(t.Context(), "b"); err != nil {
		t.Error(err)
	}
}
