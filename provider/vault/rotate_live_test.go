package vault_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/vault"
)

// liveStore is a store on a real Vault, in several "processes" with one clock. A
// rotation waits for writers, and that time passes at once when no write is under
// way: each has ended by then.
type liveStore struct {
	config vault.Config
	key    nebula.Key
	ahead  atomic.Int64 // how far the clock of all processes is ahead
	writes sync.RWMutex
}

func (l *liveStore) now() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

// pass lets the time of a rotation's wait pass each time the keyring is read.
func (l *liveStore) pass(ctx context.Context, call provider.Call, next func(context.Context) error) error {
	if call.Op == provider.OpRetrieve && call.Name.IsKeyring() {
		l.writes.Lock()
		l.ahead.Add(int64(2 * time.Minute))
		l.writes.Unlock()
	}
	return next(ctx)
}

func (l *liveStore) open(t *testing.T, outer ...provider.Interceptor) (*nebula.Store, nebula.Provider) {
	t.Helper()
	p, err := vault.New(l.config, provider.WithInterceptors(outer...))
	if err != nil {
		t.Fatal(err)
	}
	s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{l.key}, Now: l.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, p
}

// rotate is a process that rotates or continues a rotation, and may be stopped.
func (l *liveStore) rotate(ctx context.Context, t *testing.T, o nebula.RotateOptions, outer ...provider.Interceptor) (nebula.RotateResult, error) {
	t.Helper()
	s, _ := l.open(t, outer...)
	defer s.Close()
	return s.Rotate(ctx, o)
}

// A rotation on a real Vault runs beside writers and readers. It is stopped in its
// first pass and again while it waits, and is then resumed. Every credential can be
// read at all times. In the end none is under the old key, and no acknowledged write
// is lost.
func TestLiveRotate(t *testing.T) {
	const records = 200
	server := livetest.Vault(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(keyFile); err != nil {
		t.Fatal(err)
	}
	l := &liveStore{config: liveConfig(server, server.Mount(t, 2)), key: &nebula.KeyFile{Path: keyFile}}
	s, p := l.open(t)
	if _, err := s.Init(t.Context(), l.key); err != nil {
		t.Fatal(err)
	}
	id := func(i int) nebula.ID { return nebula.ID(fmt.Sprint("x", i)) }
	for i := range records {
		if _, err := s.Put(t.Context(), id(i), nebula.NewSecret([]byte("0")), nebula.PutOptions{IfAbsent: true}); err != nil {
			t.Fatal(err)
		}
	}
	old, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var last [records]atomic.Int64
	var wrote atomic.Int64
	var beside sync.WaitGroup
	for w := range 2 {
		other, _ := l.open(t)
		beside.Go(func() { // it writes its own ids
			for n := int64(1); ctx.Err() == nil; n++ {
				i := rand.IntN(records/2)*2 + w
				l.writes.RLock()
				_, err := other.Put(t.Context(), id(i), nebula.NewSecret([]byte(fmt.Sprint(n))), nebula.PutOptions{})
				l.writes.RUnlock()
				if err != nil {
					t.Errorf("writing %s: %v", id(i), err)
					return
				}
				last[i].Store(n)
				wrote.Add(1)
			}
		})
		beside.Go(func() {
			for ctx.Err() == nil {
				if _, err := other.Get(t.Context(), id(rand.IntN(records))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	killed, kill := context.WithCancel(t.Context())
	_, err = l.rotate(killed, t, nebula.RotateOptions{Progress: func(n, _ int) {
		if n == 20 {
			kill()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped in its first pass: %v", err)
	}
	// It waits after a pass that found nothing under the old key. Writers pause in
	// that time.
	var rest sync.Once
	killed, kill = context.WithCancel(t.Context())
	_, err = l.rotate(killed, t, nebula.RotateOptions{ResumeOnly: true,
		Progress: func(int, int) { rest.Do(l.writes.Lock) },
		Waiting:  func(nebula.RotateWait) { kill() }})
	rest.Do(l.writes.Lock)
	l.writes.Unlock()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped while it waits: %v", err)
	}
	if info, err := s.Keys(t.Context()); err != nil || !info.Rotating || info.ID == old.ID {
		t.Errorf("after it was stopped: %+v, %v", info, err)
	}
	result, err := l.rotate(t.Context(), t, nebula.RotateOptions{ResumeOnly: true}, l.pass)
	if err != nil || len(result.Left) > 0 || result.KeyID == old.ID {
		t.Errorf("resumed: %+v, %v", result, err)
	}
	stop()
	beside.Wait()
	if wrote.Load() == 0 {
		t.Error("nothing was written beside the rotation")
	}

	info, err := s.Keys(t.Context())
	if err != nil || info.Rotating || info.ID != result.KeyID || len(info.Retired) != 1 || info.Retired[0] != old.ID {
		t.Errorf("the keyring is %+v, %v", info, err)
	}
	for i := range records {
		name, _ := id(i).Name()
		r, err := p.Retrieve(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Envelope.KeyID(); got != info.ID {
			t.Errorf("%s is under %v, not %v", id(i), got, info.ID)
		}
		c, err := s.Get(t.Context(), id(i))
		if err != nil || string(c.Secret.Reveal()) != fmt.Sprint(last[i].Load()) {
			t.Errorf("%s is %q, %d was written last; %v", id(i), c.Secret.Reveal(), last[i].Load(), err)
		}
	}
	keyring := server.API(t, http.MethodGet, l.config.MountPath+"/metadata/"+l.config.PathPrefix+"/.keyring", nil)
	if n := fmt.Sprint(keyring["current_version"]); n != "3" {
		t.Errorf("the keyring was written %s times, want 3: made, switched, ended", n)
	}
}
