package kubernetes_test

import (
	"errors"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// What a deletion does and says if a request or an answer of it is lost or denied,
// and others write or delete in between: with a condition it takes away that version
// or nothing.
func TestLiveUnclearDeletions(t *testing.T) {
	s := livetest.Kubernetes(t)
	namespace := s.Namespace(t)
	for _, c := range []struct {
		what      string
		there     acts
		condition func(*scene) nebula.Precondition // nil for none
		script    steps
		calls     string

		stays   bool // there is one then
		existed bool
		kind    nebula.Kind // of the failure
		says    string
		unclear bool
	}{
		{what: "none", calls: "GET"},
		{what: "none of the version", there: acts{theyWrite, theyDelete}, condition: overFirst, calls: "GET", kind: nebula.ErrConflict},
		{what: "another version", there: acts{theyWrite, theyWriteOver}, condition: overFirst, calls: "GET", stays: true, kind: nebula.ErrConflict},
		{what: "one that is being deleted", there: acts{theyWrite, theyHold}, calls: "GET"},
		{what: "one that may not be read", there: acts{theyWrite}, calls: "GET", stays: true,
			script: steps{"GET": {{fault: denied}}}, kind: nebula.ErrPermissionDenied},
		{what: "one that may not be deleted", there: acts{theyWrite}, calls: "GET DELETE", stays: true,
			script: steps{"DELETE": {{fault: denied}}}, kind: nebula.ErrPermissionDenied},
		{what: "anyway", there: acts{theyWrite}, calls: "GET DELETE", existed: true},
		{what: "anyway, the request is lost", there: acts{theyWrite}, calls: "GET DELETE GET DELETE", existed: true,
			script: steps{"DELETE": {{fault: lost}}}},
		{what: "anyway, the answer is lost", there: acts{theyWrite}, calls: "GET DELETE GET", existed: true,
			script: steps{"DELETE": {{fault: unanswered}}}},
		{what: "anyway, others write before it", there: acts{theyWrite}, calls: "GET DELETE GET DELETE", existed: true,
			script: steps{"DELETE": {{before: theyWrite}}}},
		{what: "anyway, others delete before it", there: acts{theyWrite}, calls: "GET DELETE",
			script: steps{"DELETE": {{before: theyDelete}}}},
		{what: "the version", there: acts{theyWrite}, condition: overLast, calls: "GET DELETE", existed: true},
		{what: "the version, the answer is lost", there: acts{theyWrite}, condition: overLast, calls: "GET DELETE GET", existed: true,
			script: steps{"DELETE": {{fault: unanswered}}}},
		{what: "the version, the answer is lost, and others write", there: acts{theyWrite}, condition: overFirst, calls: "GET DELETE GET", stays: true,
			script: steps{"DELETE": {{fault: unanswered}}, "GET": {{}, {before: theyWrite}}}, kind: nebula.ErrConflict, says: notKnown, unclear: true},
		{what: "the version, others write before it", there: acts{theyWrite}, condition: overFirst, calls: "GET DELETE GET", stays: true,
			script: steps{"DELETE": {{before: theyWrite}}}, kind: nebula.ErrConflict},
		{what: "the version, others delete before it", there: acts{theyWrite}, condition: overFirst, calls: "GET DELETE",
			script: steps{"DELETE": {{before: theyDelete}}}, kind: nebula.ErrConflict},
	} {
		t.Run(c.what, func(t *testing.T) {
			x := newScene(t, s, namespace)
			for _, act := range c.there {
				act(x)
			}
			var condition nebula.Precondition
			if c.condition != nil {
				condition = c.condition(x)
			}
			var existed bool
			err := x.play(c.script, func() (err error) {
				existed, err = x.ours.Delete(t.Context(), x.name, condition)
				return err
			}, c.calls)
			if stored, _ := x.there(); (stored != "") != c.stays {
				t.Errorf("one is there: %v", stored != "")
			}
			switch {
			case c.kind != "":
				wants(t, err, c.kind, c.says)
				if errors.Is(err, provider.ErrUnclear) != c.unclear {
					t.Errorf("%v: unclear is %v", err, !c.unclear)
				}
			case err != nil || existed != c.existed:
				t.Errorf("%v, %v, want %v", existed, err, c.existed)
			}
		})
	}
}
