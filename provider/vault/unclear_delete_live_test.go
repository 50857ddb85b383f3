package vault_test

import (
	"errors"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/faultproxy"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/provider"
)

// What a deletion does and says if a request or an answer of it is lost or denied,
// and others write or purge in between: it takes away the version that it saw and no
// other, and with a condition says whether that was the current one.
func TestLiveUnclearDeletions(t *testing.T) {
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	for _, c := range []struct {
		what      string
		there     acts
		condition func(*scene) nebula.Precondition // nil for none
		script    steps
		calls     string

		gone    bool // what others wrote first cannot be read any more
		existed bool
		kind    nebula.Kind // of the failure
		says    string
		unclear bool
	}{
		{what: "there is none", calls: "GET metadata", gone: true},
		{what: "there is none of the version", there: acts{theyWrite, theyDelete}, condition: overLast, gone: true,
			calls: "GET metadata", kind: nebula.ErrConflict},
		{what: "there is another version", there: acts{theyWriteTwice}, condition: overFirst,
			calls: "GET metadata", kind: nebula.ErrConflict},
		{what: "anyway", there: acts{theyWrite}, gone: true, existed: true, calls: "GET metadata, POST delete"},
		{what: "anyway, the request is lost", there: acts{theyWrite}, gone: true, existed: true,
			script: steps{"POST delete": {{fault: lost}}},
			calls:  "GET metadata, POST delete, GET metadata, POST delete"},
		{what: "anyway, the answer is lost", there: acts{theyWrite}, gone: true, existed: true,
			script: steps{"POST delete": {{fault: unanswered}}},
			calls:  "GET metadata, POST delete, GET metadata"},
		{what: "anyway, others write before it", there: acts{theyWrite}, gone: true, existed: true,
			script: steps{"POST delete": {{before: theyWrite}}},
			calls:  "GET metadata, POST delete"},
		{what: "the metadata cannot be read", there: acts{theyWrite},
			script: steps{"GET metadata": {{fault: denied}}},
			calls:  "GET metadata", kind: nebula.ErrPermissionDenied},
		{what: "the version", there: acts{theyWrite}, condition: overLast, gone: true, existed: true,
			calls: "GET metadata, POST delete, GET metadata"},
		{what: "the version, the answer is lost", there: acts{theyWrite}, condition: overLast, gone: true, existed: true,
			script: steps{"POST delete": {{fault: unanswered}}},
			calls:  "GET metadata, POST delete, GET metadata"},
		{what: "the version, the answer is lost, and others write", there: acts{theyWrite}, condition: overFirst, gone: true, existed: true,
			script: steps{"POST delete": {{fault: unanswered}}, "GET metadata": {{}, {before: theyWrite}}},
			calls:  "GET metadata, POST delete, GET metadata"},
		{what: "the version, the request is lost, and others write", there: acts{theyWrite}, condition: overFirst,
			script: steps{"POST delete": {{fault: lost}}, "GET metadata": {{}, {before: theyWrite}}},
			calls:  "GET metadata, POST delete, GET metadata", kind: nebula.ErrConflict},
		{what: "the version, others write before it", there: acts{theyWrite}, condition: overFirst,
			script: steps{"POST delete": {{before: theyWrite}}},
			calls:  "GET metadata, POST delete, GET metadata, POST undelete", kind: nebula.ErrConflict},
		{what: "the version, others write before it, and nothing may be undeleted", there: acts{theyWrite}, condition: overFirst, gone: true,
			script: steps{"POST delete": {{before: theyWrite}}, "POST undelete": {{fault: denied}}},
			calls:  "GET metadata, POST delete, GET metadata, POST undelete", kind: nebula.ErrPermissionDenied, says: "undelete", unclear: true},
		{what: "the version, others write after it", there: acts{theyWrite}, condition: overFirst, gone: true, existed: true,
			script: steps{"GET metadata": {{}, {before: theyWrite}}},
			calls:  "GET metadata, POST delete, GET metadata"},
		{what: "the version, others purge it after that", there: acts{theyWrite}, condition: overFirst, gone: true, existed: true,
			script: steps{"GET metadata": {{}, {before: theyPurge}}},
			calls:  "GET metadata, POST delete, GET metadata"},
		{what: "the version, and the metadata cannot be read again", there: acts{theyWrite}, condition: overFirst, gone: true,
			script: steps{"GET metadata": {{}, {fault: denied}}},
			calls:  "GET metadata, POST delete, GET metadata", kind: nebula.ErrPermissionDenied, says: "metadata", unclear: true},
		{what: "the version, and it may not be deleted", there: acts{theyWrite}, condition: overFirst,
			script: steps{"POST delete": {{fault: denied}}},
			calls:  "GET metadata, POST delete", kind: nebula.ErrPermissionDenied, says: "/delete/"},

		// A token that may only delete the latest version.
		{what: "anyway, the latest alone", there: acts{theyWrite}, gone: true, existed: true,
			script: steps{"POST delete": {{fault: denied}}},
			calls:  "GET metadata, POST delete, DELETE data"},
		{what: "anyway, and not the latest either", there: acts{theyWrite},
			script: steps{"POST delete": {{fault: denied}}, "DELETE data": {{fault: denied}}},
			calls:  "GET metadata, POST delete, DELETE data", kind: nebula.ErrPermissionDenied, says: "/delete/"},
		{what: "anyway, the latest alone, the request is lost", there: acts{theyWrite}, gone: true, existed: true,
			script: steps{"POST delete": {{fault: denied}}, "DELETE data": {{fault: lost}}},
			calls:  "GET metadata, POST delete, DELETE data, GET metadata, POST delete"},
		{what: "anyway, the token is no longer valid", there: acts{theyWrite},
			script: steps{"POST delete": {{fault: invalid}}},
			calls:  "GET metadata, POST delete", kind: nebula.ErrUnauthenticated},
	} {
		t.Run(c.what, func(t *testing.T) {
			x := newScene(t, s, mount)
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
			if gone := !x.reads(1); gone != c.gone {
				t.Errorf("the version is gone: %v", gone)
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

// A restoration whose answer is lost is known again. One whose end cannot be read may
// have been done. What was destroyed cannot be restored.
func TestLiveUnclearRestorations(t *testing.T) {
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	for _, c := range []struct {
		what    string
		there   acts
		script  steps
		calls   string
		kind    nebula.Kind // of the failure
		unclear bool
	}{
		{what: "the request is lost", there: acts{theyWrite, theyDelete}, calls: "GET metadata, POST undelete, GET metadata, POST undelete, GET metadata",
			script: steps{"POST undelete": {{fault: lost}}}},
		{what: "the answer is lost", there: acts{theyWrite, theyDelete}, calls: "GET metadata, POST undelete, GET metadata",
			script: steps{"POST undelete": {{fault: unanswered}}}},
		{what: "the metadata cannot be read again", there: acts{theyWrite, theyDelete}, calls: "GET metadata, POST undelete, GET metadata",
			script: steps{"GET metadata": {{}, {fault: denied}}}, kind: nebula.ErrPermissionDenied, unclear: true},
		{what: "it may not be restored", there: acts{theyWrite, theyDelete}, calls: "GET metadata, POST undelete",
			script: steps{"POST undelete": {{fault: denied}}}, kind: nebula.ErrPermissionDenied},
		{what: "it was not deleted", there: acts{theyWrite}, calls: "GET metadata", kind: nebula.ErrConflict},
		{what: "it was destroyed", there: acts{theyWrite, (*scene).destroy}, calls: "GET metadata", kind: nebula.ErrNotFound},
		{what: "it was destroyed after it was deleted", there: acts{theyWrite, theyDelete, (*scene).destroy}, calls: "GET metadata", kind: nebula.ErrNotFound},
		{what: "it was purged", there: acts{theyWrite, theyPurge}, calls: "GET metadata", kind: nebula.ErrNotFound},
	} {
		t.Run(c.what, func(t *testing.T) {
			x := newScene(t, s, mount)
			for _, act := range c.there {
				act(x)
			}
			restorer, _ := nebula.As[nebula.Restorer](x.ours)
			err := x.play(c.script, func() error { return restorer.Restore(t.Context(), x.name) }, c.calls)
			if c.kind == "" && (err != nil || !x.reads(1)) {
				t.Errorf("%v, or it cannot be read", err)
			}
			if c.kind != "" {
				wants(t, err, c.kind)
			}
			if errors.Is(err, provider.ErrUnclear) != c.unclear {
				t.Errorf("%v: unclear is %v", err, !c.unclear)
			}
		})
	}
}

// The two calls that read a version fail as what failed.
func TestLiveVersionDenied(t *testing.T) {
	s := livetest.Vault(t)
	mount := s.Mount(t, 2)
	for _, call := range []string{"GET data", "GET metadata"} {
		x := newScene(t, s, mount)
		x.write()
		x.script.Begin(map[string][]faultproxy.Step{call: {{Fault: denied}}})
		retriever, _ := nebula.As[nebula.VersionRetriever](x.ours)
		_, err := retriever.RetrieveVersion(t.Context(), x.name, x.written[0])
		wants(t, err, nebula.ErrPermissionDenied)
	}
}
