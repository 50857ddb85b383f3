package nebula_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/livetest"
	"github.com/nebula-credential/nebula/middleware"
	"github.com/nebula-credential/nebula/provider/vault"
)

// liveStore is a store on a real Vault, in several "processes". The time that a
// rotation waits for writers passes at once, when no write is under way: each
// has ended by then, or was refused for the age of its keyring.
type liveStore struct {
	config vault.Config
	key    nebula.Key
	ahead  atomic.Int64 // how far the clock of all processes is ahead
	writes sync.RWMutex
}

func (l *liveStore) now() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

func (l *liveStore) pass(d time.Duration) {
	l.writes.Lock()
	defer l.writes.Unlock()
	l.ahead.Add(int64(d))
}

func (l *liveStore) open(t *testing.T) (*nebula.Store, nebula.Provider) {
	t.Helper()
	bare, err := vault.New(l.config)
	if err != nil {
		t.Fatal(err)
	}
	p := middleware.Stack(bare, middleware.Options{})
	s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{l.key}, Now: l.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	nebula.PassTime(s, l.pass)
	return s, p
}

// rotate is a process that rotates. It is stopped when it has looked at so many
// credentials, 0 for never, or when it begins to wait.
func (l *liveStore) rotate(t *testing.T, resume bool, looked int, waiting bool) (nebula.RotateResult, error) {
	t.Helper()
	s, _ := l.open(t)
	defer s.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	return s.Rotate(ctx, nebula.RotateOptions{
		ResumeOnly: resume,
		Progress: func(n, _ int) {
			if n == looked {
				stop()
			}
		},
		Waiting: func(time.Duration) {
			if waiting {
				stop()
			}
		},
	})
}

// A rotation on a real Vault, beside writers and readers, that is stopped in
// its first pass and again while it waits, and is then resumed. Every
// credential can be read at all times; in the end none is under the old key,
// and no acknowledged write is lost.
func TestLiveRotate(t *testing.T) {
	const records = 200
	server := livetest.Vault(t)
	l := &liveStore{config: vault.DefaultConfig(), key: newKeyFile(t)}
	l.config.Address, l.config.CACert, l.config.Namespace = server.Address, server.CAFile, ""
	l.config.MountPath = server.Mount(t, 2)
	l.config.Auth.Token = nebula.NewSecret([]byte(server.RootToken))
	s, p := l.open(t)
	if _, err := s.Init(t.Context(), l.key); err != nil {
		t.Fatal(err)
	}
	id := func(i int) nebula.ID { return nebula.ID(fmt.Sprint("x", i)) }
	for i := range records {
		put(t, s, id(i), "0", nebula.PutOptions{IfAbsent: true})
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
		beside.Go(func() { // writes ids of its own
			for n := int64(1); ctx.Err() == nil; n++ {
				i := rand.IntN(records/2)*2 + w
				l.writes.RLock()
				_, err := other.Put(t.Context(), id(i), value(fmt.Sprint(n)), nebula.PutOptions{})
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
	if _, err := l.rotate(t, false, 20, false); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped in its first pass: %v", err)
	}
	if _, err := l.rotate(t, true, 0, true); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped while it waits: %v", err)
	}
	if info, err := s.Keys(t.Context()); err != nil || !info.Rotating || info.ID == old.ID {
		t.Errorf("after it was stopped: %+v, %v", info, err)
	}
	result, err := l.rotate(t, true, 0, false)
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
		if c := get(t, s, id(i)); string(c.Secret.Reveal()) != fmt.Sprint(last[i].Load()) {
			t.Errorf("%s is %q, %d was written last", id(i), c.Secret.Reveal(), last[i].Load())
		}
	}
	keyring := server.API(t, http.MethodGet, l.config.MountPath+"/metadata/"+l.config.PathPrefix+"/.keyring", nil)
	if n := fmt.Sprint(keyring["current_version"]); n != "3" {
		t.Errorf("the keyring was written %s times, want 3: made, switched, ended", n)
	}
}
