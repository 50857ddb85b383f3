package aws

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A turn passes from one to the next, whoever has left meanwhile, and nothing of it is
// left when all have gone.
func TestTurnPasses(t *testing.T) {
	var turns turns
	name := someName(t)
	take := func(ctx context.Context) (bool, func(), error) { return turns.take(ctx, name) }
	waited, first, err := take(t.Context())
	if err != nil || waited {
		t.Fatalf("waited %v, %v", waited, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if waited, _, err := take(ended); !waited || !errors.Is(err, context.Canceled) {
		t.Errorf("waited %v, %v", waited, err)
	}
	patient, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	taken := make(chan func())
	go func() {
		_, second, _ := take(patient)
		taken <- second
	}()
	for writers := 0; writers < 2; {
		turns.mu.Lock()
		writers = turns.taken[name].writers
		turns.mu.Unlock()
	}
	first()
	second := <-taken
	if second == nil {
		t.Fatal("the turn does not pass on")
	}
	if waited, _, err := take(ended); !waited || !errors.Is(err, context.Canceled) {
		t.Errorf("beside the second: waited %v, %v", waited, err)
	}
	second()
	if len(turns.taken) != 0 {
		t.Errorf("%d turns are left", len(turns.taken))
	}
}
