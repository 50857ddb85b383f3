package atomicfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/openfiles"
)

func TestLock(t *testing.T) {
	d := open(t)
	one, two := NewLock(".lock"), NewLock(".lock") // two locks, as two processes have them
	defer one.Close()
	defer two.Close()
	var count atomic.Int64
	const each = 200
	var all sync.WaitGroup
	for _, l := range []*Lock{one, two, one, two} {
		all.Go(func() {
			for range each {
				if err := l.Lock(t.Context(), nil, d); err != nil {
					t.Error(err)
					return
				}
				seen := count.Load()
				runtime.Gosched()
				count.Store(seen + 1) // an addition is lost unless the others are kept out
				l.Unlock()
			}
		})
	}
	all.Wait()
	if count.Load() != 4*each {
		t.Errorf("counted %d, want %d", count.Load(), 4*each)
	}
}

func TestLockObeysContextAndStop(t *testing.T) {
	d := open(t)
	holder := NewLock(".lock")
	defer holder.Close()
	if err := holder.Lock(t.Context(), nil, d); err != nil {
		t.Fatal(err)
	}
	other := NewLock(".lock")
	defer other.Close()
	for _, l := range []*Lock{holder, other} { // as in another goroutine, as in another process
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := l.Lock(ctx, nil, d); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the context: %v", err)
		}
		cancel()
		stop := make(chan struct{})
		time.AfterFunc(10*time.Millisecond, func() { close(stop) })
		if err := l.Lock(t.Context(), stop, d); !errors.Is(err, os.ErrClosed) {
			t.Errorf("stop: %v", err)
		}
	}
	time.AfterFunc(20*time.Millisecond, holder.Unlock) // by then the other one has tried several times
	holds(t, other, d)
}

// holds takes and releases a lock that must be free.
func holds(t *testing.T, l *Lock, d *Dir) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.Lock(ctx, nil, d); err != nil {
		t.Fatal(err)
	}
	l.Unlock()
}

// TestLockMoves: in another directory the lock is another file, and no longer holds the
// file of the first.
func TestLockMoves(t *testing.T) {
	l, first, second := NewLock(".lock"), open(t), open(t)
	defer l.Close()
	holds(t, l, first)
	holds(t, l, second)
	if left := openfiles.Below(filepath.Join(first.Path(), ".lock")); len(left) > 0 {
		t.Errorf("left open: %v", left)
	}
}

// TestLockIsUsedAgain: a lock can be used after it was closed, and in another
// directory.
func TestLockIsUsedAgain(t *testing.T) {
	l := NewLock(".lock")
	for _, d := range []*Dir{open(t), open(t)} {
		for range 2 {
			holds(t, l, d)
			if runtime.GOOS == "linux" && len(openfiles.Below(filepath.Join(d.Path(), ".lock"))) != 1 {
				t.Error("the lock file is not open")
			}
			l.Close()
		}
		holds(t, l, d)
	}
	l.Close()
}
