package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/histories"
)

// mixed is the number of credentials in the role "mix".
const mixed = 24

func mixedID(i int) string { return fmt.Sprint("mixed", i) }

func mixedFile(dir, process string, i int) string { return filepath.Join(dir, process+"-"+mixedID(i)) }

// TestHistoriesOfBatches: several processes store batches and crowds of single
// records, read and delete, all on the same credentials. One of them is killed and
// begins again. The history of each credential is linearizable.
func TestHistoriesOfBatches(t *testing.T) {
	rounds := "10"
	if os.Getenv("NEBULA_TEST_LONG") == "1" {
		rounds = "60"
	}
	s, logs := newStore(t), t.TempDir()
	s.put("first", "v")
	process := func(ctx context.Context, name string) error {
		return other(ctx, "mix", s.dir, "NEBULA_TEST_COUNT="+rounds, "NEBULA_TEST_LOGS="+logs, "NEBULA_TEST_NAME="+name).Run()
	}
	names := []string{"a", "b", "killed", "again"}
	var all sync.WaitGroup
	for _, name := range names[:2] {
		all.Go(func() {
			if err := process(t.Context(), name); err != nil {
				t.Errorf("process %s: %v", name, err)
			}
		})
	}
	all.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_ = process(ctx, names[2])
		if err := process(t.Context(), names[3]); err != nil {
			t.Errorf("process %s: %v", names[3], err)
		}
	})
	all.Wait()
	stored, refused := 0, 0
	for i := range mixed {
		var files []io.Reader
		for _, name := range names {
			f, err := os.Open(mixedFile(logs, name, i))
			if errors.Is(err, os.ErrNotExist) && name == "killed" { // before it began
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files = append(files, f)
		}
		history, err := histories.Read(files...)
		if err != nil {
			t.Fatal(err)
		}
		history.Verify(t)
		stored += history.Count(histories.Put, histories.Done)
		refused += history.Count(histories.Put, histories.Refused)
	}
	t.Logf("%d records were stored, %d refused", stored, refused)
	if stored < 10*mixed || refused == 0 {
		t.Errorf("%d records were stored, %d refused: too few for this test", stored, refused)
	}
	s.put("last", "v")
	if left := s.temps(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// mix is the role "mix": some goroutines store single records, others store batches.
func mix(ctx context.Context, p full) error {
	rounds, err := strconv.Atoi(os.Getenv("NEBULA_TEST_COUNT"))
	if err != nil {
		return err
	}
	process := os.Getenv("NEBULA_TEST_NAME")
	recorded := make([]*histories.History, mixed)
	for i := range recorded {
		f, err := os.Create(mixedFile(os.Getenv("NEBULA_TEST_LOGS"), process, i))
		if err != nil {
			return err
		}
		defer f.Close()
		recorded[i] = histories.NewFile(f)
	}
	// With this many calls of one credential at once, a history is checked in a
	// moment, also on a busy machine.
	const batchers, mixers = 1, 16
	var all sync.WaitGroup
	for w := range mixers {
		m := &mixer{full: p, random: rand.New(rand.NewPCG(uint64(len(process)), uint64(w)))}
		for i, h := range recorded {
			m.clients = append(m.clients, h.Client())
			m.singles = append(m.singles, h.Provider(p, named(mixedID(i))))
		}
		all.Go(func() {
			for range rounds {
				if w < batchers {
					m.batch(ctx)
				} else {
					m.single(ctx)
				}
			}
		})
	}
	all.Wait()
	for _, h := range recorded {
		err = errors.Join(err, h.Err())
	}
	return err
}

// mixer is a goroutine of the role "mix".
type mixer struct {
	full
	random  *rand.Rand
	clients []*histories.Client
	singles []*histories.Provider
}

// single reads one credential, and changes it on condition that it is unchanged.
func (m *mixer) single(ctx context.Context) {
	i := m.random.IntN(mixed)
	found, err := m.singles[i].Retrieve(ctx)
	condition := nebula.IfAbsent()
	if err == nil {
		condition = nebula.IfVersion(found.Version)
	}
	switch m.random.IntN(8) {
	case 0:
		_, _ = m.singles[i].Delete(ctx, nebula.Precondition{})
		return
	case 1:
		condition = nebula.Precondition{}
	}
	_, _ = m.singles[i].Store(ctx, sealed(mixedID(i), "v", nil), nebula.StoreOptions{Precondition: condition})
}

// batch changes all credentials, half of them on a condition.
func (m *mixer) batch(ctx context.Context) {
	items, ends := make([]nebula.BatchItem, mixed), make([]func(histories.Outcome, string, string), mixed)
	for i := range items {
		e := sealed(mixedID(i), "v", nil)
		items[i] = nebula.BatchItem{Name: named(mixedID(i)), Envelope: e}
		call := histories.Call{Kind: histories.Put, Value: histories.Digest(e)}
		if found, err := m.Retrieve(ctx, items[i].Name); err == nil && m.random.IntN(4) > 0 {
			items[i].Options.Precondition = nebula.IfVersion(found.Version)
			call.IfVersion = string(found.Version)
		}
		ends[i] = m.clients[i].Begin(call)
	}
	outcomes, err := m.StoreBatch(ctx, items)
	for i, end := range ends {
		if err != nil {
			end(histories.Unclear, "", "")
			continue
		}
		end(histories.OutcomeOf(histories.Put, outcomes[i].Err), "", string(outcomes[i].Version))
	}
}
