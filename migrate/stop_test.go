package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
	"github.com/nebula-credential/nebula/provider"
)

// TestInterrupted: the report says what was done, and another run does the rest.
func TestInterrupted(t *testing.T) {
	const n = 60
	dir, s := t.TempDir(), newMemory(t, nil, nebula.Options{})
	fill(t, dir, n)
	ctx, cancel := context.WithCancel(t.Context())
	first, err := migrate.Dir(ctx, s, dir, migrate.NewKey(testKey), migrate.Options{Jobs: 8, Progress: func(done, _ int) {
		if done == 5 {
			cancel()
		}
	}})
	if nebula.KindOf(err) != nebula.ErrInterrupted || len(first.Migrated) < 5 || len(first.Migrated) == n || len(first.Left) != 0 {
		t.Fatalf("%d done, %v left, %v", len(first.Migrated), first.Left, err)
	}
	if _, err := migrate.Dir(ctx, s, dir, migrate.NewKey(testKey), migrate.Options{}); nebula.KindOf(err) != nebula.ErrInterrupted {
		t.Errorf("a context that is done: %v", err)
	}
	second, err := migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{})
	if err != nil || len(second.Migrated)+len(second.Present) != n || len(ids(t, s)) != n {
		t.Errorf("%d, %d, %v", len(second.Migrated), len(second.Present), err)
	}
}

// TestStoreFails: an error that concerns the store as a whole ends the run.
func TestStoreFails(t *testing.T) {
	for _, kind := range []nebula.Kind{nebula.ErrUnavailable, nebula.ErrPermissionDenied, nebula.ErrUnauthenticated,
		nebula.ErrWrongKey, nebula.ErrNotSupported, nebula.ErrInternal, nebula.ErrTimeout} {
		dir := t.TempDir()
		fill(t, dir, 40)
		s := newMemory(t, refuse(map[string]error{"id-0020": &nebula.Error{Kind: kind}}), nebula.Options{})
		report, err := migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{Jobs: 8})
		if nebula.KindOf(err) != kind || len(report.Left) != 0 || len(report.Migrated) == 0 || len(report.Migrated) == 40 {
			t.Errorf("%s: %v, %d done, %v left", kind, err, len(report.Migrated), report.Left)
		}
		for _, id := range report.Migrated {
			if _, err := s.Get(t.Context(), id); err != nil {
				t.Errorf("%s was reported, and is not there: %v", id, err)
			}
		}
	}
}

// TestStoreKeepsFailing: a store that stays unavailable ends the run after as many
// failures as there are jobs. The files do not count as left, because the next run takes
// them. After one failure the others are still taken over.
func TestStoreKeepsFailing(t *testing.T) {
	const count, jobs = 60, 4
	for _, all := range []bool{true, false} {
		dir := t.TempDir()
		fill(t, dir, count)
		var tries atomic.Int32
		fails := provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
			if c.Op == provider.OpStore && !c.Name.IsKeyring() && (all || c.Name.ID() == "id-0020") {
				tries.Add(1)
				return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"}
			}
			return next(ctx)
		})
		s := newMemory(t, []provider.Option{fails}, nebula.Options{})
		report, err := migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{Jobs: jobs})
		if nebula.KindOf(err) != nebula.ErrUnavailable || len(report.Left) != 0 {
			t.Errorf("%v, left: %v", err, report.Left)
		}
		if n := int(tries.Load()); all && (n < jobs || n > 2*jobs || len(report.Migrated) != 0) || !all && len(report.Migrated) != count-1 {
			t.Errorf("%d tries, %d migrated", n, len(report.Migrated))
		}
	}
}

func TestNoDirectory(t *testing.T) {
	s, base := newMemory(t, nil, nebula.Options{}), t.TempDir()
	write(t, base, "file", nil)
	for _, path := range []string{filepath.Join(base, "none"), filepath.Join(base, "file"), ""} {
		report, err := migrate.Dir(t.Context(), s, path, migrate.NewKey(testKey), migrate.Options{})
		if !errors.Is(err, nebula.ErrUsage) || report.Migrated == nil || report.Present == nil || report.Left == nil {
			t.Errorf("%q: %+v, %v", path, report, err)
		}
	}
}

// TestStoresOwnDirectory: nothing is migrated from the directory of the store itself. A
// record of version 1 that lies there is refused.
func TestStoresOwnDirectory(t *testing.T) {
	base := t.TempDir()
	s := open(t, base)
	if _, err := s.Put(t.Context(), "x", nebula.NewSecret([]byte("mine")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(base, "credentials")
	if _, err := os.Stat(filepath.Join(own, "x.enc.json")); err != nil {
		t.Fatal(err)
	}
	write(t, own, "x.enc.json", newV1(testKey, []byte("theirs")).text())
	if _, err := s.Get(t.Context(), "x"); nebula.KindOf(err) != nebula.ErrUnsupportedVersion {
		t.Errorf("a record of version 1, indented: %v", err)
	}
	write(t, own, "x.enc.json", edited(t, `"tags"`, `"tags"`))
	if _, err := s.Get(t.Context(), "x"); nebula.KindOf(err) != nebula.ErrUnsupportedVersion {
		t.Errorf("a record of version 1, compact: %v", err)
	}
	_, err := migrate.Dir(t.Context(), s, own, migrate.NewKey(testKey), migrate.Options{Extension: "enc.json"})
	if !errors.Is(err, nebula.ErrUsage) {
		t.Errorf("the store's own directory: %v", err)
	}
}

// TestDryRunMakesNothing: a dry run does not even make a store.
func TestDryRunMakesNothing(t *testing.T) {
	dir, base := t.TempDir(), t.TempDir()
	fill(t, dir, 3)
	s := open(t, base)
	report, err := migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{DryRun: true})
	if err != nil || len(report.Migrated) != 3 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := os.Stat(filepath.Join(base, "credentials")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the store's directory: %v", err)
	}
}

// TestSameReport: the report does not depend on the order of the work.
func TestSameReport(t *testing.T) {
	dir := t.TempDir()
	mixed(t, dir)
	var reports [2]string
	for i := range reports {
		report, err := migrate.Dir(t.Context(), newMemory(t, nil, nebula.Options{}), dir, migrate.NewKey(testKey), migrate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		reports[i] = fmt.Sprint(report)
	}
	if reports[0] != reports[1] {
		t.Errorf("%s\n%s", reports[0], reports[1])
	}
}
