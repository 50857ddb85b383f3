package local_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/openfiles"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/local"
	"github.com/nebula-credential/nebula/providertest"
)

func TestConformance(t *testing.T) {
	h := harness()
	h.FoldsCase = foldsCase(t)
	providertest.Run(t, h)
}

// foldsCase reports whether the file system of temporary directories folds case.
func foldsCase(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "case"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := os.Lstat(filepath.Join(dir, "CASE"))
	return err == nil
}

func harness() providertest.Harness {
	return providertest.Harness{
		New: func(t *testing.T, options ...provider.Option) nebula.Provider {
			return made(t, config(filepath.Join(t.TempDir(), "credentials")), options...)
		},
		Reopen: func(t *testing.T, p nebula.Provider) nebula.Provider {
			return newProvider(t, p.(full).Describe().Address)
		},
		Corrupt: func(t *testing.T, p nebula.Provider, name nebula.Name, raw []byte) {
			file := filepath.Join(p.(full).Describe().Address, name.String()+".enc.json")
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		Abilities:       []providertest.Ability{providertest.Connector, providertest.Describer, providertest.BatchStorer, providertest.Notifier, providertest.Identifier, providertest.Checker},
		MaxRecordSize:   16 << 20,
		ComparesKeyring: true,
	}
}

func TestReadingMakesNothing(t *testing.T) {
	s := newStore(t)
	name := named("absent")
	if _, err := s.Retrieve(t.Context(), name); !errors.Is(err, nebula.ErrNotFound) {
		t.Errorf("retrieve: %v", err)
	}
	if found, err := s.Exists(t.Context(), name); found || err != nil {
		t.Errorf("exists: %v, %v", found, err)
	}
	if err := deleted(s.Delete(t.Context(), name, nebula.Precondition{})); err != nil {
		t.Errorf("delete: %v", err)
	}
	if entries := s.list(nebula.Filter{}); len(entries) != 0 {
		t.Errorf("list: %v", entries)
	}
	s.Check(t.Context())
	if _, err := os.Lstat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is there: %v", err)
	}
}

// keptInPlace skips a test if an open directory cannot be moved or removed.
func keptInPlace(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows keeps a directory that is open")
	}
}

