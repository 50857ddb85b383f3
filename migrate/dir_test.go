package migrate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
	"github.com/nebula-credential/nebula/provider"
)

// refuse makes a provider fail to store some names.
func refuse(why map[string]error) []provider.Option {
	return []provider.Option{provider.WithInterceptors(func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
		if err := why[c.Name.String()]; err != nil && c.Op == provider.OpStore {
			return err
		}
		return next(ctx)
	})}
}

func kindsOf(r migrate.Report) map[string]nebula.Kind {
	found := make(map[string]nebula.Kind)
	for _, l := range r.Left {
		found[l.File] = l.Kind
	}
	return found
}

// mixed fills a directory with good and bad files, and returns those that must be left.
func mixed(t *testing.T, dir string) map[string]nebula.Kind {
	t.Helper()
	good := newV1(testKey, []byte("value"))
	for _, id := range []string{"a", "b", "here", "twin", "-x", "ключ", strings.Repeat("l", 129), "", "a b"} {
		write(t, dir, id+".cred", good.text())
	}
	for name, edit := range map[string]func(*v1){
		"tag-empty":   func(r *v1) { r.Metadata.Tags[""] = "x" },
		"tag-control": func(r *v1) { r.Metadata.Tags["x"] = "\n" },
		"tag-equals":  func(r *v1) { r.Metadata.Tags["x=y"] = "" },
		"year-1969":   func(r *v1) { r.Metadata.CreatedAt = "1969-12-31T23:59:59Z" },
		"year-10000":  func(r *v1) { r.Metadata.LastModified = "+10000-01-01T00:00:00Z" },
		"year-1":      func(r *v1) { never := "0001-01-01T00:00:00Z"; r.Metadata.LastAccessed = &never },
		"never":       func(r *v1) { r.Metadata.RotationPolicy = &v1Rotation{} },
		"version-2":   func(r *v1) { r.Version = 2 },
		"no-tag":      func(r *v1) { r.EncryptedData.Tag = r.EncryptedData.Tag[:15] },
	} {
		r := newV1(testKey, []byte("value"))
		edit(&r)
		write(t, dir, name+".cred", r.text())
	}
	write(t, dir, "other-key.cred", newV1([32]byte{7}, []byte("value")).text())
	write(t, dir, "large.cred", newV1(testKey, make([]byte, 20_000)).text())
	write(t, dir, "a.cred.tmp.0c9d", []byte("left behind"))
	write(t, dir, "note.txt", nil)
	if err := os.Mkdir(filepath.Join(dir, "folder.cred"), 0o700); err != nil {
		t.Fatal(err)
	}
	return map[string]nebula.Kind{
		"-x.cred": nebula.ErrInvalidID, "ключ.cred": nebula.ErrInvalidID,
		strings.Repeat("l", 129) + ".cred": nebula.ErrInvalidID, ".cred": nebula.ErrInvalidID, "a b.cred": nebula.ErrInvalidID,
		"tag-empty.cred": nebula.ErrInvalidMetadata, "tag-control.cred": nebula.ErrInvalidMetadata,
		"tag-equals.cred": nebula.ErrInvalidMetadata, "year-1969.cred": nebula.ErrInvalidMetadata,
		"year-10000.cred": nebula.ErrInvalidMetadata, "year-1.cred": nebula.ErrInvalidMetadata,
		"version-2.cred": unsupported, "no-tag.cred": corrupted, "other-key.cred": notOpened,
		"large.cred": nebula.ErrTooLarge, "folder.cred": corrupted,
	}
}

