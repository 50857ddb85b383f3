package remote

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/nebula-credential/nebula"
)

// A change that was cut off ends before the next one of its name begins, and
// holds up no other.
func TestChangesKeepTheirOrder(t *testing.T) {
	var c Changes
	a, b := nebula.KeyringName(), nebula.Name{}
	var mu sync.Mutex
	var order []string
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	begun, release := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- c.Do(ctx, a, func(inner context.Context) error {
			close(begun)
			<-release
			note("cut off")
			return inner.Err()
		})
	}()
	<-begun
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Fatalf("the caller was told %v", err)
	}
	next := make(chan error, 1)
	go func() { next <- c.Do(t.Context(), a, func(context.Context) error { note("next"); return nil }) }()
	if err := c.Do(t.Context(), b, func(context.Context) error { note("another name"); return nil }); err != nil {
		t.Fatal(err)
	}
	gone, end := context.WithCancel(t.Context())
	end()
	if err := c.Do(gone, a, func(context.Context) error { note("never"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a change under a context that has ended: %v", err)
	}
	close(release)
	if err := <-next; err != nil {
		t.Fatal(err)
	}
	c.Wait()
	if want := []string{"another name", "cut off", "next"}; !slices.Equal(order, want) {
		t.Errorf("the order was %v, want %v", order, want)
	}
	failed := errors.New("refused")
	if err := c.Do(t.Context(), a, func(context.Context) error { return failed }); err != failed {
		t.Errorf("got %v", err)
	}
}
