package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// eachCall lets each call of a Create below two directories fail, one at a time.
func eachCall(t *testing.T, errno string, check func(dir, call, said string)) {
	t.Helper()
	hits := 0
	for _, call := range []string{"mkdirat", "newfstatat", "openat", "flock", "fstat", "fsync", "renameat2"} {
		for nth := 1; ; nth++ {
			dir := t.TempDir()
			options := []string{"-e", "trace=" + call, "-e", "inject=" + call + ":error=" + errno + ":when=" + strconv.Itoa(nth)}
			switch call {
			case "mkdirat", "newfstatat", "openat": // a program that begins makes such calls, too
				options = append(options, "-P", dir, "-P", filepath.Join(dir, "a"), "-P", filepath.Join(dir, "a", "b"))
			}
			said, calls := traced(t, "create below", dir, "", options...)
			if !strings.Contains(calls, "INJECTED") {
				break
			}
			hits++
			check(dir, call, said)
			if t.Failed() {
				t.Fatalf("%s of %s %d", errno, call, nth)
			}
		}
	}
	if hits < 12 {
		t.Errorf("%d calls failed only: strace does not see them", hits)
	}
}

// TestEveryCallOfCreateFails: what was made is whole and on the disk. If it was not
// made, nothing is there, and the next attempt makes it.
func TestEveryCallOfCreateFails(t *testing.T) {
	eachCall(t, "EIO", func(dir, call, said string) {
		path := filepath.Join(dir, "a", "b", "file")
		data, err := os.ReadFile(path)
		if said == "" {
			if string(data) != text || err != nil || strings.Contains("mkdirat fstat fsync renameat2", call) {
				t.Errorf("it was acknowledged; there is %q, %v", data, err)
			}
			return
		}
		if !strings.Contains(said, "input/output error") || strings.Contains(said, "left open") || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it failed with %q; there is %q, %v", said, data, err)
		}
		if err := Create(path, nil); err != nil {
			t.Errorf("the next attempt: %v", err)
		}
		alone(t, filepath.Dir(path), "file")
	})
}

// TestEveryCallOfCreateIsInterrupted: it is made again.
func TestEveryCallOfCreateIsInterrupted(t *testing.T) {
	eachCall(t, "EINTR", func(dir, _, said string) {
		if said != "" {
			t.Error(said)
		}
		alone(t, filepath.Join(dir, "a", "b"), "file")
	})
}

// TestWaysToFlush: each file is flushed, or the file system that holds them all. So
// many threads do that, and no more.
func TestWaysToFlush(t *testing.T) {
	const slowly = "fsync:delay_enter=20000" // microseconds
	for _, c := range []struct {
		files, single, whole int
		inject               string
	}{
		{1, 1, 0, slowly}, {2, 2, 0, slowly}, {maxFlushes, maxFlushes, 0, slowly},
		{maxFlushes + 1, 0, 1, slowly},
		{3 * maxFlushes, 3 * maxFlushes, 1, "syncfs:error=EPERM"},
	} {
		dir := t.TempDir()
		if d, err := Open(dir); err != nil {
			t.Fatal(err)
		} else if fs, ok := d.openFileSystem(); ok {
			fs.close()
			_ = d.Close()
		} else {
			t.Skip("needs a file system that can be flushed as a whole")
		}
		said, calls := traced(t, "all "+strconv.Itoa(c.files), dir, "", "-e", "trace=fsync,syncfs", "-e", "inject="+slowly, "-e", "inject="+c.inject)
		if said != "" {
			t.Error(said)
		}
		single, whole, now := 0, 0, 0
		for line := range strings.Lines(calls) {
			switch {
			case strings.Contains(line, "syncfs("):
				whole++
			case strings.Contains(line, "fsync("):
				single++
				if strings.Contains(line, "unfinished") {
					now++
				}
			case strings.Contains(line, "fsync resumed"):
				now--
			}
			if now > maxFlushes {
				t.Fatalf("of %d files, more than %d are flushed at once:\n%s", c.files, maxFlushes, calls)
			}
		}
		if single != c.single || whole != c.whole {
			t.Errorf("of %d files, %d were flushed, and the file system %d times", c.files, single, whole)
		}
	}
}