// TestDir: the good records are taken over, the others are named, and the directory does
// not change. A dry run reports the same and stores nothing.
func TestDir(t *testing.T) {
	dir := t.TempDir()
	want := mixed(t, dir)
	before := snapshot(t, dir)
	twin := &nebula.Error{Kind: nebula.ErrConflict, Message: "differs by case alone"}
	s := newMemory(t, refuse(map[string]error{"twin": twin}), nebula.Options{})
	if _, err := s.Put(t.Context(), "here", nebula.NewSecret([]byte("mine")), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	key := migrate.NewKey(testKey)
	dry, err := migrate.Dir(t.Context(), s, dir, key, migrate.Options{DryRun: true})
	if err != nil || !maps.Equal(kindsOf(dry), want) || fmt.Sprint(dry.Migrated) != "[a b never twin]" ||
		fmt.Sprint(dry.Present) != "[here]" {
		t.Errorf("dry run: %+v, %v", dry, err)
	}
	if stored := ids(t, s); len(stored) != 1 {
		t.Errorf("a dry run stored %v", stored)
	}
	want["twin.cred"] = nebula.ErrConflict
	var progress, totals []int
	report, err := migrate.Dir(t.Context(), s, dir, key, migrate.Options{Progress: func(n, total int) { totals = append(totals, total); progress = append(progress, n) }})
	if err != nil || !maps.Equal(kindsOf(report), want) || fmt.Sprint(report.Migrated) != "[a b never]" ||
		fmt.Sprint(report.Present) != "[here]" {
		t.Errorf("%+v, %v", report, err)
	}
	for i, l := range report.Left {
		if l.ID != strings.TrimSuffix(l.File, ".cred") || l.Message == "" || i > 0 && report.Left[i-1].File >= l.File {
			t.Errorf("left: %+v", l)
		}
	}
	for i, n := range progress {
		if n != i+1 || totals[i] != len(progress) {
			t.Fatalf("progress %v of %v", progress, totals)
		}
	}
	if len(progress) != len(want)+4 {
		t.Errorf("progress of %d, %d files", len(progress), len(want)+4)
	}
	if c, err := s.Get(t.Context(), "here"); err != nil || string(c.Secret.Reveal()) != "mine" {
		t.Errorf("the credential that was there was overwritten: %v", err)
	}
	if c, err := s.Get(t.Context(), "never"); err != nil || c.Metadata.RotationPolicy.IntervalDays != 0 {
		t.Errorf("a rotation of 0 days: %+v, %v", c.Metadata, err)
	}
	if !maps.Equal(snapshot(t, dir), before) {
		t.Error("the directory was changed")
	}
}

// TestReportJSON: the lists are never null.
func TestReportJSON(t *testing.T) {
	s, dir := newMemory(t, nil, nebula.Options{}), t.TempDir()
	report, err := migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{})
	text, _ := json.Marshal(report)
	if err != nil || string(text) != `{"migrated":[],"present":[],"left":[]}` {
		t.Errorf("%s, %v", text, err)
	}
	write(t, dir, "x.cred", nil)
	write(t, dir, "y.cred", newV1(testKey, nil).text())
	report, err = migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{})
	text, _ = json.Marshal(report)
	want := `{"migrated":["y"],"present":[],"left":[{"file":"x.cred","id":"x","kind":"corrupted","message":"`
	if err != nil || !strings.HasPrefix(string(text), want) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestExtension(t *testing.T) {
	s, dir := newMemory(t, nil, nebula.Options{}), t.TempDir()
	write(t, dir, "x.enc.json", newV1(testKey, nil).text())
	write(t, dir, "y.cred", newV1(testKey, nil).text())
	report, err := migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{Extension: "enc.json"})
	if err != nil || fmt.Sprint(report.Migrated) != "[x]" || len(report.Left) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{Extension: "../cred"}); !errors.Is(err, nebula.ErrUsage) {
		t.Errorf("an extension with a slash: %v", err)
	}
}

// TestScope: a store of one scope neither takes over nor shows records of another.
func TestScope(t *testing.T) {
	dir := t.TempDir()
	scoped := func(scope string) []byte {
		r := newV1(testKey, []byte("value"))
		r.Metadata.Scope = &scope
		return r.text()
	}
	write(t, dir, "mine.cred", scoped("team"))
	write(t, dir, "theirs.cred", scoped("others"))
	write(t, dir, "taken.cred", scoped("team"))
	s := newMemory(t, nil, nebula.Options{Scope: "team"})
	if _, err := s.Put(t.Context(), "taken", nebula.NewSecret(nil), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	report, err := migrate.Dir(t.Context(), s, dir, migrate.NewKey(testKey), migrate.Options{})
	if err != nil || fmt.Sprint(report.Migrated, report.Present, kindsOf(report)) != "[mine] [taken] map[theirs.cred:conflict]" {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestTakenByAnotherScope: if another scope has the id, the record counts as left, not as
// present.
func TestTakenByAnotherScope(t *testing.T) {
	dir, scope := t.TempDir(), "team"
	r := newV1(testKey, []byte("value"))
	r.Metadata.Scope = &scope
	write(t, dir, "x.cred", r.text())
	s := newMemory(t, nil, nebula.Options{})
	others := nebula.WithCaller(t.Context(), nebula.Caller{Scope: "others"})
	if _, err := s.Put(others, "x", nebula.NewSecret(nil), nebula.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	ours := nebula.WithCaller(t.Context(), nebula.Caller{Scope: scope})
	report, err := migrate.Dir(ours, s, dir, migrate.NewKey(testKey), migrate.Options{})
	if err != nil || kindsOf(report)["x.cred"] != nebula.ErrConflict || len(report.Present) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
