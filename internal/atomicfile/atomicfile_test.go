package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

func open(t *testing.T) *Dir {
	t.Helper()
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.Close()
		if left := openfiles.Below(d.Path()); len(left) > 0 {
			t.Errorf("left open: %v", left)
		}
	})
	return d
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "key")
	if err := Create(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if wide := TooWide(info, false); wide != "" {
			t.Errorf("%s: %s", name, wide)
		}
	}
	if err := Create(path, []byte("two")); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second Create: %v", err)
	}
	if data, err := os.ReadFile(path); string(data) != "one" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
	if err := Create(filepath.Join(path, "below"), nil); err == nil {
		t.Error("Create made a file below a file")
	}
	if err := Create(filepath.Join(filepath.Dir(path), strings.Repeat("n", 300)), nil); err == nil {
		t.Error("Create made a file with a name that is too long")
	}
	alone(t, filepath.Dir(path), "key")
	if left := openfiles.Below(dir); len(left) > 0 {
		t.Errorf("left open: %v", left)
	}
	t.Chdir(t.TempDir())
	if err := Create("key", []byte("here")); err != nil {
		t.Error(err)
	}
	alone(t, ".", "key")
}

// alone checks that the directory holds this file and nothing else.
func alone(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("the directory holds %v, %v; want only %s", entries, err, name)
	}
}

