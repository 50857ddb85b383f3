package nebula_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// longTests is the variable with which the tests of histories run for minutes.
const longTests = "NEBULA_TEST_LONG"

// rotations returns how many rotations a test makes.
func rotations(short, long int) int64 {
	if os.Getenv(longTests) != "" {
		return int64(long)
	}
	return int64(short)
}

// history records what clients did to credentials, and when.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

// access is one operation. A read returns the value, or "" if there is none.
type access struct {
	id    nebula.ID
	write bool
	value string
}

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

func (h *history) record(client int, input access, call int64, output string) {
	ended := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: input, Call: call, Output: output, Return: ended})
}

// check fails unless every read gave what the last write had left.
func (h *history) check(t *testing.T) {
	t.Helper()
	register := porcupine.Model{
		Partition: func(ops []porcupine.Operation) (parts [][]porcupine.Operation) {
			byID := make(map[nebula.ID][]porcupine.Operation)
			for _, op := range ops {
				id := op.Input.(access).id
				byID[id] = append(byID[id], op)
			}
			for _, part := range byID {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return "" },
		Step: func(state, input, output any) (bool, any) {
			if a := input.(access); a.write {
				return true, a.value
			}
			return state == output, state
		},
	}
	if result := porcupine.CheckOperationsTimeout(register, h.ops, 5*time.Minute); result != porcupine.Ok {
		t.Errorf("the history of %d operations is %s", len(h.ops), result)
	}
}

// use makes a client write, read and delete until the context ends.
func (h *history) use(ctx context.Context, t *testing.T, client int, open func() *nebula.Store, pace func(func())) {
	s := open()
	for n := 0; ctx.Err() == nil && !t.Failed(); n++ {
		if rand.IntN(50) == 0 {
			s = open() // another process
		}
		a := access{id: nebula.ID(fmt.Sprint("x", rand.IntN(6))), write: rand.IntN(3) == 0}
		call, got := h.now(), ""
		var err error
		pace(func() {
			switch {
			case a.write && rand.IntN(20) == 0:
				_, err = s.Delete(context.Background(), a.id, nebula.DeleteOptions{})
			case a.write:
				a.value = fmt.Sprint(client, ".", n)
				_, err = s.Put(context.Background(), a.id, value(a.value), nebula.PutOptions{})
			default:
				var c nebula.Credential
				c, err = s.Get(context.Background(), a.id)
				got = string(c.Secret.Reveal())
				if errors.Is(err, nebula.ErrNotFound) {
					err = nil
				}
			}
		})
		if err != nil {
			t.Errorf("client %d, %+v: %v", client, a, err)
			return
		}
		h.record(client, a, call, got)
		time.Sleep(rand.N(200 * time.Microsecond))
	}
}

// rotator replaces the data key again and again, and destroys old ones. Each call is a
// new process, and some are interrupted.
type rotator struct {
	open func(kill *atomic.Bool) *nebula.Store
	made sync.Map // ids of data keys whose rotation a call has ended
	done atomic.Int64
	cut  atomic.Int64 // calls that were interrupted
}

func (r *rotator) run(t *testing.T, enough int64) {
	for r.done.Load() < enough && !t.Failed() {
		var kill atomic.Bool
		s := r.open(&kill)
		ctx, cancel := context.WithCancel(t.Context())
		if rand.IntN(3) == 0 {
			time.AfterFunc(rand.N(8*time.Millisecond), func() { kill.Store(true); cancel() })
		}
		result, err := s.Rotate(ctx, nebula.RotateOptions{})
		if err == nil {
			if _, twice := r.made.LoadOrStore(result.KeyID, true); !twice {
				r.done.Add(1)
			}
			err = destroyOld(ctx, s, 5)
		}
		switch {
		case err != nil && !kill.Load():
			t.Errorf("rotating: %v", err)
		case err != nil:
			r.cut.Add(1)
		}
		cancel()
	}
}

// destroyOld destroys all but the newest retired keys.
func destroyOld(ctx context.Context, s *nebula.Store, kept int) error {
	info, err := s.Keys(ctx)
	if err != nil {
		return err
	}
	for _, id := range info.Retired[min(kept, len(info.Retired)):] {
		err := s.DestroyKey(ctx, id, nebula.DestroyOptions{})
		// Another process may have destroyed it. If a record needed it, that would be the
		// fault that this test looks for.
		if err != nil && !errors.Is(err, nebula.ErrNotFound) {
			return err
		}
	}
	return nil
}

// endure runs rotators and clients at the same time until there were enough rotations.
// Then it checks what the clients saw.
func endure(t *testing.T, r *rotator, enough int64, open func() *nebula.Store, pace func(func())) {
	h := &history{began: time.Now()}
	ctx, stop := context.WithCancel(t.Context())
	var clients, rotators sync.WaitGroup
	for client := range 4 {
		clients.Go(func() { h.use(ctx, t, client, open, pace) })
	}
	for range 3 {
		rotators.Go(func() { r.run(t, enough) })
	}
	rotators.Wait()
	stop()
	clients.Wait()
	h.check(t)
	wantOneKey(t, open())
	t.Logf("%d rotations, %d interrupted, %d operations of clients", r.done.Load(), r.cut.Load(), len(h.ops))
}

// wantOneKey finishes a rotation, destroys every retired key and reads everything.
func wantOneKey(t *testing.T, s *nebula.Store) {
	t.Helper()
	if _, err := s.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := destroyOld(t.Context(), s, 0); err != nil {
		t.Fatal(err)
	}
	for e, err := range s.List(t.Context(), nebula.ListOptions{Verify: true}) {
		if err != nil || e.Err != nil {
			t.Errorf("at the end %q cannot be read: %v, %v", e.ID, err, e.Err)
		}
	}
}

// killing lets no call through after the process was killed. A call under way may still
// take effect.
func killing(kill *atomic.Bool) provider.Interceptor {
	return func(ctx context.Context, c provider.Call, next func(context.Context) error) error {
		if c.Op == provider.OpConnect {
			return next(ctx)
		}
		time.Sleep(rand.N(200 * time.Microsecond)) // others may come in between
		if kill.Load() {
			return errKilled
		}
		err := next(context.WithoutCancel(ctx))
		if kill.Load() {
			return errKilled
		}
		return err
	}
}

// killable is the remote backend for a process that may be killed.
type killable struct {
	*remote
	kill *atomic.Bool
}

func (k killable) Store(ctx context.Context, n nebula.Name, e *nebula.Envelope, o nebula.StoreOptions) (v nebula.Version, err error) {
	err = killing(k.kill)(ctx, provider.Call{}, func(ctx context.Context) (err error) {
		v, err = k.remote.Store(ctx, n, e, o)
		return err
	})
	return v, err
}

func (k killable) Retrieve(ctx context.Context, n nebula.Name) (r nebula.Record, err error) {
	err = killing(k.kill)(ctx, provider.Call{}, func(ctx context.Context) (err error) {
		r, err = k.remote.Retrieve(ctx, n)
		return err
	})
	return r, err
}

// Three processes rotate at once and are killed at random, while others write, read
// and delete. The backend compares the keyring. Every record can be read at all times,
// and no read is stale.
func TestRotateHistoriesWhereTheKeyringIsCompared(t *testing.T) {
	f := newFixture(t)
	open := func(options ...provider.Option) *nebula.Store {
		s, err := nebula.Open(t.Context(), f.connect(t, options...), nebula.Options{Keys: []nebula.Key{f.key}})
		if err != nil {
			t.Error(err)
		}
		return s
	}
	r := &rotator{open: func(kill *atomic.Bool) *nebula.Store { return open(provider.WithInterceptors(killing(kill))) }}
	endure(t, r, rotations(150, 1000), func() *nebula.Store { return open() }, func(do func()) { do() })
}

// The same, if the backend does not compare: writers hold a keyring for up to a minute,
// and lists are late. The clock moves in steps between the operations of clients.
func TestRotateHistoriesWhereTheKeyringIsNotCompared(t *testing.T) {
	backend := newRemote()
	backend.description.ListLag = 30 * time.Second
	key := newKeyFile(t)
	var passing sync.RWMutex
	pass := func(d time.Duration) {
		const step = 5 * time.Second
		for ; d > 0; d -= step {
			passing.Lock()
			backend.clock.advance(min(d, step))
			passing.Unlock()
		}
	}
	open := func(p nebula.Provider) *nebula.Store {
		s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{key}, Now: backend.clock.now})
		if err != nil {
			t.Error(err)
		}
		nebula.PassTime(s, pass)
		return s
	}
	if _, err := open(backend).Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	r := &rotator{open: func(kill *atomic.Bool) *nebula.Store { return open(killable{backend, kill}) }}
	endure(t, r, rotations(60, 1000), func() *nebula.Store { return open(backend) }, func(do func()) {
		passing.RLock()
		defer passing.RUnlock()
		do()
	})
}

