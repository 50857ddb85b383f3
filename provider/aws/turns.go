package aws

import (
	"context"
	"sync"

	"github.com/nebula-credential/nebula"
)

// turns let the conditional writes of a name run one after the other. If they
// ran at once, all but one would lose, and leave a version each. The zero value
// is ready.
type turns struct {
	mu    sync.Mutex
	taken map[nebula.Name]*turn
}

type turn struct {
	free    chan struct{} // holds a value while nobody has the turn
	writers int           // that have it or wait for it
}

// take returns when it is the caller's turn, and whether it had to wait. The
// caller must call done at the end.
func (t *turns) take(ctx context.Context, name nebula.Name) (waited bool, done func(), err error) {
	t.mu.Lock()
	if t.taken == nil {
		t.taken = make(map[nebula.Name]*turn)
	}
	mine := t.taken[name]
	if mine == nil {
		mine = &turn{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		t.taken[name] = mine
	}
	mine.writers++
	waited = mine.writers > 1
	t.mu.Unlock()
	select {
	case <-mine.free:
		return waited, func() { mine.free <- struct{}{}; t.leave(name, mine) }, nil
	case <-ctx.Done():
		t.leave(name, mine)
		return waited, nil, ctx.Err()
	}
}

func (t *turns) leave(name nebula.Name, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.writers--; mine.writers == 0 {
		delete(t.taken, name)
	}
}
