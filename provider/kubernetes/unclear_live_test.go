package kubernetes_test

import (
	"errors"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// storing is a write in a scene.
type storing struct {
	what      string
	there     acts                             // before
	condition func(*scene) nebula.Precondition // nil for none
	script    steps
	calls     string

	theirs  bool        // what is there then is not ours; in a success, it has come after ours
	kind    nebula.Kind // of the failure; "" if it was stored
	says    string
	unclear bool // the failure says that nobody knows
}

// What a write does and says if a request or an answer of it is lost, and others
// write or delete in between: it is done, refused if its condition did not hold, and
// neither called done nor refused if nobody can know that.
func TestLiveUnclearWrites(t *testing.T) {
	s := livetest.Kubernetes(t)
	namespace := s.Namespace(t)
	for _, c := range unclearWrites {
		t.Run(c.what, func(t *testing.T) {
			x := newScene(t, s, namespace)
			for _, act := range c.there {
				act(x)
			}
			var condition nebula.Precondition
			if c.condition != nil {
				condition = c.condition(x)
			}
			_, e := record(t, "x", "ours", nil)
			var v nebula.Version
			err := x.play(c.script, func() (err error) {
				v, err = x.ours.Store(t.Context(), x.name, e, nebula.StoreOptions{Precondition: condition})
				return err
			}, c.calls)
			stored, current := x.there()
			if ours := stored == string(e.Bytes()); ours == c.theirs {
				t.Errorf("what is stored is ours: %v", ours)
			}
			switch {
			case c.kind != "":
				wants(t, err, c.kind, c.says)
				if errors.Is(err, provider.ErrUnclear) != c.unclear {
					t.Errorf("%v: unclear is %v", err, !c.unclear)
				}
			case err != nil:
				t.Error(err)
			case v == "" || (v == current) == c.theirs:
				t.Errorf("the version is %q, and %q is there", v, current)
			}
		})
	}
}

const notKnown = "whether this was done before is not known"

var unclearWrites = []storing{
	// Anyway.
	{what: "a new one", calls: "PATCH POST"},
	{what: "a new one, the request is lost", calls: "PATCH POST GET PATCH POST",
		script: steps{"POST": {{fault: lost}}}},
	{what: "a new one, the answer is lost", calls: "PATCH POST GET",
		script: steps{"POST": {{fault: unanswered}}}},
	{what: "a new one, others write before it", calls: "PATCH POST PATCH",
		script: steps{"POST": {{before: theyWrite}}}},
	{what: "anyway, others delete before it", there: acts{theyWrite}, calls: "PATCH POST",
		script: steps{"PATCH": {{before: theyDelete}}}},
	{what: "anyway, the server cannot decide", there: acts{theyWrite}, calls: "PATCH PATCH",
		script: steps{"PATCH": {{fault: raced}}}},
	{what: "anyway, the request is lost", there: acts{theyWrite}, calls: "PATCH GET PATCH",
		script: steps{"PATCH": {{fault: lost}}}},
	{what: "anyway, the answer is lost", there: acts{theyWrite}, calls: "PATCH GET",
		script: steps{"PATCH": {{fault: unanswered}}}},
	{what: "anyway, the answer is lost, and others write over it", there: acts{theyWrite}, calls: "PATCH GET", theirs: true,
		script: steps{"PATCH": {{fault: unanswered}}, "GET": {{before: theyWriteOver}}}},
	{what: "anyway, the answer is lost, and others write anything", there: acts{theyWrite}, calls: "PATCH GET PATCH",
		script: steps{"PATCH": {{fault: unanswered}}, "GET": {{before: theyWrite}}}},
	{what: "anyway, the answer is lost, and others delete it", there: acts{theyWrite}, calls: "PATCH GET PATCH POST",
		script: steps{"PATCH": {{fault: unanswered}}, "GET": {{before: theyDelete}}}},
	{what: "anyway, the answer is lost, and nothing may be read", there: acts{theyWrite}, calls: "PATCH GET",
		script: steps{"PATCH": {{fault: unanswered}}, "GET": {{fault: denied}}}, kind: nebula.ErrPermissionDenied},

	// Labels of tags that are no longer there.
	{what: "a tag goes", there: acts{theyWriteTags}, calls: "PATCH PATCH"},
	{what: "a tag goes, others write before that", there: acts{theyWriteTags}, calls: "PATCH PATCH", theirs: true,
		script: steps{"PATCH": {{}, {before: theyWrite}}}},
	{what: "a tag goes, others delete before that", there: acts{theyWriteTags}, calls: "PATCH PATCH", theirs: true,
		script: steps{"PATCH": {{}, {before: theyDelete}}}},
	{what: "a tag goes, the answer is lost", there: acts{theyWriteTags}, calls: "PATCH PATCH GET",
		script: steps{"PATCH": {{}, {fault: unanswered}}}},
	{what: "a tag goes, and that is denied", there: acts{theyWriteTags}, calls: "PATCH PATCH",
		script: steps{"PATCH": {{}, {fault: denied}}}, kind: nebula.ErrPermissionDenied},

	// If absent.
	{what: "if absent", condition: ifAbsent, calls: "POST"},
	{what: "if absent, and there is one", there: acts{theyWrite}, condition: ifAbsent, calls: "POST GET", theirs: true,
		kind: nebula.ErrAlreadyExists},
	{what: "if absent, and others delete it", there: acts{theyWrite}, condition: ifAbsent, calls: "POST GET POST",
		script: steps{"GET": {{before: theyDelete}}}},
	{what: "if absent, the answer is lost", condition: ifAbsent, calls: "POST POST GET",
		script: steps{"POST": {{fault: unanswered}}}},
	{what: "if absent, the answer is lost, and others write over it", condition: ifAbsent, calls: "POST POST GET", theirs: true,
		script: steps{"POST": {{fault: unanswered}, {before: theyWriteOver}}}},
	{what: "if absent, the request is lost, and others write", condition: ifAbsent, calls: "POST POST GET", theirs: true,
		script: steps{"POST": {{fault: lost}, {before: theyWrite}}}, kind: nebula.ErrAlreadyExists, says: notKnown, unclear: true},
	{what: "if absent, and nothing may be read", there: acts{theyWrite}, condition: ifAbsent, calls: "POST GET", theirs: true,
		script: steps{"GET": {{fault: denied}}}, kind: nebula.ErrPermissionDenied},
	{what: "if absent, the answer is lost, and nothing may be read", condition: ifAbsent, calls: "POST POST GET",
		script: steps{"POST": {{fault: unanswered}}, "GET": {{fault: denied}}}, kind: nebula.ErrPermissionDenied},

	// Over a version.
	{what: "over a version", there: acts{theyWrite}, condition: overLast, calls: "PATCH"},
	{what: "over a version that is no longer there", there: acts{theyWrite, theyWriteOver}, condition: overFirst, calls: "PATCH", theirs: true,
		kind: nebula.ErrConflict},
	{what: "over a version that was deleted", there: acts{theyWrite, theyDelete}, condition: overFirst, calls: "PATCH", theirs: true,
		kind: nebula.ErrConflict},
	{what: "over no version of the server's", there: acts{theyWrite}, theirs: true, kind: nebula.ErrConflict,
		condition: func(*scene) nebula.Precondition { return nebula.IfVersion("x") }},
	{what: "over a version, the answer is lost", there: acts{theyWrite}, condition: overLast, calls: "PATCH PATCH GET",
		script: steps{"PATCH": {{fault: unanswered}}}},
	{what: "over a version, the answer is lost, and others write over it", there: acts{theyWrite, weRead}, condition: overLast, calls: "PATCH PATCH GET", theirs: true,
		script: steps{"PATCH": {{fault: unanswered}, {before: theyWriteOver}}}},
	{what: "over a version, the request is lost, and others write over it", there: acts{theyWrite, weRead}, condition: overFirst, calls: "PATCH PATCH GET", theirs: true,
		script: steps{"PATCH": {{fault: lost}, {before: theyWriteOver}}}, kind: nebula.ErrConflict},
	{what: "over a version of ours, the request is lost, and others write over it", there: acts{weWrite}, condition: overFirst, calls: "PATCH PATCH GET", theirs: true,
		script: steps{"PATCH": {{fault: lost}, {before: theyWriteOver}}}, kind: nebula.ErrConflict},
	{what: "over a version, the request is lost, and others write anything", there: acts{theyWrite, weRead}, condition: overFirst, calls: "PATCH PATCH GET", theirs: true,
		script: steps{"PATCH": {{fault: lost}, {before: theyWrite}}}, kind: nebula.ErrConflict, says: notKnown, unclear: true},
	{what: "over a version, the answer is lost, and others delete it", there: acts{theyWrite, weRead}, condition: overLast, calls: "PATCH PATCH GET", theirs: true,
		script: steps{"PATCH": {{fault: unanswered}, {before: theyDelete}}}, kind: nebula.ErrConflict, says: notKnown, unclear: true},
	{what: "over a version, the answer is lost, and nothing may be read", there: acts{theyWrite}, condition: overLast, calls: "PATCH PATCH GET",
		script: steps{"PATCH": {{fault: unanswered}}, "GET": {{fault: denied}}}, kind: nebula.ErrPermissionDenied},

	// A Secret that a patch does not fit.
	{what: "over a version without marks", there: acts{theyWrite, theyUnmark}, condition: overFirst, calls: "PATCH GET", theirs: true,
		kind: nebula.ErrConflict},
	{what: "anyway, without marks", there: acts{theyWrite, theyUnmark}, calls: "PATCH GET PATCH"},
	{what: "anyway, without marks, and nothing may be read", there: acts{theyWrite, theyUnmark}, calls: "PATCH GET", theirs: true,
		script: steps{"GET": {{fault: denied}}}, kind: nebula.ErrPermissionDenied},
	{what: "anyway, without marks, others write meanwhile", there: acts{theyWrite, theyUnmark}, calls: "PATCH GET PATCH PATCH",
		script: steps{"PATCH": {{}, {before: theyWrite}}}},
	{what: "anyway, without labels", there: acts{theyWrite, theyUnlabel}, calls: "PATCH GET PATCH"},
	{what: "anyway, refused for another reason", there: acts{theyWrite}, calls: "PATCH GET", theirs: true,
		script: steps{"PATCH": {{fault: refused}}}, kind: nebula.ErrInternal, says: "422"},
	{what: "anyway, one that is being deleted", there: acts{theyWrite, theyHold}, calls: "PATCH GET PATCH GET PATCH GET", theirs: true,
		kind: nebula.ErrUnavailable, says: "finalizer"},
	{what: "over a version that is being deleted", there: acts{theyWrite, theyHold}, condition: overFirst, calls: "PATCH GET", theirs: true,
		kind: nebula.ErrConflict},
	{what: "if absent, one that is being deleted", there: acts{theyWrite, theyHold}, condition: ifAbsent, calls: "POST GET POST GET POST GET", theirs: true,
		kind: nebula.ErrUnavailable, says: "finalizer"},
}
