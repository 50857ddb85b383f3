package vault_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// storing is a write in a scene.
type storing struct {
	what      string
	there     []func(*scene)                   // what others did before
	condition func(*scene) nebula.Precondition // nil for none
	tags      map[string]string
	script    map[string][]step
	calls     string

	versions int         // that there are then; 0: not looked at
	kind     nebula.Kind // of the failure; "" if it was stored
	says     string
	unclear  bool // the failure says that nobody knows
}

func (c storing) run(t *testing.T, s *livetest.VaultServer, mount string) {
	t.Helper()
	x := newScene(t, s, mount)
	for _, act := range c.there {
		act(x)
	}
	var condition nebula.Precondition
	if c.condition != nil {
		condition = c.condition(x)
	}
	_, e := record(t, "x", "ours", c.tags)
	var v nebula.Version
	err := x.play(c.script, func() (err error) {
		v, err = x.ours.Store(t.Context(), x.name, e, nebula.StoreOptions{Precondition: condition})
		return err
	}, c.calls)
	if c.versions != 0 && x.versions() != c.versions {
		t.Errorf("there are %d versions, want %d", x.versions(), c.versions)
	}
	if c.kind != "" {
		wants(t, err, c.kind, c.says)
		if errors.Is(err, provider.ErrUnclear) != c.unclear {
			t.Errorf("%v: unclear is %v", err, !c.unclear)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	retriever, _ := nebula.As[nebula.VersionRetriever](x.theirs)
	if got, err := retriever.RetrieveVersion(t.Context(), x.name, v); err != nil || string(got.Envelope.Bytes()) != string(e.Bytes()) {
		t.Errorf("version %q is not ours: %v", v, err)
	}
}

// The acts of a scene, for short.
var (
	theyWrite, theyWriteTwice, theyDelete = (*scene).write, (*scene).writeTwice, (*scene).remove
	theyPurge, theyReplace                = (*scene).purge, (*scene).replace
	weRead, weDelete, wePurge             = (*scene).read, (*scene).removeOurs, (*scene).purgeOurs
	weMayNotPatch                         = (*scene).learnNoPatch
	overFirst, overLast                   = (*scene).first, (*scene).last
)

type (
	acts  = []func(*scene)
	steps = map[string][]step
)

// What a write does and says if a request or an answer of it is lost, and others
// write, delete or purge in between: it is done once, refused if its condition did
// not hold, and neither called done nor refused if nobody can know that.
func TestLiveUnclearWrites(t *testing.T) {
	s := livetest.Vault(t)
	mount, demanding := s.Mount(t, 2), s.Mount(t, 2)
	s.API(t, http.MethodPost, demanding+"/config", map[string]any{"cas_required": true})
	for condition, table := range map[string][]storing{"anyway": unclearAnyway, "if absent": unclearAbsent, "over a version": unclearOver} {
		for _, c := range table {
			if condition == "if absent" {
				c.condition = (*scene).absent
			}
			t.Run(condition+", "+c.what, func(t *testing.T) { c.run(t, s, mount) })
		}
	}
	for _, c := range demanded {
		t.Run("on the engine's demand, "+c.what, func(t *testing.T) { c.run(t, s, demanding) })
	}
}

// A write without a condition looks for the one before, if that may have been done.
var unclearAnyway = []storing{
	{what: "the request is lost", versions: 1,
		script: steps{"POST data": {{fault: lost}}},
		calls:  "POST data, GET metadata, POST data, POST metadata"},
	{what: "the request is lost, over another", there: acts{theyWrite}, versions: 2,
		script: steps{"POST data": {{fault: lost}}},
		calls:  "POST data, GET metadata, GET data, POST data"},
	{what: "the request is lost, over a deleted one", there: acts{theyWriteTwice, theyDelete}, versions: 3,
		script: steps{"POST data": {{fault: lost}}},
		calls:  "POST data, GET metadata, GET data, GET data, POST data"},
	{what: "the answer is lost", versions: 1,
		script: steps{"POST data": {{fault: unanswered}}},
		calls:  "POST data, GET metadata, GET data, POST metadata"},
	{what: "the server answers that it failed", there: acts{theyWrite}, versions: 2,
		script: steps{"POST data": {{fault: failed}}},
		calls:  "POST data, GET metadata, GET data"},
	{what: "the answer is lost, and the look", there: acts{theyWrite}, versions: 2,
		script: steps{"POST data": {{fault: unanswered}}, "GET metadata": {{fault: lost}}},
		calls:  "POST data, GET metadata, GET metadata, GET data"},
	{what: "others write over it", there: acts{theyWrite}, versions: 4,
		script: steps{"POST data": {{fault: unanswered}}, "GET metadata": {{before: theyWriteTwice}}},
		calls:  "POST data, GET metadata, GET data, GET data, GET data"},
	{what: "the metadata cannot be read", there: acts{theyWrite}, versions: 2,
		script: steps{"POST data": {{fault: unanswered}}, "GET metadata": {{fault: denied}}},
		calls:  "POST data, GET metadata", kind: nebula.ErrPermissionDenied},
	{what: "the version cannot be read", there: acts{theyWrite}, versions: 2,
		script: steps{"POST data": {{fault: unanswered}}, "GET data": {{fault: denied}}},
		calls:  "POST data, GET metadata, GET data", kind: nebula.ErrPermissionDenied},
	{what: "the tags are refused", versions: 1,
		script: steps{"POST metadata": {{fault: denied}}},
		calls:  "POST data, POST metadata", kind: nebula.ErrPermissionDenied, says: "the value was stored, its tags for lists were not: ", unclear: true},
}

// An engine that demands a condition is given the one that holds.
var demanded = []storing{
	{what: "a new one", versions: 1, calls: "POST data, GET metadata, POST data, POST metadata"},
	{what: "over another", there: acts{theyWrite}, versions: 2, calls: "POST data, GET metadata, POST data"},
	{what: "others write before it", there: acts{theyWrite}, versions: 3,
		script: steps{"POST data": {{}, {before: theyWrite}}},
		calls:  "POST data, GET metadata, POST data, GET metadata, POST data"},
	{what: "the metadata cannot be read", there: acts{theyWrite}, versions: 1,
		script: steps{"GET metadata": {{fault: denied}}},
		calls:  "POST data, GET metadata", kind: nebula.ErrPermissionDenied},
}

var unclearAbsent = []storing{
	{what: "the answer is lost", versions: 1,
		script: steps{"POST data": {{fault: unanswered}}},
		calls:  "POST data, POST data, GET metadata, GET metadata, GET data, POST metadata"},
	{what: "the server answers that it failed", versions: 1,
		script: steps{"POST data": {{fault: failed}}},
		calls:  "POST data, POST data, GET metadata, GET metadata, GET data, POST metadata"},
	{what: "there is one", there: acts{theyWrite}, versions: 1,
		calls: "POST data, GET metadata", kind: nebula.ErrAlreadyExists},
	{what: "the request is lost, and others write", versions: 1,
		script: steps{"POST data": {{fault: lost}, {before: theyWrite}}},
		calls:  "POST data, POST data, GET metadata, GET metadata, GET data", kind: nebula.ErrAlreadyExists},
	{what: "over a deleted one", there: acts{theyWrite, theyDelete}, versions: 2,
		calls: "POST data, GET metadata, POST data"},
	{what: "over a deleted one, the answer is lost", there: acts{theyWrite, theyDelete}, versions: 2,
		script: steps{"POST data": {{}, {fault: unanswered}}},
		calls:  "POST data, GET metadata, POST data, POST data, GET metadata, GET metadata, GET data"},
	{what: "over a deleted one, others write before it", there: acts{theyWrite, theyDelete}, versions: 2,
		script: steps{"POST data": {{}, {before: theyWrite}}},
		calls:  "POST data, GET metadata, POST data, GET metadata", kind: nebula.ErrAlreadyExists},
	{what: "the metadata cannot be read", there: acts{theyWrite, theyDelete}, versions: 1,
		script: steps{"GET metadata": {{fault: denied}}},
		calls:  "POST data, GET metadata", kind: nebula.ErrPermissionDenied},
	{what: "the answer is lost, and the metadata cannot be read", versions: 1,
		script: steps{"POST data": {{fault: unanswered}}, "GET metadata": {{}, {fault: denied}}},
		calls:  "POST data, POST data, GET metadata, GET metadata", kind: nebula.ErrPermissionDenied},
	{what: "the answer is lost, and the version cannot be read", versions: 1,
		script: steps{"POST data": {{fault: unanswered}}, "GET data": {{fault: denied}}},
		calls:  "POST data, POST data, GET metadata, GET metadata, GET data", kind: nebula.ErrPermissionDenied},
	{what: "the answer is lost, and others delete it", versions: 1,
		script: steps{"POST data": {{fault: unanswered}, {before: theyDelete}}},
		calls:  "POST data, POST data, GET metadata, GET metadata, GET data, POST data, GET metadata, GET metadata, GET data",
		kind:   nebula.ErrUnavailable, says: "nobody knows", unclear: true},
	{what: "the answer is lost, and others purge it at the last moment",
		script: steps{"POST data": {{fault: unanswered}}, "GET metadata": {{}, {before: theyPurge}}},
		calls:  "POST data, POST data, GET metadata, GET metadata", kind: nebula.ErrAlreadyExists},
	{what: "the tags are lost", versions: 1, tags: map[string]string{"a": "b"},
		script: steps{"POST metadata": {{fault: lost}}},
		calls:  "POST data, POST metadata, POST data, GET metadata, GET metadata, GET data, POST metadata"},
}

var unclearOver = []storing{
	{what: "that was just read, the answer is lost", there: acts{theyWrite, weRead}, condition: overLast, versions: 2,
		script: steps{"PATCH data": {{fault: unanswered}}},
		calls:  "PATCH data, PATCH data, GET metadata, GET data"},
	{what: "the answer is lost", there: acts{theyWrite}, condition: overLast, versions: 2,
		script: steps{"PATCH data": {{fault: unanswered}}},
		calls:  "GET metadata, PATCH data, GET metadata, PATCH data, GET metadata, GET data"},
	{what: "that was just read, the request is lost, and others write", there: acts{theyWrite, weRead}, condition: overFirst, versions: 2,
		script: steps{"PATCH data": {{fault: lost}, {before: theyWrite}}},
		calls:  "PATCH data, PATCH data, GET metadata, GET data", kind: nebula.ErrConflict},
	{what: "the request is lost, and others write", there: acts{theyWrite}, condition: overFirst, versions: 2,
		script: steps{"PATCH data": {{fault: lost}}, "GET metadata": {{}, {before: theyWrite}}},
		calls:  "GET metadata, PATCH data, GET metadata, PATCH data, GET metadata, GET data", kind: nebula.ErrConflict},
	{what: "that was just read, the request is lost, and others delete it", there: acts{theyWrite, weRead}, condition: overFirst, versions: 1,
		script: steps{"PATCH data": {{fault: lost}, {before: theyDelete}}},
		calls:  "PATCH data, PATCH data, GET metadata", kind: nebula.ErrConflict},
	{what: "the request is lost, and others delete it", there: acts{theyWrite}, condition: overFirst, versions: 1,
		script: steps{"PATCH data": {{fault: lost}}, "GET metadata": {{}, {before: theyDelete}}},
		calls:  "GET metadata, PATCH data, GET metadata", kind: nebula.ErrConflict},
	{what: "the request is lost, and others replace all", there: acts{theyWriteTwice, weRead}, condition: overLast, versions: 1,
		script: steps{"PATCH data": {{fault: lost}, {before: theyReplace}}},
		calls:  "PATCH data, PATCH data, GET metadata", kind: nebula.ErrConflict},
	{what: "the answer is lost, and others delete what was written", there: acts{theyWrite, weRead}, condition: overLast, versions: 2,
		script: steps{"PATCH data": {{fault: unanswered}, {before: theyDelete}}},
		calls:  "PATCH data, PATCH data, GET metadata, GET data, PATCH data, GET metadata, GET data",
		kind:   nebula.ErrUnavailable, says: "nobody knows", unclear: true},
	{what: "the look is lost, and the version is no longer current", there: acts{theyWriteTwice, theyDelete}, condition: overFirst, versions: 2,
		script: steps{"GET metadata": {{fault: lost}}},
		calls:  "GET metadata, GET metadata, PATCH data", kind: nebula.ErrConflict},
	{what: "the look is denied", there: acts{theyWrite}, condition: overLast, versions: 1,
		script: steps{"GET metadata": {{fault: denied}}},
		calls:  "GET metadata", kind: nebula.ErrPermissionDenied},
	{what: "the answer is lost, and the metadata cannot be read", there: acts{theyWrite, weRead}, condition: overLast, versions: 2,
		script: steps{"PATCH data": {{fault: unanswered}}, "GET metadata": {{fault: denied}}},
		calls:  "PATCH data, PATCH data, GET metadata", kind: nebula.ErrPermissionDenied},
	{what: "the answer is lost, and the version cannot be read", there: acts{theyWrite, weRead}, condition: overLast, versions: 2,
		script: steps{"PATCH data": {{fault: unanswered}}, "GET data": {{fault: denied}}},
		calls:  "PATCH data, PATCH data, GET metadata, GET data", kind: nebula.ErrPermissionDenied},
	{what: "no version of Vault", there: acts{theyWrite}, versions: 1, kind: nebula.ErrConflict,
		condition: func(*scene) nebula.Precondition { return nebula.IfVersion("x") }},
	{what: "of a purged one, which was read before we deleted it", there: acts{theyWrite, weRead, weDelete, theyReplace}, condition: overFirst, versions: 1,
		calls: "GET metadata", kind: nebula.ErrConflict},

	{what: "of one that was read before we purged it", there: acts{theyWrite, weRead, wePurge, theyWrite}, condition: overFirst, versions: 1,
		calls: "GET metadata", kind: nebula.ErrConflict},

	// A token that may not patch.
	{what: "no patch is allowed", there: acts{theyWrite, weRead}, condition: overLast, versions: 2,
		script: steps{"PATCH data": {{fault: denied}}},
		calls:  "PATCH data, GET metadata, POST data"},
	{what: "no patch is allowed, after a look", there: acts{theyWrite}, condition: overLast, versions: 2,
		script: steps{"PATCH data": {{fault: denied}}},
		calls:  "GET metadata, PATCH data, POST data"},
	{what: "no patch is allowed, and others deleted it", there: acts{theyWrite, weRead, theyDelete}, condition: overLast, versions: 1,
		script: steps{"PATCH data": {{fault: denied}}},
		calls:  "PATCH data, GET metadata", kind: nebula.ErrConflict},
	{what: "the token is no longer valid", there: acts{theyWrite, weRead}, condition: overLast, versions: 1,
		script: steps{"PATCH data": {{fault: invalid}}},
		calls:  "PATCH data", kind: nebula.ErrUnauthenticated},
	{what: "no patch was allowed before", there: acts{theyWrite, weMayNotPatch, weRead}, condition: overLast, versions: 2,
		calls: "GET metadata, POST data"},
	{what: "no patch was allowed before, the answer is lost", there: acts{theyWrite, weMayNotPatch}, condition: overLast, versions: 2,
		script: steps{"POST data": {{fault: unanswered}}},
		calls:  "GET metadata, POST data, GET metadata, POST data, GET metadata, GET data"},
	{what: "no patch was allowed before, the request is lost, and others delete it", there: acts{theyWrite, weMayNotPatch}, condition: overLast, versions: 1,
		script: steps{"POST data": {{fault: lost}}, "GET metadata": {{}, {before: theyDelete}}},
		calls:  "GET metadata, POST data, GET metadata", kind: nebula.ErrConflict},
}
