package histories

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// EachWritesOnce stores a first record under the name. Then all providers at once write
// one value each over what they read, and try again if another one was first.
func EachWritesOnce(t testing.TB, name nebula.Name, providers []nebula.Provider) *History {
	t.Helper()
	h := New()
	if err := h.Provider(providers[0], name).write(t.Context(), name, "the first", nebula.StoreOptions{}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, bare := range providers {
		p := h.Provider(bare, name)
		wg.Go(func() {
			for {
				err := p.writeOver(t.Context(), name, fmt.Sprint("value of ", i))
				switch {
				case err == nil:
					return
				case !errors.Is(err, nebula.ErrConflict):
					t.Errorf("writer %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return h
}

// writeOver writes over what it reads. Each try seals again, so that no two writes have
// the same bytes.
func (p *Provider) writeOver(ctx context.Context, name nebula.Name, value string) error {
	current, err := p.Retrieve(ctx)
	if err != nil {
		return err
	}
	return p.write(ctx, name, value, nebula.StoreOptions{Precondition: nebula.IfVersion(current.Version), Previous: current.Envelope})
}

func (p *Provider) write(ctx context.Context, name nebula.Name, value string, o nebula.StoreOptions) error {
	now := time.Now().UTC().Truncate(time.Second)
	e, err := nebula.SealRecord([32]byte{}, name, nebula.NewSecret([]byte(value)), nebula.Metadata{CreatedAt: now, LastModified: now})
	if err != nil {
		return err
	}
	_, err = p.Store(ctx, e, o)
	return err
}