// TestReplacedDirectory: if a store is moved away and brought back, as from a backup,
// it is used as it then is.
func TestReplacedDirectory(t *testing.T) {
	keptInPlace(t)
	s := newStore(t)
	record := s.put("id", "kept")
	if err := os.Rename(s.dir, s.dir+".away"); err != nil {
		t.Fatal(err)
	}
	s.put("other", "in a new directory")
	if found, err := s.Exists(t.Context(), named("id")); found || err != nil {
		t.Fatalf("exists: %v, %v", found, err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.dir+".away", s.dir); err != nil {
		t.Fatal(err)
	}
	s.holds("id", record)
	s.put("id", "again")
}

// TestReplacedDirectoryIsNoticed: readers stop using a directory that was moved away,
// whether another one took its place or not.
func TestReplacedDirectoryIsNoticed(t *testing.T) {
	keptInPlace(t)
	s, other := newStore(t), newStore(t)
	s.put("id", "old")
	record := other.put("id", "new")
	if err := os.Rename(s.dir, s.dir+".away"); err != nil {
		t.Fatal(err)
	}
	soon(t, "the directory that was moved away is not read", func() bool {
		_, err := s.Retrieve(t.Context(), named("id"))
		found, failed := s.Exists(t.Context(), named("id"))
		return errors.Is(err, nebula.ErrNotFound) && !found && failed == nil
	})
	if err := os.Rename(other.dir, s.dir); err != nil {
		t.Fatal(err)
	}
	s.holds("id", record)
	if err := os.Rename(s.dir, other.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.dir+".away", s.dir); err != nil {
		t.Fatal(err)
	}
	soon(t, "the directory in its place is read", func() bool {
		r, err := s.Retrieve(t.Context(), named("id"))
		return err == nil && !bytes.Equal(r.Envelope.Bytes(), record)
	})
	for _, p := range []store{s, other} {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, dir := range []string{s.dir, other.dir} {
		if left := openfiles.Below(dir); len(left) > 0 {
			t.Errorf("left open: %v", left)
		}
	}
}

// soon waits, for much longer than necessary, until something holds.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	const limit, pause = 10 * time.Second, 2 * time.Millisecond
	for end := time.Now().Add(limit); !holds(); time.Sleep(pause) {
		if time.Now().After(end) {
			t.Fatalf("it never happens: %s", what)
		}
	}
}

func TestMissingDirectoryThatMayNotBeMade(t *testing.T) {
	keptInPlace(t)
	dir := t.TempDir()
	s := openStore(t, dir, func(c *local.Config) { c.CreateDir = false })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	_, err := s.Store(t.Context(), named("id"), sealed("id", "v", nil), nebula.StoreOptions{})
	fails(t, err, nebula.ErrUnavailable, "store", "missing", "mkdir -m 700 "+dir)
}

func TestWithoutLocks(t *testing.T) {
	s := newStore(t, withoutLocks)
	keyring := nebula.KeyringName()
	_, err := s.Store(t.Context(), named("id"), sealed("id", "v", nil), nebula.StoreOptions{Precondition: nebula.IfAbsent()})
	fails(t, err, nebula.ErrNotSupported, "store", "enable_locking")
	for _, condition := range []nebula.Precondition{{}, nebula.IfVersion("1")} {
		_, err = s.Store(t.Context(), keyring, providertest.Keyring(), nebula.StoreOptions{Precondition: condition})
		fails(t, err, nebula.ErrNotSupported, "store", "enable_locking = true", "copy it back")
	}
	if found, err := s.Exists(t.Context(), keyring); found || err != nil {
		t.Errorf("a keyring was written: %v, %v", found, err)
	}
	s.put("id", "v")
	record := s.put("id", "in its place")
	fails(t, deleted(s.Delete(t.Context(), named("id"), nebula.IfVersion("some"))), nebula.ErrNotSupported, "delete", "enable_locking")
	s.holds("id", record)
	if err := deleted(s.Delete(t.Context(), named("id"), nebula.Precondition{})); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(s.dir, ".lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a lock file: %v", err)
	}
}

// TestKeyringIsMadeWithoutLocks: one of many makes the keyring, and it is not
// replaced.
func TestKeyringIsMadeWithoutLocks(t *testing.T) {
	s := newStore(t, withoutLocks)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			p := openStore(t, s.dir, withoutLocks)
			_, errs[i] = p.Store(t.Context(), nebula.KeyringName(), providertest.Keyring(),
				nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		})
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		fails(t, err, nebula.ErrAlreadyExists, "store")
	}
	if made != 1 {
		t.Errorf("%d made the keyring", made)
	}
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDeleteBeforeThereIsADirectory: there is nothing to delete, and no condition on
// a version holds.
func TestDeleteBeforeThereIsADirectory(t *testing.T) {
	s := newStore(t)
	if existed, err := s.Delete(t.Context(), named("id"), nebula.Precondition{}); existed || err != nil {
		t.Errorf("without a condition: %v, %v", existed, err)
	}
	_, err := s.Delete(t.Context(), named("id"), nebula.IfVersion("some"))
	fails(t, err, nebula.ErrConflict, "delete")
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("a deletion made the directory: %v", err)
	}
}

// TestDirectoryIsGone: a credential that is gone with its directory does not exist,
// and that is not a failure.
func TestDirectoryIsGone(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	_, err := s.Retrieve(t.Context(), named("id"))
	fails(t, err, nebula.ErrNotFound, "retrieve")
	if found, err := s.Exists(t.Context(), named("id")); found || err != nil {
		t.Errorf("exists: %v, %v", found, err)
	}
	if n := len(s.list(nebula.Filter{})); n != 0 {
		t.Errorf("%d are listed", n)
	}
	s.holds("id", s.put("id", "again"))
}

