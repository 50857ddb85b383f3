package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

type entry struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

func (e entry) key() (string, error) {
	if e.Name == "" || e.Count < 0 {
		return "", errors.New("not valid")
	}
	return e.Name, nil
}

func at(path string) *File[entry] { return New(path, entry.key) }

func set(t *testing.T, f *File[entry], name string, count int) {
	t.Helper()
	if err := f.Update(name, func(*entry) *entry { return &entry{name, count} }); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "on", "demand", "state")
	f := at(path)
	if _, found, err := f.Load("a"); found || err != nil {
		t.Errorf("before there is a file: %v, %v", found, err)
	}
	set(t, f, "b", 2)
	set(t, f, "<a>", 1)
	set(t, f, "b", 3)
	if e, found, err := at(path).Load("b"); e.Count != 3 || !found || err != nil {
		t.Errorf("b is %+v, %v, %v", e, found, err)
	}
	data, err := os.ReadFile(path)
	if want := "{\"name\":\"<a>\",\"count\":1}\n{\"name\":\"b\",\"count\":3}\n"; err != nil || string(data) != want {
		t.Errorf("the file holds %q, %v, want %q", data, err, want)
	}
	if runtime.GOOS != "windows" {
		for place, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(place); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%s is %v, %v, want %v", place, info.Mode(), err, mode)
			}
		}
	}
	err = f.Update("b", func(old *entry) *entry {
		if old == nil || old.Count != 3 {
			t.Errorf("the old line is %+v", old)
		}
		return nil
	})
	if _, found, lost := f.Load("b"); err != nil || found || lost != nil {
		t.Errorf("after the line was removed: %v, %v, %v", found, err, lost)
	}
	if err := f.Update("never", func(*entry) *entry { return nil }); err != nil {
		t.Errorf("removing a line that is not there: %v", err)
	}
	if left := openfiles.Below(filepath.Dir(path)); len(left) > 0 {
		t.Errorf("left open: %v", left)
	}
}

// If many writers change the file at once, each with a File of its own like another
// process, no change is lost.
func TestManyWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for range 10 {
				for _, name := range []string{"shared", fmt.Sprint("own", w)} {
					err := at(path).Update(name, func(old *entry) *entry {
						changed := entry{Name: name, Count: 1}
						if old != nil {
							changed.Count += old.Count
						}
						return &changed
					})
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if e, _, err := at(path).Load("shared"); e.Count != 80 || err != nil {
		t.Errorf("%d of 80 changes are left, %v", e.Count, err)
	}
	for w := range 8 {
		if e, _, err := at(path).Load(fmt.Sprint("own", w)); e.Count != 10 || err != nil {
			t.Errorf("writer %d: %d of 10, %v", w, e.Count, err)
		}
	}
}

// A damaged file is neither ignored nor written over: the error says where.
func TestDamage(t *testing.T) {
	const good = `{"name":"a","count":1}` + "\n"
	path := filepath.Join(t.TempDir(), "state")
	for what, c := range map[string]struct {
		text string
		line string
	}{
		"no JSON":            {good + "x\n", "line 2"},
		"no newline":         {strings.TrimSpace(good), "line 1"},
		"cut off":            {good + good[:10], "line 2"},
		"a space":            {" " + good, "line 1"},
		"an unknown field":   {`{"name":"a","count":1,"more":1}` + "\n", "line 1"},
		"a name in capitals": {`{"Name":"a","count":1}` + "\n", "line 1"},
		"a field twice":      {`{"name":"b","name":"a","count":1}` + "\n", "line 1"},
		"a key twice":        {good + good, "line 2"},
		"not valid":          {`{"name":"a","count":-1}` + "\n", "line 1"},
		"an empty line":      {"\n" + good, "line 1"},
	} {
		write(t, path, c.text)
		_, _, err := at(path).Load("a")
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.line+" is damaged") {
			t.Errorf("%s: %v", what, err)
		}
		err = at(path).Update("b", func(*entry) *entry { return &entry{"b", 1} })
		if data, _ := os.ReadFile(path); !errors.Is(err, ErrInvalid) || string(data) != c.text {
			t.Errorf("%s: an update gave %v and left %q", what, err, data)
		}
		if err := at(path).CheckRoom("b", 10); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: CheckRoom: %v", what, err)
		}
	}
	write(t, path, strings.Repeat(good, 100))
	f := at(path)
	f.MaxSize = int64(99 * len(good))
	if _, _, err := f.Load("a"); err == nil {
		t.Error("a file over the limit was read")
	}
}

