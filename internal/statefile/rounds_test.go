package statefile

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// If many goroutines use one File at once, no update is lost, and each sees its own.
func TestShared(t *testing.T) {
	const callers, times = 40, 5
	f := at(filepath.Join(t.TempDir(), "state"))
	var all sync.WaitGroup
	for i := range callers {
		name := fmt.Sprint("own", i)
		all.Go(func() {
			for n := range times {
				for _, key := range []string{name, "common"} {
					err := f.Update(key, func(old *entry) *entry {
						if old == nil {
							old = &entry{Name: key}
						}
						return &entry{key, old.Count + 1}
					})
					if err != nil {
						t.Error(err)
					}
				}
				if e, _, err := f.Load(name); err != nil || e.Count != n+1 {
					t.Errorf("after %d updates it is %+v, %v", n+1, e, err)
				}
				if err := f.CheckRoom(name, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if e, _, err := f.Load("common"); err != nil || e.Count != callers*times {
		t.Errorf("the common line is %+v, %v", e, err)
	}
}

// Updates that wait for each other are written together. If one of them does not fit,
// it fails alone.
func TestWrittenTogether(t *testing.T) {
	for _, waiting := range []int{1, 20} {
		t.Run(fmt.Sprint(waiting), func(t *testing.T) { writtenTogether(t, waiting) })
	}
}

func writtenTogether(t *testing.T, waiting int) {
	dir := t.TempDir()
	f := at(filepath.Join(dir, "state"))
	set(t, f, "first", 1)
	f.MaxSize = 4 << 10
	d, err := atomicfile.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	lock := atomicfile.NewLock(LockName("state"))
	defer lock.Close()
	if err := lock.Lock(t.Context(), nil, d); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 8<<10)
	var mu sync.Mutex
	calls := make(map[string]int)
	update := func(name string) error {
		return f.Update(name, func(*entry) *entry {
			mu.Lock()
			defer mu.Unlock()
			calls[name]++
			return &entry{name, 1}
		})
	}
	var all sync.WaitGroup
	all.Go(func() { _ = update("leader") }) // it waits for the lock
	soon(t, func() bool {
		free := f.updates.running.TryLock()
		if free {
			f.updates.running.Unlock()
		}
		f.updates.mu.Lock()
		defer f.updates.mu.Unlock()
		return !free && f.updates.waiting == nil
	})
	for i := range waiting {
		all.Go(func() {
			if err := update(fmt.Sprint("small", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		if err := update(large); !errors.Is(err, ErrFull) {
			t.Errorf("what does not fit: %v", err)
		}
	})
	soon(t, func() bool {
		f.updates.mu.Lock()
		defer f.updates.mu.Unlock()
		return f.updates.waiting != nil && len(f.updates.waiting.updates) == waiting+1
	})
	lock.Unlock()
	all.Wait()
	for i := range waiting {
		if _, found, err := f.Load(fmt.Sprint("small", i)); !found || err != nil {
			t.Errorf("small%d: %v, %v", i, found, err)
		}
	}
	if _, found, _ := f.Load(large); found {
		t.Error("what does not fit was written")
	}
	if calls["leader"] != 1 || calls["small0"] != 2 { // together, and then alone
		t.Errorf("changes were called %d and %d times", calls["leader"], calls["small0"])
	}
}

// soon waits until something holds.
func soon(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never happened")
		}
	}
}
