package migrate_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/migrate"
)

const (
	envSource = "NEBULA_TEST_SOURCE"
	envBase   = "NEBULA_TEST_BASE"
)

// migrateAsChild takes over a directory and prints how far it is.
func migrateAsChild() error {
	s, err := openLocal(os.Getenv(envBase))
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = migrate.Dir(context.Background(), s, os.Getenv(envSource), migrate.NewKey(testKey),
		migrate.Options{Jobs: 24, Progress: func(done, _ int) { fmt.Println(done) }}) // some are stored together
	return err
}

func valueOf(i int) string { return fmt.Sprintf("value %d", i) }

// fill makes n records, id-0000 and so on.
func fill(t *testing.T, dir string, n int) {
	t.Helper()
	for i := range n {
		r := newV1(testKey, []byte(valueOf(i)))
		r.Metadata.Tags["number"] = strconv.Itoa(i)
		write(t, dir, fmt.Sprintf("id-%04d.cred", i), r.text())
	}
}

// TestKilled: runs that are killed lose nothing and do nothing twice, and the source stays
// as it is.
func TestKilled(t *testing.T) {
	n, kills := 1000, 6
	if testing.Short() {
		n, kills = 300, 2
	}
	source, base := t.TempDir(), t.TempDir()
	fill(t, source, n)
	before := snapshot(t, source)
	rounds := 0
	for taken := map[nebula.ID]nebula.Version{}; rounds < kills; rounds++ {
		killAt(t, source, base, len(taken)+1+rand.IntN(n/(2*kills)))
		s := open(t, base)
		now := ids(t, s) // opens each, so no credential is incomplete
		for id, v := range taken {
			if now[id] != v {
				t.Fatalf("%s was %s and is %q", id, v, now[id])
			}
		}
		if len(now) == len(taken) {
			t.Logf("round %d was killed before anything was stored", rounds)
		}
		taken = now
	}
	s := open(t, base)
	had := ids(t, s)
	if len(had) == 0 || len(had) == n {
		t.Fatalf("%d of %d were taken over before the last run: this tests nothing", len(had), n)
	}
	report, err := migrate.Dir(t.Context(), s, source, migrate.NewKey(testKey), migrate.Options{})
	if err != nil || len(report.Left) != 0 || len(report.Present) != len(had) || len(report.Migrated) != n-len(had) {
		t.Fatalf("%d of %d were there: %d, %d, %v, %v", len(had), n, len(report.Migrated), len(report.Present), report.Left, err)
	}
	for i := range n {
		c, err := s.Get(t.Context(), nebula.ID(fmt.Sprintf("id-%04d", i)))
		if err != nil || string(c.Secret.Reveal()) != valueOf(i) || c.Metadata.Tags["number"] != strconv.Itoa(i) ||
			c.Metadata.CreatedAt.Nanosecond() != 123456789 {
			t.Fatalf("%d: %+v, %v", i, c.Metadata, err)
		}
	}
	if all := ids(t, s); len(all) != n {
		t.Errorf("the store has %d credentials, want %d", len(all), n)
	}
	if !maps.Equal(snapshot(t, source), before) {
		t.Error("the source was changed")
	}
	again, err := migrate.Dir(t.Context(), s, source, migrate.NewKey(testKey), migrate.Options{})
	if err != nil || len(again.Migrated)+len(again.Left) != 0 || len(again.Present) != n {
		t.Errorf("a run after the last: %d, %d, %v, %v", len(again.Migrated), len(again.Present), again.Left, err)
	}
}

func open(t *testing.T, base string) *nebula.Store {
	t.Helper()
	s, err := openLocal(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// killAt kills a run after done files.
func killAt(t *testing.T, source, base string, done int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), "NEBULA_TEST_ROLE=migrate", envSource+"="+source, envBase+"="+base)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if at, _ := strconv.Atoi(strings.TrimSpace(lines.Text())); at >= done && !killed {
			killed = true
			if err := c.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := c.Wait(); err == nil || !killed {
		t.Fatalf("the process was not killed: %v", err)
	}
}

// snapshot describes the files of a directory: bytes, modes, times of change.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var sum [32]byte
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(data)
		}
		files[path] = fmt.Sprintf("%x %v %v", sum, info.Mode(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}
