package providertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// together runs f for 0 to n-1 at once and reports all failures.
func (r *rig) together(n int, f func(i int) error) {
	r.Helper()
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-begin
			if err := f(i); err != nil {
				r.Errorf("goroutine %d: %v", i, err)
			}
		})
	}
	close(begin)
	group.Wait()
	if r.Failed() {
		r.FailNow()
	}
}

// ledger holds the records that were written to one credential, by version.
type ledger struct {
	mu      sync.Mutex
	records map[nebula.Version][]byte
}

func (l *ledger) note(v nebula.Version, raw []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.records[v]; ok && !bytes.Equal(before, raw) {
		return fmt.Errorf("two records have version %q", v)
	}
	l.records[v] = raw
	return nil
}

// concurrentStores: if many write one credential at once, each gets the version of
// its own record, readers only see whole records, and the last record is one of those
// written.
func concurrentStores(r *rig) {
	const writers, readers = 8, 4
	each := max(1, r.many(160)/writers)
	handles := r.handles()
	sealed := make([][]record, writers)
	for i := range sealed {
		for j := range each {
			// The lengths differ, so that a mixture of two records is noticed.
			value := bytes.Repeat([]byte{byte('a' + i)}, 1+i*700+j)
			sealed[i] = append(sealed[i], r.seal("contended", string(value), metadata()))
		}
	}
	name := sealed[0][0].name
	acknowledged := ledger{records: make(map[nebula.Version][]byte)}
	seen := ledger{records: make(map[nebula.Version][]byte)}
	first := r.store(sealed[0][0])
	done, finish := context.WithCancel(r.ctx)
	left := sync.WaitGroup{}
	left.Add(writers)
	go func() { left.Wait(); finish() }()
	r.together(writers+readers, func(i int) error {
		p := handles[i%len(handles)]
		if i >= writers {
			return readWhile(r.ctx, done, p, name, &seen)
		}
		defer left.Done()
		for _, e := range sealed[i] {
			version, err := p.Store(r.ctx, e.name, e.Envelope, nebula.StoreOptions{})
			if err != nil {
				return err
			}
			if err := acknowledged.note(version, e.Bytes()); err != nil {
				return err
			}
		}
		return nil
	})
	last, err := r.p.Retrieve(r.ctx, name)
	r.ok(err, "retrieve the last")
	r.ok(seen.note(last.Version, last.Envelope.Bytes()), "the last")
	if !bytes.Equal(acknowledged.records[last.Version], last.Envelope.Bytes()) {
		r.Errorf("the last record, of version %q, is not an acknowledged one", last.Version)
	}
	acknowledged.records[first] = sealed[0][0].Bytes()
	for version, raw := range seen.records {
		if !bytes.Equal(raw, acknowledged.records[version]) {
			r.Errorf("the record read for version %q is not the acknowledged one", version)
		}
	}
}