// TestBaseIsAFile: a file as the base is refused, and left alone.
func TestBaseIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	p := newProvider(t, path)
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, p.Connect(t.Context()), nebula.ErrInvalidConfig, "connect", path, "not a directory")
	if p, err := local.New(config("relative")); p != nil || nebula.KindOf(err) != nebula.ErrInvalidConfig {
		t.Errorf("a relative path: %v, %v", p, err)
	}
}

func TestAnotherKeyIsRefused(t *testing.T) {
	s := newStore(t)
	var foreign [32]byte
	e := sealedUnder(foreign, "id", "v", nil)
	if _, err := s.Store(t.Context(), named("id"), e, nebula.StoreOptions{}); err != nil {
		t.Fatalf("without a keyring: %v", err)
	}
	if _, err := s.Store(t.Context(), nebula.KeyringName(), providertest.Keyring(), nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Store(t.Context(), named("id"), e, nebula.StoreOptions{})
	fails(t, err, nebula.ErrConflict, "store")
	if !errors.Is(err, nebula.ErrKeyChanged) {
		t.Errorf("%v does not wrap ErrKeyChanged", err)
	}
	s.put("id", "under the right key")
	if err := os.WriteFile(filepath.Join(s.dir, ".keyring.enc.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = s.Store(t.Context(), named("id"), sealed("id", "v", nil), nebula.StoreOptions{})
	fails(t, err, nebula.ErrCorrupted, "store", "keyring")
}

func TestFilteredListSeesChanges(t *testing.T) {
	s := newStore(t)
	tagged := nebula.Filter{Tags: map[string]string{"env": "prod"}}
	put := func(id, env string) {
		t.Helper()
		e := sealed(id, "v", map[string]string{"env": env})
		if _, err := s.Store(t.Context(), named(id), e, nebula.StoreOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put("a", "prod")
	put("b", "test")
	put("c", "prod")
	if err := os.WriteFile(s.path("broken"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("not an id"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2100 * time.Millisecond) // from now on they are remembered
	for range 2 {
		entries := s.list(tagged)
		if len(entries) != 3 || entries["a"].Metadata == nil || entries["a"].Version == "" {
			t.Fatalf("got %v", entries)
		}
		fails(t, entries["broken"].Err, nebula.ErrCorrupted, "list", `"broken"`)
	}
	put("a", "test")
	put("b", "prod")
	if err := deleted(s.Delete(t.Context(), named("c"), nebula.Precondition{})); err != nil {
		t.Fatal(err)
	}
	entries := s.list(tagged)
	if _, ok := entries["b"]; !ok || len(entries) != 2 {
		t.Errorf("after the change: %v", entries)
	}
	if entries := s.list(nebula.Filter{}); len(entries) != 3 || entries["broken"].Err != nil {
		t.Errorf("without a filter: %v", entries)
	}
}

// TestBatchOfSome: of a batch, each record has its own outcome.
func TestBatchOfSome(t *testing.T) {
	for _, locking := range []bool{true, false} {
		s := newStore(t, func(c *local.Config) { c.EnableLocking = locking })
		s.put("taken", "v")
		absent := nebula.StoreOptions{Precondition: nebula.IfAbsent()}
		items := []nebula.BatchItem{
			{Name: named("taken"), Envelope: sealed("taken", "w", nil), Options: absent},
			{Name: named("a"), Envelope: sealed("a", "v", nil)},
			{Name: named("taken-too"), Envelope: sealed("taken-too", "w", nil), Options: absent},
			{Name: named("b"), Envelope: sealed("b", "v", nil)},
		}
		s.put("taken-too", "v")
		outcomes, err := s.StoreBatch(t.Context(), items)
		if err != nil || len(outcomes) != len(items) {
			t.Fatalf("%d outcomes, %v", len(outcomes), err)
		}
		refused := nebula.ErrAlreadyExists
		if !locking {
			refused = nebula.ErrNotSupported
		}
		for i, o := range outcomes {
			want, version := refused, ""
			if items[i].Options != absent {
				want, version = "", versionOf(items[i].Envelope)
			}
			if nebula.KindOf(o.Err) != want || string(o.Version) != version {
				t.Errorf("%s: version %q, %v", items[i].Name, o.Version, o.Err)
			}
		}
		s.holds("a", items[1].Envelope.Bytes())
		s.holds("b", items[3].Envelope.Bytes())
	}
}

// TestDamaged: what is no record is no success, and is left as it is.
func TestDamaged(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	if err := os.WriteFile(s.path("id"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Retrieve(t.Context(), named("id"))
	fails(t, err, nebula.ErrCorrupted, "retrieve")
	if found, err := s.Exists(t.Context(), named("id")); !found || err != nil {
		t.Errorf("exists: %v, %v", found, err)
	}
}

func TestListGoesOnAfterACancelledPage(t *testing.T) {
	s := newStore(t)
	for _, id := range []string{"a", "b", "c"} {
		s.put(id, "v")
	}
	pager := s.List(t.Context(), nebula.Filter{CreatedAfter: time.Unix(0, 0)})
	defer pager.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := pager.NextPage(ctx)
	fails(t, err, nebula.ErrInterrupted, "list")
	page, err := pager.NextPage(t.Context())
	if err != nil || len(page) != 3 {
		t.Errorf("got %v, %v", page, err)
	}
}

func TestTooLarge(t *testing.T) {
	s := newStore(t)
	big := sealed("big", strings.Repeat("x", 13<<20), nil)
	_, err := s.Store(t.Context(), named("big"), big, nebula.StoreOptions{})
	fails(t, err, nebula.ErrTooLarge, "store", "16777216", "local")
	s.put("id", "v")
	if err := os.Truncate(s.path("id"), 16<<20+1); err != nil {
		t.Fatal(err)
	}
	_, err = s.Retrieve(t.Context(), named("id"))
	fails(t, err, nebula.ErrTooLarge, "retrieve", "16777217")
	// It has a version, which nobody knows.
	for condition, kind := range map[nebula.Precondition]nebula.Kind{
		nebula.IfAbsent(): nebula.ErrAlreadyExists, nebula.IfVersion("some"): nebula.ErrConflict,
	} {
		_, err = s.Store(t.Context(), named("id"), sealed("id", "w", nil), nebula.StoreOptions{Precondition: condition})
		fails(t, err, kind, "store")
	}
	fails(t, deleted(s.Delete(t.Context(), named("id"), nebula.IfVersion("some"))), nebula.ErrConflict, "delete")
	s.put("id", "smaller again")
}

// TestCloseWhileInUse: operations either succeed or say that the provider is closed,
// including those that wait for a lock.
func TestCloseWhileInUse(t *testing.T) {
	s := newStore(t)
	s.put("id", "v")
	unlock := holdLock(t, s.dir)
	defer unlock()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := s.Store(t.Context(), named("id"), sealed("id", "w", nil), nebula.StoreOptions{})
			if !errors.Is(err, nebula.ErrClosed) {
				t.Errorf("store: %v", err)
			}
		})
		all.Go(func() {
			for {
				_, err := s.Retrieve(t.Context(), named("id"))
				if errors.Is(err, nebula.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("retrieve: %v", err)
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWaitingForTheLockObeysTheContext(t *testing.T) {
	s := newStore(t)
	record := s.put("id", "v")
	unlock := holdLock(t, s.dir)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := s.Store(ctx, named("id"), sealed("id", "w", nil), nebula.StoreOptions{})
	fails(t, err, nebula.ErrTimeout, "store", `"id"`)
	fails(t, deleted(s.Delete(ctx, named("id"), nebula.Precondition{})), nebula.ErrTimeout, "delete")
	s.holds("id", record)
	unlock()
	s.put("id", "w")
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
