package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// verb is what a command does to each of many credentials.
type verb struct {
	name, participle, gerund string // delete, deleted, deleting

	// do reports whether there was something to do it to.
	do func(ctx context.Context, store *config.Opened, id nebula.ID) (existed bool, err error)
}

// many runs a verb over many credentials, some at once, as many as the store
// allows. It begins no more after the end of its context or when the backend
// keeps failing, and finishes what is under way.
type many struct {
	store    *config.Opened
	provider string
	jobs     int // at once
	verb     verb
	ids      []nebula.ID
	tell     func(done int) // progress

	mu      sync.Mutex
	next    int
	results []result // by the place in ids
	ended   int
	inARow  int   // failures that tell of the backend, with no success between
	stop    error // why no more is begun
}

type result struct {
	begun, existed bool
	err            error
}

// run returns when nothing is under way any more.
func (m *many) run(ctx context.Context) {
	m.results = make([]result, len(m.ids))
	work := newDeadline(context.WithoutCancel(ctx), 0)
	defer work.stop()
	// A signal lets what is under way finish. The command's time does not.
	stop := context.AfterFunc(ctx, func() {
		if err := ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
			work.end(err)
		}
	})
	defer stop()
	var group sync.WaitGroup
	for range min(m.jobs, len(m.ids)) {
		group.Go(func() {
			for i, ok := m.take(ctx); ok; i, ok = m.take(ctx) {
				existed, err := m.verb.do(work, m.store, m.ids[i])
				m.note(i, existed, err)
			}
		})
	}
	group.Wait()
}

// take returns the place of the next credential, unless no more is begun.
func (m *many) take(ctx context.Context) (int, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stop == nil && ctx.Err() != nil {
		m.stop = ctx.Err()
	}
	if m.stop != nil || m.next == len(m.ids) {
		return 0, false
	}
	m.next++
	m.results[m.next-1].begun = true
	return m.next - 1, true
}

// note keeps a result. As many failures in a row as there are at once, each
// after the retries of its own, mean that the rest would fail too.
func (m *many) note(i int, existed bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.results[i].existed, m.results[i].err = existed, err
	m.ended++
	m.tell(m.ended)
	switch nebula.KindOf(err) {
	case nebula.ErrUnavailable, nebula.ErrTimeout, nebula.ErrUnauthenticated:
		m.inARow++
	default:
		m.inARow = 0
	}
	if m.stop == nil && (m.inARow >= m.jobs || errors.Is(err, nebula.ErrNotInitialised)) {
		m.stop = err
	}
}

// summary sorts the results.
type summary struct {
	done, absent, notBegun []nebula.ID
	failed                 []entryFailure
	errs                   []error
}

type entryFailure struct {
	ID      nebula.ID   `json:"id"`
	Kind    nebula.Kind `json:"kind"`
	Message string      `json:"message"`
}

func (a *app) summarise(m *many) summary {
	s := summary{done: []nebula.ID{}, absent: []nebula.ID{}, failed: []entryFailure{}}
	for i, r := range m.results {
		id := m.ids[i]
		switch {
		case !r.begun:
			s.notBegun = append(s.notBegun, id)
		case r.err != nil:
			f := a.failureOf(r.err)
			s.failed = append(s.failed, entryFailure{id, f.Kind, f.Message})
			s.errs = append(s.errs, r.err)
		case r.existed:
			s.done = append(s.done, id)
		default:
			s.absent = append(s.absent, id)
		}
	}
	return s
}

// overMany runs a verb over credentials and says what became of them, in JSON or
// in a line, unless it is about no store at all. It returns the first failure.
func (a *app) overMany(ctx context.Context, store *config.Opened, ids []nebula.ID, v verb) error {
	total := len(ids)
	bar := &progress{}
	if total > 1 {
		bar = a.progress(v.gerund, total)
	}
	m := &many{store: store, provider: store.Describe().Provider, jobs: max(1, store.MaxConcurrency), verb: v, ids: ids, tell: bar.set}
	m.run(ctx)
	bar.end()
	s := a.summarise(m)
	var err error
	if a.global.output == outputJSON {
		err = a.printSummary(s, v)
	} else if len(s.failed) == 0 || total > 1 && !errors.Is(m.stop, nebula.ErrNotInitialised) {
		a.tell(s.String(v))
	}
	if failure := a.endOf(m, s); failure != nil {
		return failure
	}
	return err
}