// readWhile reads until done and collects what it sees. A torn record would not
// parse, or would not be one of those that were written.
func readWhile(ctx, done context.Context, p nebula.Provider, name nebula.Name, seen *ledger) error {
	for done.Err() == nil {
		got, err := p.Retrieve(ctx, name)
		if err != nil {
			return fmt.Errorf("a reader during writes: %w", err)
		}
		if found, err := p.Exists(ctx, name); err != nil || !found {
			return fmt.Errorf("exists during writes: %v, %w", found, err)
		}
		if err := seen.note(got.Version, got.Envelope.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// concurrentCounter: if many read a number, add one and write it back on condition of
// the version, no addition is lost.
func concurrentCounter(r *rig) {
	r.needAtomic()
	const writers = 4
	each := max(1, r.many(80)/(writers*2))
	handles := r.handles()
	r.store(r.record("counter", "n", "0"))
	name := r.named("counter")
	r.together(writers, func(i int) error {
		for range each {
			if err := addOne(r, handles[i%len(handles)], name); err != nil {
				return err
			}
		}
		return nil
	})
	got, err := r.p.Retrieve(r.ctx, name)
	r.ok(err, "retrieve the counter")
	if n := got.Envelope.Metadata().Tags["n"]; n != strconv.Itoa(writers*each) {
		r.Errorf("the counter is %s after %d additions", n, writers*each)
	}
}

func addOne(r *rig, p nebula.Provider, name nebula.Name) error {
	for range 10_000 {
		got, err := p.Retrieve(r.ctx, name)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(got.Envelope.Metadata().Tags["n"])
		if err != nil {
			return err
		}
		value := nebula.NewSecret([]byte("counted"))
		next, err := nebula.SealRecord(DataKey(), name, value, metadata("n", strconv.Itoa(n+1)))
		if err != nil {
			return err
		}
		_, err = p.Store(r.ctx, name, next, nebula.StoreOptions{Precondition: nebula.IfVersion(got.Version)})
		if err == nil || !errors.Is(err, nebula.ErrConflict) {
			return err
		}
	}
	return errors.New("no addition succeeded in 10,000 tries")
}

// concurrentIfAbsent: if several store with IfAbsent at once, exactly one wins.
func concurrentIfAbsent(r *rig) {
	r.needAtomic()
	for round := range max(1, r.many(80)/racers) {
		r.oneWins(func(i int) record { return r.seal(fmt.Sprint("raced", round), fmt.Sprint("from ", i), metadata()) })
	}
}

// concurrentIfAbsentDeleted: the same holds over a deleted record, which counts
// as absent.
func concurrentIfAbsentDeleted(r *rig) {
	r.needAtomic()
	e := r.record("raced")
	r.store(e)
	r.remove(e.name)
	r.oneWins(func(i int) record { return r.seal("raced", fmt.Sprint("from ", i), metadata()) })
}

// racers is the number of goroutines that compete if only one may win.
const racers = 16

// oneWins stores 16 records under one name at once, with IfAbsent.
func (r *rig) oneWins(make func(i int) record) {
	r.Helper()
	handles := r.handles()
	entrants := [racers]record{}
	for i := range entrants {
		entrants[i] = make(i)
	}
	versions, failures := [racers]nebula.Version{}, [racers]error{}
	r.together(racers, func(i int) error {
		e, p := entrants[i], handles[i%len(handles)]
		versions[i], failures[i] = p.Store(r.ctx, e.name, e.Envelope, nebula.StoreOptions{Precondition: nebula.IfAbsent()})
		return nil
	})
	winner := -1
	for i, err := range failures {
		switch {
		case err != nil:
			r.fails(err, nebula.ErrAlreadyExists, provider.OpStore, entrants[i].name)
		case winner >= 0:
			r.Errorf("%d and %d both won", winner, i)
		default:
			winner = i
		}
	}
	if winner < 0 {
		r.Fatal("nobody won")
	}
	if got := r.holds(entrants[winner]); got != versions[winner] {
		r.Errorf("the winner got version %q, and %q is stored", versions[winner], got)
	}
}

// concurrentDelete: stores and deletions of one name all succeed, and leave
// either nothing or one whole record.
func concurrentDelete(r *rig) {
	each := max(1, r.many(80)/8)
	handles := r.handles()
	e := r.record("flicker")
	r.together(8, func(i int) error {
		p := handles[i%len(handles)]
		for range each {
			var err error
			switch i % 4 {
			case 0, 1:
				_, err = p.Store(r.ctx, e.name, e.Envelope, nebula.StoreOptions{})
			case 2:
				_, err = p.Delete(r.ctx, e.name, nebula.Precondition{})
			case 3:
				_, err = p.Retrieve(r.ctx, e.name)
				if errors.Is(err, nebula.ErrNotFound) {
					err = nil
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	got, err := r.p.Retrieve(r.ctx, e.name)
	if errors.Is(err, nebula.ErrNotFound) {
		r.absent(e.name)
		return
	}
	r.ok(err, "retrieve")
	r.same(got, e)
}

// concurrentIDs: writers of different credentials do not disturb each other.
func concurrentIDs(r *rig) {
	handles := r.handles()
	records := make([]record, r.many(64))
	for i := range records {
		records[i] = r.record(fmt.Sprintf("side_by_side_%02d", i))
	}
	r.together(len(records), func(i int) error {
		e := records[i]
		_, err := handles[i%len(handles)].Store(r.ctx, e.name, e.Envelope, nebula.StoreOptions{})
		return err
	})
	ids := make([]string, len(records))
	for i, e := range records {
		r.holds(e)
		ids[i] = e.name.String()
	}
	r.wantList(nebula.Filter{}, ids...)
}