// What was written can be read again: a file never grows past the limit for reading.
func TestFull(t *testing.T) {
	f := at(filepath.Join(t.TempDir(), "state"))
	f.MaxSize = reserve + 1000
	for i := 0; ; i++ {
		name := strings.Repeat("x", 100_000) + fmt.Sprint(i)
		room := f.CheckRoom(name, 1000)
		err := f.Update(name, func(*entry) *entry { return &entry{name, 1} })
		if _, _, lost := f.Load(name); lost != nil {
			t.Fatal(lost)
		}
		if i > 0 && !errors.Is(room, ErrFull) {
			t.Fatalf("after %d lines there is room: %v", i, room)
		}
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil || i > 200 {
			t.Fatalf("after %d lines: %v", i, err)
		}
	}
	if err := f.CheckRoom(strings.Repeat("x", 100_000)+"0", 1000); err != nil {
		t.Errorf("for a line that is there: %v", err)
	}
}

// TestLimits: a file may be as large as its limit, and no larger.
func TestLimits(t *testing.T) {
	const line = `{"name":"a","count":1}` + "\n"
	path := filepath.Join(t.TempDir(), "state")
	for i, want := range []error{ErrFull, nil} {
		f := at(path)
		f.MaxSize = int64(len(line) - 1 + i)
		calls := 0
		if err := f.Update("a", func(*entry) *entry { calls++; return &entry{"a", 1} }); !errors.Is(err, want) || calls != 1 {
			t.Errorf("%d bytes with a limit of %d: %v after %d calls", len(line), f.MaxSize, err, calls)
		}
	}
	for i, want := range []error{ErrFull, nil} {
		f := at(path)
		f.MaxSize = int64(reserve + len(line) - 1 + i)
		if err := f.CheckRoom("b", 10); !errors.Is(err, want) {
			t.Errorf("%d bytes, and %d that are kept free, with a limit of %d: %v", len(line), reserve, f.MaxSize, err)
		}
	}
}

func TestExpired(t *testing.T) {
	f := at(filepath.Join(t.TempDir(), "state"))
	for i := range 5 {
		set(t, f, fmt.Sprint("a", i), i)
	}
	if err := f.CheckRoom("b", 5); !errors.Is(err, ErrFull) {
		t.Errorf("with as many lines as are allowed: %v", err)
	}
	f.Expired = func(e entry) bool { return e.Count < 3 }
	for _, most := range []int{3, 5} {
		if err := f.CheckRoom("b", most); err != nil {
			t.Errorf("of at most %d lines, those that have expired take room: %v", most, err)
		}
	}
	if err := f.CheckRoom("b", 2); !errors.Is(err, ErrFull) {
		t.Errorf("lines that have not expired take no room: %v", err)
	}
	err := f.Update("a2", func(old *entry) *entry {
		if old == nil {
			t.Error("the change did not receive the line that has expired")
		}
		return old
	})
	if err != nil {
		t.Fatal(err)
	}
	set(t, f, "b", 9)
	for name, want := range map[string]bool{"a0": false, "a2": false, "a3": true, "b": true} {
		if _, found, err := f.Load(name); found != want || err != nil {
			t.Errorf("%s: %t, %v", name, found, err)
		}
	}
}

// If nothing can be written, reading finds nothing and writing returns an error.
func TestNoPlace(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, LockName("locked")), 0o700); err != nil {
		t.Fatal(err)
	}
	locked := at(filepath.Join(dir, "locked"))
	err := locked.Update("a", func(*entry) *entry { return &entry{"a", 1} })
	if err == nil || err.Error() != locked.Path()+": not a regular file but a directory" && runtime.GOOS != "windows" {
		t.Errorf("a write, with a directory in place of the lock: %v", err)
	}
	write(t, filepath.Join(dir, "file"), "")
	f := at(filepath.Join(dir, "file", "state"))
	if _, found, err := f.Load("a"); found || err != nil {
		t.Errorf("below a file: %v, %v", found, err)
	}
	if err := f.Update("a", func(*entry) *entry { return &entry{"a", 1} }); err == nil || !strings.Contains(err.Error(), f.Path()) {
		t.Errorf("a write below a file: %v", err)
	}
}

// FuzzDecode: what is read is what would be written, byte by byte. Everything else is
// refused.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "\n", "{\"name\":\"a\",\"count\":1}\n", "{\"name\":\"a\",\"count\":1}\n{\"name\":\"b\",\"count\":2}\n", "{\"NAME\":\"a\"}\n"} {
		f.Add([]byte(seed))
	}
	file := at("x")
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, bad := file.decode(data)
		if (lines == nil) != (bad != nil) {
			t.Fatalf("%q: %v, %v", data, lines, bad)
		}
		written := encode(lines)
		if again, bad := file.decode(written); bad != nil || len(again) != len(lines) {
			t.Fatalf("%q became %q, which is refused", data, written)
		}
		if bad == nil && len(written) != len(data) {
			t.Fatalf("%q became %q", data, written)
		}
		for line := range bytes.Lines(written) {
			if bad == nil && !bytes.Contains(data, line) {
				t.Fatalf("%q became %q", data, written)
			}
		}
	})
}