func (a *app) printSummary(s summary, v verb) error {
	shape, err := s.shape(v)
	if err != nil {
		return err
	}
	return outputError(writeJSON(a.stdout, shape))
}

// shape is the summary for JSON: {"deleted":[…],"absent":[…],…}.
func (s summary) shape(v verb) (json.RawMessage, error) {
	rest, err := json.Marshal(struct {
		Absent   []nebula.ID    `json:"absent"`
		Failed   []entryFailure `json:"failed"`
		NotBegun []nebula.ID    `json:"not_begun,omitempty"`
	}{s.absent, s.failed, s.notBegun})
	if err != nil {
		return nil, err
	}
	done, err := json.Marshal(map[string][]nebula.ID{v.participle: s.done})
	return append(append(done[:len(done)-1], ','), rest[1:]...), err
}

// String gives one line.
func (s summary) String(v verb) string {
	if len(s.absent)+len(s.failed)+len(s.notBegun) == 0 {
		return v.participle + " " + plural(len(s.done))
	}
	text := fmt.Sprintf("%s %d", v.participle, len(s.done))
	if len(s.absent) > 0 {
		text += ", not there: " + joinIDs(s.absent)
	}
	if n := len(s.failed); n > 0 {
		text += fmt.Sprintf(", failed: %d", n)
	}
	if n := len(s.notBegun); n > 0 {
		text += fmt.Sprintf(", not begun: %d", n)
	}
	return text
}

// endOf warns of all failures but the first, which it returns, or says why the
// run ended early.
func (a *app) endOf(m *many, s summary) error {
	if errors.Is(m.stop, nebula.ErrNotInitialised) {
		return m.stop // which is about no credential
	}
	a.warnOf(s, m.stop == nil)
	switch {
	case m.stop == nil && len(s.errs) == 0:
		return nil
	case m.stop == nil:
		return s.errs[0]
	case len(s.notBegun) == 0 && len(s.errs) > 0:
		return s.errs[0]
	case len(s.notBegun) == 0:
		return nil
	case errors.Is(m.stop, context.Canceled):
		return &nebula.Error{Kind: nebula.ErrInterrupted, Op: m.verb.name, Err: m.stop,
			Message: fmt.Sprintf("interrupted; %d of %d are not done", len(s.notBegun), len(m.ids)), Hint: "run it again for the rest"}
	case errors.Is(m.stop, context.DeadlineExceeded) && len(s.errs) == 0:
		return m.stop
	}
	return &nebula.Error{Kind: nebula.KindOf(m.stop), Op: m.verb.name, Provider: m.provider, Err: m.stop,
		Message: fmt.Sprintf("stopped, since the backend keeps failing; %d of %d are not done: %s",
			len(s.notBegun)+len(s.errs), len(m.ids), a.failureOf(m.stop).Message),
		Hint: "run it again for the rest"}
}

// warnOf reports each reason of failures once, with the other credentials that
// failed for it. The caller may report the first failure itself.
func (a *app) warnOf(s summary, firstIsTold bool) {
	const most = 20 // reasons
	var reasons []string
	failed := make(map[string][]nebula.ID)
	for i, err := range s.errs {
		f := a.failureOf(err)
		reason := f.Message
		failed[reason] = append(failed[reason], s.failed[i].ID)
		switch first := len(failed[reason]) == 1; {
		case !first:
		case len(reasons) == most:
			delete(failed, reason)
		default:
			reasons = append(reasons, reason)
			if i > 0 || !firstIsTold {
				a.warn(f.String())
			}
		}
	}
	told := 0
	for _, reason := range reasons {
		ids := failed[reason]
		told += len(ids)
		if len(ids) > 1 {
			a.warn("failed for the same reason as " + string(ids[0]) + ": " + joinIDs(ids[1:]))
		}
	}
	if more := len(s.errs) - told; more > 0 {
		a.warn(fmt.Sprintf("%d more failed", more))
	}
}

// joinIDs names credentials, as far as they fit.
func joinIDs(ids []nebula.ID) string {
	const most = 10
	var b strings.Builder
	for i, id := range ids {
		if i == most {
			fmt.Fprintf(&b, ", and %d more", len(ids)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(id))
	}
	return b.String()
}
