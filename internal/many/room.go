package many

import "context"

// maxSmall is the size in bytes up to which an item is small.
const maxSmall = 32 << 10

// Room bounds the memory of work on items whose size is known only when they are
// read: it lets as many small ones be under way as there are jobs, and a few large
// ones.
type Room struct{ places chan struct{} }

// NewRoom returns room for n large items, at least 1.
func NewRoom(n int) *Room { return &Room{places: make(chan struct{}, max(1, n))} }

// Enter returns, when there is a place or the context has ended, the place of an
// item that is about to be read.
func (r *Room) Enter(ctx context.Context) (*Place, error) {
	select {
	case r.places <- struct{}{}:
		return &Place{room: r}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Place is that of one item, for one goroutine.
type Place struct {
	room *Room
	left bool
}

// Sized is told the size in bytes of what was read. A small item needs no place any
// longer.
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
