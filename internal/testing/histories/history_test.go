package histories_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/histories"
)

// register is a credential of a backend, with planted bugs.
type register struct {
	mu      sync.Mutex
	value   string // "" is none
	version int
	old     string // the value before

	lostUpdates bool // a condition is checked before the write, and not together with it
	staleReads  bool // a read may see the value before
}

var errRefused = errors.New("refused")

func (r *register) put(value, ifVersion string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ifVersion != "" && (r.value == "" || fmt.Sprint(r.version) != ifVersion) {
		return "", errRefused
	}
	if r.lostUpdates {
		r.mu.Unlock()
		time.Sleep(time.Millisecond)
		r.mu.Lock()
	}
	r.version++
	r.old, r.value = r.value, value
	return fmt.Sprint(r.version), nil
}

func (r *register) get(stale bool) (value, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.staleReads && stale && r.old != "" {
		return r.old, fmt.Sprint(r.version - 1)
	}
	return r.value, fmt.Sprint(r.version)
}

func (r *register) delete() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.old, r.value = r.value, ""
}

// run makes callers read, write with the version that they read, and delete. Some calls
// fail without showing what they did.
func run(r *register, h *histories.History, callers, calls int, seed uint64) {
	var wg sync.WaitGroup
	for i := range callers {
		c := h.Client()
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for n := range calls {
				end := c.Begin(histories.Call{Kind: histories.Get})
				value, version := r.get(random.IntN(4) == 0)
				if value == "" {
					version = ""
					end(histories.Absent, "", "")
				} else {
					end(histories.Done, value, version)
				}
				if random.IntN(8) == 0 {
					end := c.Begin(histories.Call{Kind: histories.Delete})
					r.delete()
					end(histories.Done, "", "")
					continue
				}
				value = fmt.Sprint(i, "/", n)
				end = c.Begin(histories.Call{Kind: histories.Put, Value: value, IfVersion: version})
				if random.IntN(12) == 0 { // lost on the way there, or on the way back
					if random.IntN(2) == 0 {
						_, _ = r.put(value, version)
					}
					end(histories.Unclear, "", "")
					continue
				}
				written, err := r.put(value, version)
				if err != nil {
					end(histories.Refused, "", "")
				} else {
					end(histories.Done, "", written)
				}
			}
		})
	}
	wg.Wait()
}

func TestCorrectOne(t *testing.T) {
	for seed := range uint64(10) {
		h := histories.New()
		run(&register{}, h, 8, 20, seed)
		h.Verify(t)
		if h.Count(histories.Put, histories.Done) == 0 {
			t.Error("nothing was written")
		}
	}
}

// At least one of a few runs finds each planted bug, because two callers have to meet.
func TestPlantedBugs(t *testing.T) {
	for what, r := range map[string]*register{"lost updates": {lostUpdates: true}, "stale reads": {staleReads: true}} {
		t.Run(what, func(t *testing.T) {
			for seed := range uint64(10) {
				h := histories.New()
				run(&register{lostUpdates: r.lostUpdates, staleReads: r.staleReads}, h, 8, 20, seed)
				var found *histories.Error
				if err := h.Check(time.Minute); errors.As(err, &found) {
					return
				} else if err != nil {
					t.Error(err)
				}
			}
			t.Error("the bug was not found")
		})
	}
}

// Read joins what several processes recorded. If a kill cut a call short, it is
// unclear.
func TestFiles(t *testing.T) {
	var files [2]bytes.Buffer
	r := &register{}
	for i := range files {
		h := histories.NewFile(&files[i])
		run(r, h, 4, 5, uint64(i))
		if i == 0 { // the second process writes values of its own
			r.delete()
			c := h.Client()
			c.Begin(histories.Call{Kind: histories.Delete})("done", "", "")
			c.Begin(histories.Call{Kind: histories.Put, Value: "killed"})
		}
		if err := h.Err(); err != nil {
			t.Fatal(err)
		}
	}
	second := strings.ReplaceAll(files[1].String(), `"value":"`, `"value":"b`)
	second = second[:len(second)-1-5] // a torn line
	joined, err := histories.Read(&files[0], strings.NewReader(second))
	if err != nil {
		t.Fatal(err)
	}
	calls := joined.Calls()
	unfinished, clients := 0, 0
	for i, c := range calls {
		clients = max(clients, c.Client)
		if i > 0 && c.Begin < calls[i-1].Begin {
			t.Errorf("%s is before %s", calls[i-1], c)
		}
		if c.Outcome == "" {
			unfinished++
		}
	}
	if len(calls) < 2*4*5*2-1 || unfinished != 2 || clients != 9 {
		t.Errorf("%d calls of %d clients, %d unfinished", len(calls), clients, unfinished)
	}
	joined.Verify(t)
	if _, err := histories.Read(strings.NewReader("{]")); err == nil {
		t.Error("Read accepted a file that is not JSON")
	}
}

func TestUnwritableFile(t *testing.T) {
	h := histories.NewFile(failing{})
	h.Client().Begin(histories.Call{Kind: histories.Delete})
	if h.Err() == nil {
		t.Error("Err is nil after a write that failed")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }
