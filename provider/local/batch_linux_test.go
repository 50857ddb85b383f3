package local_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// together and apart are sizes of a batch: the files of one are flushed together,
// those of the other one by one.
const together, apart = 17, 3

func sizeOf(count int) string { return fmt.Sprint("NEBULA_TEST_COUNT=", count) }

// newBatch returns a store with the old records of a batch.
func newBatch(t *testing.T, count int) (s store, olds map[string][]byte) {
	t.Helper()
	s, olds = newStore(t), make(map[string][]byte)
	for i, id := range batchIDs(count) {
		if i%2 == 0 { // the others are new
			olds[id] = s.put(id, "old")
		}
	}
	return s, olds
}

// survivesBatch checks a store after something happened to a process that stored a
// batch: each record is the old one or the new one. It is the new one if the process
// was told so. The next writer cleans up.
func (s store) survivesBatch(count int, olds map[string][]byte, told, what string) {
	s.Helper()
	acknowledged := strings.Fields(told)
	for _, id := range batchIDs(count) {
		old, existed := olds[id]
		record, err := s.Retrieve(s.Context(), named(id))
		isOld := existed && err == nil && bytes.Equal(record.Envelope.Bytes(), old) ||
			!existed && nebula.KindOf(err) == nebula.ErrNotFound
		isNew := err == nil && record.Envelope.Metadata().Tags["state"] == "new"
		switch {
		case !isOld && !isNew:
			s.Errorf("%s: %s is neither old nor new: %v", what, id, err)
		case !isNew && slices.Contains(acknowledged, id):
			s.Errorf("%s: %s was acknowledged and is not stored", what, id)
		}
	}
	next := openStore(s.T, s.dir)
	next.holds("next", next.put("next", "v"))
	if err := next.Close(); err != nil {
		s.Error(err)
	}
	if left := s.temps(); len(left) != 0 {
		s.Errorf("%s: left behind %v", what, left)
	}
}

// TestBatchKilledAtEveryCall kills a process at each call of a batch. The calls of
// the large batch repeat themselves, so every fourth of each kind is tried, and every
// one with NEBULA_TEST_LONG=1.
func TestBatchKilledAtEveryCall(t *testing.T) {
	strace(t)
	for count, step := range map[int]int{apart: 1, together: 4} {
		if os.Getenv("NEBULA_TEST_LONG") == "1" {
			step = 1
		}
		hits := 0
		for _, call := range append([]string{"syncfs"}, calls...) {
			for nth := 1; ; nth += step {
				s, olds := newBatch(t, count)
				end := inject(t, "batch", s.dir, call, "signal=KILL", nth, sizeOf(count))
				if !end.hit {
					break
				}
				hits++
				s.survivesBatch(count, olds, end.told, fmt.Sprintf("%d records, killed at %s %d", count, call, nth))
			}
		}
		t.Logf("a batch of %d was killed at %d calls", count, hits)
		if hits < 4*count/step {
			t.Errorf("a batch of %d was killed at only %d calls: strace does not see them", count, hits)
		}
	}
}

// TestBatchFailedCalls: a call that fails leaves the old or the new of each record,
// and each acknowledged record is stored. If one write of a batch fails, the other
// records are stored.
func TestBatchFailedCalls(t *testing.T) {
	strace(t)
	hits := 0
	for _, count := range []int{apart, together} {
		for _, call := range []string{"write", "fsync", "syncfs", "renameat", "openat", "unlinkat", "flock", "newfstatat"} {
			for _, errno := range []string{"EIO", "ENOSPC"} {
				for nth := 1; nth < 4*count; nth += max(1, count-apart) {
					s, olds := newBatch(t, count)
					end := inject(t, "batch", s.dir, call, "error="+errno, nth, sizeOf(count))
					if !end.hit {
						break
					}
					hits++
					what := fmt.Sprintf("%d records, %s of %s %d", count, errno, call, nth)
					s.survivesBatch(count, olds, end.told, what)
					stored := len(strings.Fields(end.told))
					switch {
					case call == "write" && nth <= count && stored != count-1,
						call == "renameat" && stored != count-1,
						call == "syncfs" && stored != count: // then each is flushed by itself
						t.Errorf("%s: %d were stored", what, stored)
					}
				}
			}
		}
	}
	t.Logf("%d calls failed", hits)
	if hits < 8*apart {
		t.Errorf("only %d calls failed: strace does not see them", hits)
	}
	for _, call := range []string{"write", "fsync", "syncfs", "renameat"} {
		s, olds := newBatch(t, together)
		end := inject(t, "batch", s.dir, call, "error=EINTR", 1, sizeOf(together))
		s.survivesBatch(together, olds, end.told, "EINTR of "+call)
		if stored := len(strings.Fields(end.told)); stored != together {
			t.Errorf("an interrupted %s: %d were stored", call, stored)
		}
	}
}

// TestBatchOrderOfCalls: all files are on the disk before the first is renamed, and
// the directory is flushed after the last. If the file system cannot be flushed as a
// whole, each file is flushed.
func TestBatchOrderOfCalls(t *testing.T) {
	whole := []string{"write temporary", "flush file system", "rename", "flush directory"}
	each := []string{"write temporary", "flush temporary", "rename", "flush directory"}
	for _, test := range []struct {
		name, errno string // of syncfs
		count       int
		want        []string
	}{
		{"together", "", together, whole},
		{"apart", "", apart, each},
		{"not allowed", "EPERM", together, slices.Insert(slices.Clone(each), 1, "flush file system")},
		{"not known", "ENOSYS", together, slices.Insert(slices.Clone(each), 1, "flush file system")},
		{"lost pages", "EIO", together, slices.Insert(slices.Clone(each), 1, "flush file system")},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := newBatch(t, test.count)
			log := filepath.Join(t.TempDir(), "calls")
			options := []string{"-y", "-o", log, "-e", "trace=write,fsync,fdatasync,syncfs,renameat,renameat2"}
			if test.errno != "" {
				options = append(options, "-e", "inject=syncfs:error="+test.errno)
			}
			said, err := traced(t, "batch", s.dir, options, sizeOf(test.count))
			if err != nil || said != "" {
				t.Fatalf("%v: %s", err, said)
			}
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range batchIDs(test.count) {
				got := callsOn(s.dir, id+".enc.json", string(text))
				flushes := 0
				for _, call := range got {
					if call == "flush temporary" {
						flushes++
					}
				}
				if wanted := slices.Contains(test.want, "flush temporary"); wanted && flushes != test.count || !wanted && flushes != 0 {
					t.Errorf("%d files were flushed", flushes)
				}
				if got := slices.Compact(got); !slices.Equal(got, test.want) {
					t.Errorf("%s: got %q, want %q; the calls:\n%s", id, got, test.want, text)
				}
			}
		})
	}
}
