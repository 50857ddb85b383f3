package many

import "context"

// maxSmall is the size in bytes up to which an item is small.
const maxSmall = 32 << 10

// Room limits the memory of work on items whose size is known only when they are
// read. It allows as many small ones under way as there are jobs, and a few large
// ones.
type Room struct{ places chan struct{} }

// NewRoom returns room for n large items, at least 1.
func NewRoom(n int) *Room { return &Room{places: make(chan struct{}, max(1, n))} }

// Enter returns the place of an item that is about to be read. It waits until
// there is one, or the context has ended.
func (r *Room) Enter(ctx context.Context) (*Place, error) {
	select {
	case r.places <- struct{}{}:
		return &Place{room: r}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Place is the place of one item, for one goroutine.
type Place struct {
	room *Room
	left bool
}

// Sized takes the size of the item in bytes. A small item no longer needs a place.
func (p *Place) Sized(size int) {
	if size <= maxSmall {
		p.Leave()
	}
}

// Leave gives the place to the next. It may be called twice.
func (p *Place) Leave() {
	if !p.left {
		p.left = true
		<-p.room.places
	}
}
