package providertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

func idsOf(records map[nebula.ID]record) []string {
	var ids []string
	for id := range maps.Keys(records) {
		ids = append(ids, string(id))
	}
	return ids
}

// reader reads a list by hand and counts how often each id came.
type reader struct {
	nebula.Pager
	counts map[nebula.ID]int
	pages  int
	ended  bool
}

func (r *rig) reader(filter nebula.Filter) *reader {
	pager := r.p.List(r.ctx, filter)
	r.Cleanup(func() { _ = pager.Close() })
	return &reader{Pager: pager, counts: make(map[nebula.ID]int)}
}

// maxPages is far more than any list of the suite can have.
const maxPages = 5000

// page reads the next page, if there is one.
func (l *reader) page(ctx context.Context) error {
	if l.pages++; l.pages > maxPages {
		return errors.New("the list does not end")
	}
	entries, err := l.NextPage(ctx)
	if errors.Is(err, io.EOF) {
		l.ended = true
		return nil
	}
	for _, entry := range entries {
		l.counts[entry.ID]++
	}
	return err
}

// rest reads to the end.
func (l *reader) rest(ctx context.Context) error {
	for !l.ended {
		if err := l.page(ctx); err != nil {
			return err
		}
	}
	return nil
}

// eachOnce fails if a record did not come exactly once.
func (l *reader) eachOnce(want map[nebula.ID]record) error {
	for id := range want {
		if l.counts[id] != 1 {
			return fmt.Errorf("%s was listed %d times", id, l.counts[id])
		}
	}
	if len(l.counts) > len(want) {
		return fmt.Errorf("%d ids were listed, want %d", len(l.counts), len(want))
	}
	return nil
}

// listClose: a pager can be closed before the first page, in the middle, at the
// end, and twice. It gives no entries afterwards.
func listClose(r *rig) {
	r.fill("close", r.many(150))
	for _, pages := range []int{0, 1, 1000} {
		l := r.reader(nebula.Filter{})
		for range pages {
			if r.ok(l.page(r.ctx), "list"); l.ended {
				break
			}
		}
		r.ok(l.Close(), "close")
		r.ok(l.Close(), "close again")
		if entries, err := l.NextPage(r.ctx); err == nil || len(entries) > 0 {
			r.Errorf("a closed list gave %d entries and %v", len(entries), err)
		}
	}
}

// listTwo: two lists at once do not disturb each other, and closing one does not
// disturb the other.
func listTwo(r *rig) {
	all := r.fill("two", r.many(250))
	r.eventually(func() error {
		a, b, c := r.reader(nebula.Filter{}), r.reader(nebula.Filter{}), r.reader(nebula.Filter{Prefix: "two"})
		for !a.ended || !b.ended {
			for _, l := range []*reader{a, b} {
				if err := l.page(r.ctx); err != nil {
					return err
				}
			}
			if !c.ended {
				r.ok(c.Close(), "close")
			}
		}
		return errors.Join(a.eachOnce(all), b.eachOnce(all))
	})
}

// listChanged: a record that exists all the time is listed once, even if others
// are stored and deleted while the list is read.
func listChanged(r *rig) {
	if r.h.Lag > 0 {
		r.Skip("lists are late: what is listed in the meantime is not known")
	}
	n := r.many(240) / 3
	stays, goes := r.fill("stays", n), r.fill("goes", n)
	r.wantList(nebula.Filter{}, slices.Concat(idsOf(stays), idsOf(goes))...)
	l := r.reader(nebula.Filter{})
	r.ok(l.page(r.ctx), "list")
	for _, e := range goes {
		r.remove(e.name)
	}
	comes := r.fill("comes", n)
	r.store(r.record("stays0000"))
	r.store(r.record(fmt.Sprintf("stays%04d", n-1)))
	r.ok(l.rest(r.ctx), "list")
	for id, count := range l.counts {
		_, stayed := stays[id]
		_, went := goes[id]
		_, came := comes[id]
		if count > 1 || !stayed && !went && !came {
			r.Errorf("%s was listed %d times", id, count)
		}
	}
	for id := range stays {
		if l.counts[id] != 1 {
			r.Errorf("%s was there all the time and listed %d times", id, l.counts[id])
		}
	}
}

// listCancelled: if a context ended a page, the page can be read again, and the list
// continues from there.
func listCancelled(r *rig) {
	all := r.fill("cancel", r.many(250))
	r.wantList(nebula.Filter{}, idsOf(all)...)
	cancelled, cancel := context.WithCancel(r.ctx)
	cancel()
	r.eventually(func() error {
		l := r.reader(nebula.Filter{})
		r.fails(l.page(cancelled), nebula.ErrInterrupted, provider.OpList, nebula.Name{})
		for !l.ended {
			r.ok(l.page(r.ctx), "list after a cancelled page")
			// At the end there may be nothing left to cancel.
			if err := l.page(cancelled); err != nil {
				r.fails(err, nebula.ErrInterrupted, provider.OpList, nebula.Name{})
			}
		}
		return l.eachOnce(all)
	})
}

// listParallel: several goroutines list while others store.
func listParallel(r *rig) {
	all := r.fill("parallel", r.many(60))
	r.wantList(nebula.Filter{}, idsOf(all)...)
	r.together(6, func(i int) error {
		if i%2 == 1 {
			id := nebula.ID(fmt.Sprintf("parallel%04d", i))
			_, err := r.p.Store(r.ctx, all[id].name, all[id].Envelope, nebula.StoreOptions{})
			return err
		}
		l := r.reader(nebula.Filter{Prefix: "parallel"})
		return errors.Join(l.rest(r.ctx), l.eachOnce(all))
	})
}