// TestSweptBeforeItIsLocked: a writer whose file is taken away before it has locked
// it makes another one.
func TestSweptBeforeItIsLocked(t *testing.T) {
	d := open(t)
	var sweeping sync.WaitGroup
	done := make(chan struct{})
	swept := 0
	sweeping.Go(func() {
		for {
			names, _ := filepath.Glob(d.join(tempPrefix + "*"))
			for _, name := range names {
				if d.Sweep(filepath.Base(name)) {
					swept++
				}
			}
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	said, _ := traced(t, "stage", d.Path(), "", "-e", "trace=flock", "-e", "inject=flock:delay_enter=100000") // microseconds
	close(done)
	sweeping.Wait()
	if said != "" || swept == 0 {
		t.Errorf("after %d were swept: %q", swept, said)
	}
	alone(t, d.Path(), "file")
}

// A failure is what one or several calls of a role end with.
type failure struct {
	role, umask string
	calls       []string // that fail, as strace wants them
	within      string   // only those that name this or are about a file below
	there       string   // a file that is there before: "" if none
	want        string   // what the process says: nothing if it succeeds
	left        string   // the names of the files afterwards
}

// TestFailedCalls: which failures of single calls count, and which do not.
func TestFailedCalls(t *testing.T) {
	for _, f := range []failure{
		// What is not on the disk is not put in place.
		{role: "stage", calls: []string{"fsync:error=EIO:when=1"}, want: "fsync DIR/.tmp-"},
		{role: "fill", calls: []string{"fsync:error=EIO:when=1"}, want: "fsync DIR/.tmp-"},
		{role: "all 1", calls: []string{"fsync:error=EIO:when=1"}, want: "fsync DIR/.tmp-"},
		{role: "all 3", calls: []string{"fsync:error=EIO"}, want: "fsync DIR/.tmp-"},
		{role: "stage", calls: []string{"renameat:error=EIO"}, want: "rename DIR/.tmp-"},

		// A file that a sweeper has, or of a name that is taken, is made again.
		{role: "stage", calls: []string{"flock:error=EAGAIN:when=1"}, left: "file"},
		{role: "stage", calls: []string{"flock:error=EAGAIN"}, want: errSwept.Error()},
		{role: "stage", calls: []string{"openat:error=EEXIST:when=2"}, within: "DIR", left: "file"},
		{role: "stage", calls: []string{"openat:error=EIO:when=2"}, within: "DIR", want: "create DIR/.tmp-"},

		// Secrets are never in files of another mode.
		{role: "stage", umask: "277", calls: []string{"fchmod:error=EPERM"}, want: "chmod DIR/.tmp-"},
		{role: "fill", umask: "277", calls: []string{"fchmod:error=EPERM"}, want: "chmod DIR/.tmp-"},
		{role: "all 1", umask: "277", calls: []string{"fchmod:error=EPERM"}, left: "0"},
		{role: "all 1", umask: "777", calls: []string{"fchmod:error=EPERM"}, want: "chmod DIR/.tmp-"},
		{role: "all 1", umask: "277", calls: []string{"fchmod:error=EIO"}, want: "chmod DIR/.tmp-"},

		// Only if no rename can replace nothing is there another way.
		{role: "new", calls: []string{"renameat2:error=EEXIST"}, want: "file exists"},
		{role: "new", calls: []string{"renameat2:error=ENOENT"}, want: "no such file"},
		{role: "new", calls: []string{"renameat2:error=ENOSPC"}, want: "no space"},
		{role: "new", calls: []string{"renameat2:error=EDQUOT"}, want: "quota"},
		{role: "new", calls: []string{"renameat2:error=EACCES"}, want: "permission denied"},
		{role: "new", calls: []string{"renameat2:error=EIO"}, want: "input/output"},
		{role: "new", calls: []string{"renameat2:error=EROFS"}, want: "read-only"},
		{role: "new", calls: []string{"renameat2:error=EINVAL", "openat:error=EACCES:when=3+"}, within: "DIR", left: "file"}, // a link is enough
		{role: "new", calls: []string{"renameat2:error=EINVAL"}, there: "file", want: "file exists", left: "file"},
		{role: "new", calls: []string{"renameat2,linkat:error=EINVAL"}, left: "file"},
		{role: "new", calls: []string{"renameat2,linkat:error=EINVAL"}, there: "file", want: "file exists", left: "file"},
		{role: "new", calls: []string{"renameat2,linkat:error=EINVAL", "openat:error=EACCES:when=3"}, within: "DIR", want: "permission denied"},
		{role: "new", calls: []string{"renameat2,linkat:error=EINVAL", "openat:error=EINTR:when=3"}, within: "DIR", left: "file"},
		{role: "new", calls: []string{"renameat2,linkat:error=EINVAL", "newfstatat:error=EIO"}, within: "DIR", want: "lstat DIR/file"},

		// Another process comes between the look and the rename.
		{role: "create", calls: []string{"newfstatat:error=ENOENT:when=2"}, within: "DIR", there: "file", want: "create DIR/file: file already exists", left: "file"},

		// A directory is on the disk and the user's alone, or it is not there. Not everybody
		// may flush the one above.
		{role: "make", calls: []string{"openat:error=EACCES"}, within: "DIR", left: "made"},
		{role: "make", calls: []string{"openat:error=EIO"}, within: "DIR", want: "open DIR"},
		{role: "make", calls: []string{"fsync:error=EIO"}, within: "DIR", want: "fsync DIR"},
		{role: "make", umask: "777", calls: []string{"newfstatat:error=EIO:when=1"}, within: "DIR/made", want: "lstat DIR/made"},
		{role: "make", umask: "777", calls: []string{"fchmodat:error=EIO"}, want: "chmod DIR/made"},
		{role: "make", umask: "777", calls: []string{"fchmodat:error=EPERM"}, want: "chmod DIR/made"},

		// Locks that cannot be had are told from those that somebody else has.
		{role: "lock", calls: []string{"flock:error=ENOLCK"}, want: "about the lock: lock DIR/.lock: " + ErrNoLocks.Error(), left: ".lock"},
		{role: "lock", calls: []string{"flock:error=EOPNOTSUPP"}, want: ErrNoLocks.Error(), left: ".lock"},
		{role: "lock", calls: []string{"flock:error=ENOSYS"}, want: ErrNoLocks.Error(), left: ".lock"},
		{role: "lock", calls: []string{"flock:error=EINVAL"}, want: ErrNoLocks.Error(), left: ".lock"},
		{role: "lock", calls: []string{"flock:error=EIO"}, want: "about the lock: lock DIR/.lock: input/output", left: ".lock"},
		{role: "lock", calls: []string{"flock:error=EAGAIN:when=1"}, left: ".lock"},
		{role: "lock", calls: []string{"fstat:error=EIO"}, within: "DIR/.lock", want: "open DIR/.lock: input/output", left: ".lock"},
		{role: "lock", umask: "777", calls: []string{"fchmod:error=EPERM"}, left: ".lock"},
		{role: "lock", umask: "777", calls: []string{"fchmod:error=EIO"}, want: "open DIR/.lock: input/output", left: ".lock"},

		// A file that may only be read answers whether files can be locked.
		{role: "probe", calls: []string{"openat:error=EACCES:when=2"}, within: "DIR", there: "file", left: "file"},
		{role: "probe", calls: []string{"openat:error=EPERM:when=2"}, within: "DIR", there: "file", left: "file"},
		{role: "probe", calls: []string{"openat:error=EROFS:when=2"}, within: "DIR", there: "file", left: "file"},
		{role: "probe", calls: []string{"openat:error=EIO:when=2"}, within: "DIR", there: "file", want: "open DIR/file", left: "file"},
		{role: "probe", calls: []string{"flock:error=EIO"}, there: "file", want: "about the lock: lock DIR/file", left: "file"},
		{role: "probe", calls: []string{"flock:error=ENOSYS"}, want: "about the lock: lock DIR/.: " + ErrNoLocks.Error()},

		// What cannot be read is neither damaged nor missing.
		{role: "read", calls: []string{"fstat:error=EIO"}, within: "DIR/file", there: "file", want: "read DIR/file: input/output", left: "file"},
		{role: "read", calls: []string{"read:error=EIO"}, within: "DIR/file", there: "file", want: "read DIR/file: input/output", left: "file"},
		{role: "read", calls: []string{"openat:error=EINTR:when=2"}, within: "DIR", there: "file", left: "file"},
		{role: "read", calls: []string{"openat:error=EACCES:when=2"}, within: "DIR", there: "pipe", want: "open DIR/file: permission denied", left: "file"},

		// What cannot be examined is not swept.
		{role: "sweep", there: stale},
		{role: "sweep", calls: []string{"fstat:error=EIO"}, within: "DIR/" + stale, there: stale, want: "not swept", left: stale},
		{role: "sweep", calls: []string{"unlinkat:error=EACCES"}, there: stale, want: "not swept", left: stale},

		{role: "may write", calls: []string{"faccessat2:error=EACCES"}, want: "write DIR: permission denied"},
		{role: "may write", calls: []string{"faccessat2:error=EROFS"}, want: "write DIR: read-only"},
		{role: "may write", calls: []string{"faccessat2:error=EIO"}},
	} {
		t.Run(f.role+" "+strings.Join(f.calls, " ")+" "+f.there, func(t *testing.T) { f.try(t) })
	}
}

func (f failure) try(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, f.there)
	var err error
	switch f.there {
	case "":
	case "pipe":
		err = unix.Mkfifo(filepath.Join(dir, "file"), 0o600)
	default:
		err = os.WriteFile(path, []byte("old"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	options := []string{"-e", "trace=all"}
	for _, call := range f.calls {
		options = append(options, "-e", "inject="+call)
	}
	if f.within != "" {
		options = append(options, "-P", strings.ReplaceAll(f.within, "DIR", dir))
	}
	said, calls := traced(t, f.role, dir, f.umask, options...)
	if len(f.calls) > 0 && !strings.Contains(calls, "INJECTED") {
		t.Errorf("no call failed:\n%s", calls)
	}
	if f.want == "" && said != "" || !strings.Contains(said, strings.ReplaceAll(f.want, "DIR", dir)) || strings.Contains(said, "left open") {
		t.Errorf("it said %q, not %q", said, f.want)
	}
	entries, err := os.ReadDir(dir)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if strings.Join(left, " ") != f.left || err != nil {
		t.Errorf("the directory holds %q, %v", left, err)
	}
	if data, err := os.ReadFile(path); f.there == "file" && (string(data) != "old" || err != nil) {
		t.Errorf("the file that was there holds %q, %v", data, err)
	}
}