func TestOneOfManyCreates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "key")
	var all sync.WaitGroup
	var made atomic.Int32
	for i := range 16 {
		all.Go(func() {
			err := Create(path, []byte(strconv.Itoa(i)))
			if err == nil {
				made.Add(1)
			} else if onPath, ok := err.(*fs.PathError); !ok || onPath.Path != path || !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("%d callers made the file", made.Load())
	}
	alone(t, filepath.Dir(path), "key")
}

func TestStagedIsHiddenUntilCommitted(t *testing.T) {
	d := open(t)
	for _, want := range []string{"old", "new"} {
		s, err := d.Stage([]byte(want))
		if err != nil {
			t.Fatal(err)
		}
		if data, _, _ := d.Read("file", 100); string(data) == want {
			t.Error("the file is there before Commit")
		}
		if err := s.Commit("file"); err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
		data, stat, err := d.Read("file", 100)
		if string(data) != want || err != nil || stat.Size != 3 || stat.Links != 1 {
			t.Errorf("got %q, %+v, %v", data, stat, err)
		}
	}
	s, err := d.Stage([]byte("dropped"))
	if err != nil {
		t.Fatal(err)
	}
	s.Discard()
	alone(t, d.Path(), "file")
}

// A file that is written piece by piece is there as a whole, without what was dropped.
func TestStageFunc(t *testing.T) {
	d := open(t)
	staged, err := d.StageFunc(func(f Filling) error {
		_, err := io.WriteString(f, "dropped")
		err = errors.Join(err, f.Reset())
		for _, part := range []string{"a", "", "bc"} {
			n, failed := io.WriteString(f, part)
			if err = errors.Join(err, failed); n != len(part) {
				t.Errorf("%d bytes of %q", n, part)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := staged.Commit("name"); err != nil {
		t.Fatal(err)
	}
	if data, stat, err := d.Read("name", 10); string(data) != "abc" || err != nil || stat.Mode.Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("%q, %v, %v", data, stat.Mode, err)
	}
	failure := errors.New("no more")
	_, err = d.StageFunc(func(f Filling) error {
		_, _ = io.WriteString(f, "part")
		return failure
	})
	if err != failure {
		t.Errorf("%v", err)
	}
	alone(t, d.Path(), "name")
}

// If several files are staged together, few or many, each is whole and independent of
// the others.
func TestStageAll(t *testing.T) {
	for _, n := range []int{0, 1, 2, maxFlushes, maxFlushes + 1, 3 * maxFlushes} {
		d := open(t)
		data := make([][]byte, n)
		for i := range data {
			data[i] = []byte(strings.Repeat("x", i))
		}
		staged, errs := d.StageAll(data)
		if len(staged) != n || len(errs) != n {
			t.Fatalf("of %d: %d files, %d errors", n, len(staged), len(errs))
		}
		for i, s := range staged {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			if i%2 == 1 {
				s.Discard()
			} else if err := s.Commit(strconv.Itoa(i)); err != nil {
				t.Error(err)
			}
		}
		entries, err := os.ReadDir(d.Path())
		if err != nil || len(entries) != (n+1)/2 {
			t.Errorf("of %d: %v, %v", n, entries, err)
		}
		for _, e := range entries {
			i, _ := strconv.Atoi(e.Name())
			if text, _, err := d.Read(e.Name(), 1000); string(text) != string(data[i]) || err != nil {
				t.Errorf("of %d, number %d: %q, %v", n, i, text, err)
			}
		}
	}
}

func TestFailedCommitLeavesNothing(t *testing.T) {
	d := open(t)
	if err := os.MkdirAll(filepath.Join(d.Path(), "dir", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := d.Stage([]byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit("dir"); err == nil {
		t.Error("a directory was replaced")
	}
	alone(t, d.Path(), "dir")
}

func TestRead(t *testing.T) {
	d := open(t)
	want := bytes.Repeat([]byte("0123456789"), 1000)
	if err := os.WriteFile(filepath.Join(d.Path(), "file"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	if data, _, err := d.Read("file", int64(len(want))); err != nil || !bytes.Equal(data, want) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	var tooLarge *TooLargeError
	if _, _, err := d.Read("file", int64(len(want)-1)); !errors.As(err, &tooLarge) || tooLarge.Size != int64(len(want)) {
		t.Errorf("over the limit: %v", err)
	}
	if _, _, err := d.Read("none", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	var notRegular *NotRegularError
	if err := os.Mkdir(filepath.Join(d.Path(), "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Read("dir", 1); !errors.As(err, &notRegular) {
		t.Errorf("dir: %v", err)
	}
}

func TestNames(t *testing.T) {
	d := open(t)
	want := make(map[string]bool)
	for i := range 3000 {
		name := strings.Repeat("n", i%100+1) + strconv.Itoa(i)
		want[name] = true
		if err := os.WriteFile(filepath.Join(d.Path(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names, err := d.Names()
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	for err == nil {
		err = names.Next(func(name []byte, mode os.FileMode) {
			if !want[string(name)] || IsKnown(mode) && !mode.IsRegular() {
				t.Errorf("%s, %v", name, mode)
			}
			delete(want, string(name))
		})
	}
	if err != io.EOF || len(want) != 0 {
		t.Errorf("%d names are missing, %v", len(want), err)
	}
}

// TestFlusher: every flush that serves a caller begins after its call, and callers
// share flushes.
func TestFlusher(t *testing.T) {
	var f Flusher
	var begun, flushes atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				before := begun.Load()
				var served atomic.Bool
				err := f.Flush(func() error {
					begun.Add(1)
					flushes.Add(1)
					time.Sleep(time.Millisecond)
					served.Store(true)
					return nil
				})
				if err != nil || begun.Load() == before {
					t.Errorf("no flush began after the call: %v", err)
				}
			}
		})
	}
	all.Wait()
	if got := flushes.Load(); got > 64*20/4 {
		t.Errorf("%d flushes for %d callers", got, 64*20)
	}
	failed := errors.New("failed")
	if err := f.Flush(func() error { return failed }); err != failed {
		t.Error(err)
	}
	if err := f.Flush(func() error { return nil }); err != nil {
		t.Errorf("a failure is remembered: %v", err)
	}
}

// TestFlusherTellsAll: all callers that share a flush learn that it failed.
func TestFlusherTellsAll(t *testing.T) {
	var f Flusher
	running, goOn := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { _ = f.Flush(func() error { close(running); <-goOn; return nil }) })
	<-running
	failed := errors.New("failed")
	var flushes atomic.Int64
	const callers = 8
	for range callers {
		all.Go(func() {
			if err := f.Flush(func() error { flushes.Add(1); return failed }); err != failed {
				t.Errorf("got %v", err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond) // time for them to meet; the test passes even if they do not
	close(goOn)
	all.Wait()
	if n := flushes.Load(); n == callers {
		t.Logf("none of %d shared a flush", n)
	}
}

func TestSweepSparesTheLiving(t *testing.T) {
	d := open(t)
	s, err := d.Stage([]byte("alive"))
	if err != nil {
		t.Fatal(err)
	}
	if !IsTemp(s.name) || d.IsStale(s.name) || d.Sweep(s.name) {
		t.Error("a living writer's file was swept")
	}
	if err := s.Commit("file"); err != nil {
		t.Fatal(err)
	}
	if d.Sweep("file") || d.Sweep(s.name) || d.Sweep("..") {
		t.Error("a file that is not temporary was swept")
	}
}

// TestStagingBesideASweeper: if a file is swept before Stage can lock it, Stage makes
// it again.
func TestStagingBesideASweeper(t *testing.T) {
	d := open(t)
	done := make(chan struct{})
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			names, err := d.Names()
			if err != nil {
				t.Error(err)
				return
			}
			for err == nil {
				err = names.Next(func(name []byte, _ os.FileMode) { d.Sweep(string(name)) })
			}
			_ = names.Close()
		}
	})
	defer sweeping.Wait()
	defer close(done)
	for i := range 100 {
		s, err := d.Stage([]byte("data"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit("file" + strconv.Itoa(i%10)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSpared: if a writer has lost two files to sweepers, its next file stays for a
// minute while it is empty.
func TestSpared(t *testing.T) {
	d := open(t)
	name := tempName() + sparedSuffix
	path := filepath.Join(d.Path(), name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !IsTemp(name) || d.IsStale(name) || d.Sweep(name) {
		t.Error("a young, empty file was taken from its writer")
	}
	past := time.Now().Add(-2 * sparedFor)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	if !d.IsStale(name) || !d.Sweep(name) {
		t.Error("an old, empty file stays for ever")
	}
	if IsTemp(tempPrefix+sparedSuffix) || IsTemp("x"+name) || IsTemp(name+sparedSuffix) {
		t.Error("other names count as temporary")
	}
	for attempt := range 5 {
		if name := attemptName(attempt); !IsTemp(name) || strings.HasSuffix(name, sparedSuffix) != (attempt >= 2) {
			t.Errorf("attempt %d has the name %s", attempt, name)
		}
	}
}

func TestSettled(t *testing.T) {
	now := time.Now()
	old, young := now.Add(-time.Minute).UnixNano(), now.UnixNano()
	for s, want := range map[Stat]bool{
		{Mtime: old, Ctime: old}: true, {Mtime: young, Ctime: old}: false, {Mtime: old, Ctime: young}: false,
	} {
		if got := s.Settled(now); got != want {
			t.Errorf("%+v: %v", s, got)
		}
	}
}