// The same with processes that are killed, on files.
func TestRotateHistoriesOnFiles(t *testing.T) {
	dir := t.TempDir()
	if err := nebula.CreateKeyFile(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	open := func() *nebula.Store {
		s, err := openLocal(t.Context(), dir)
		if err != nil {
			t.Error(err)
		}
		return s
	}
	s := open()
	defer s.Close()
	if _, err := s.Init(t.Context(), &nebula.KeyFile{Path: filepath.Join(dir, "key")}); err != nil {
		t.Fatal(err)
	}
	enough := rotations(15, 1000)
	h := &history{began: time.Now()}
	r := &rotator{}
	ctx, stop := context.WithCancel(t.Context())
	var clients, rotators sync.WaitGroup
	for client := range 3 {
		own := open()
		defer own.Close()
		clients.Go(func() { h.use(ctx, t, client, func() *nebula.Store { return own }, func(do func()) { do() }) })
	}
	for range 3 {
		rotators.Go(func() {
			for r.done.Load() < enough && !t.Failed() {
				r.process(t, dir)
			}
		})
	}
	rotators.Wait()
	stop()
	clients.Wait()
	h.check(t)
	wantOneKey(t, s)
	t.Logf("%d rotations, %d interrupted, %d operations of clients", r.done.Load(), r.cut.Load(), len(h.ops))
}

// process runs one rotation in a process of its own, which may be killed.
func (r *rotator) process(t *testing.T, dir string) {
	rotation := exec.Command(os.Args[0])
	rotation.Env = append(os.Environ(), rotateIn+"="+dir)
	var made bytes.Buffer
	var problem strings.Builder
	rotation.Stdout, rotation.Stderr = &made, &problem
	if err := rotation.Start(); err != nil {
		t.Error(err)
		return
	}
	if rand.IntN(3) == 0 {
		timer := time.AfterFunc(rand.N(60*time.Millisecond), func() { _ = rotation.Process.Kill() })
		defer timer.Stop()
	}
	err := rotation.Wait()
	if err != nil {
		r.cut.Add(1)
	}
	if problem.Len() > 0 {
		t.Errorf("rotating failed: %s", problem.String())
	}
	if _, twice := r.made.LoadOrStore(made.String(), true); err == nil && !twice {
		r.done.Add(1)
	}
}
