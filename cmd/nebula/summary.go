package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nebula-credential/nebula"
)

// summary sorts the results.
type summary struct {
	done, absent, notBegun []nebula.ID
	failed                 []entryFailure
	errs                   []error
	total                  int
}

type entryFailure struct {
	ID      nebula.ID   `json:"id"`
	Kind    nebula.Kind `json:"kind"`
	Message string      `json:"message"`
}

func (a *app) summarise(ids []nebula.ID, results []*result) summary {
	s := summary{done: []nebula.ID{}, absent: []nebula.ID{}, failed: []entryFailure{}, total: len(ids)}
	for i, r := range results {
		switch id := ids[i]; {
		case r == nil:
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

// String returns one line.
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

// endOf returns the reason why the run ended early, or the first failure. It
// warns of the other failures.
func (a *app) endOf(v verb, provider string, s summary, stopped error) error {
	a.warnOf(s, stopped == nil)
	left := len(s.notBegun) + len(s.errs)
	switch {
	case len(s.notBegun) == 0 && len(s.errs) > 0:
		return s.errs[0]
	case len(s.notBegun) == 0:
		return nil
	case errors.Is(stopped, context.Canceled):
		return &nebula.Error{Kind: nebula.ErrInterrupted, Op: v.name,
			Message: fmt.Sprintf("interrupted; %d of %d are not done", left, s.total), Hint: "run it again for the rest"}
	case errors.Is(stopped, context.DeadlineExceeded):
		return stopped
	}
	return &nebula.Error{Kind: nebula.KindOf(stopped), Op: v.name, Provider: provider, Err: stopped,
		Message: fmt.Sprintf("stopped, since the backend keeps failing; %d of %d are not done: %s",
			left, s.total, a.failureOf(stopped).Message),
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
