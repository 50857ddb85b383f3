package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/transfer"
)

// Records and keyring arrive unchanged, to the byte. A second run writes nothing.
func TestCopy(t *testing.T) {
	for a, source := range kinds {
		for b, destination := range kinds {
			t.Run(a+" to "+b, func(t *testing.T) {
				from, o := filled(t, source, 150) // so many that the destination is listed
				to := destination(t, o)
				report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{})
				if err != nil || len(report.Failed)+len(report.Same)+len(report.Differs)+len(report.NotBegun) > 0 {
					t.Fatalf("%+v, %v", report, err)
				}
				wantIDs(t, "copied", report.Copied, ids(0, 150)...)
				want := contents(t, from.Store)
				if got := contents(t, to.Store); !maps.Equal(got, want) {
					t.Error("the records are not the same")
				}
				size := 0
				for _, record := range want {
					size += len(record)
				}
				if report.Bytes != int64(size) {
					t.Errorf("the report says %d bytes, want %d", report.Bytes, size)
				}
				fresh := to.open(o)
				if got := value(t, fresh, id(7)); got != "value 7" {
					t.Error(got)
				}
				here, _, err1 := from.SealedKeyring(t.Context())
				there, _, err2 := fresh.SealedKeyring(t.Context())
				if err := errors.Join(err1, err2); err != nil || string(here.Envelope.Bytes()) != string(there.Envelope.Bytes()) {
					t.Error("the keyrings differ", err)
				}
				to.calls.step(nil, nil)
				again, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{})
				if err != nil || len(again.Copied)+len(again.Failed)+len(again.Differs) > 0 || to.calls.count("store") > 0 {
					t.Errorf("%+v, %v, %d writes", again, err, to.calls.count("store"))
				}
				wantIDs(t, "same", again.Same, ids(0, 150)...)
			})
		}
	}
}

func TestCopySelected(t *testing.T) {
	from, o := filled(t, inMemory, 30)
	to := inMemory(t, o)
	report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{IDs: []nebula.ID{"c0005", "c0003", "c0005", "gone"}})
	if err != nil || len(report.Failed) != 1 || report.Failed[0].ID != "gone" {
		t.Errorf("%+v, %v", report, err)
	}
	wantKind(t, report.Failed[0].Err, nebula.ErrNotFound)
	wantIDs(t, "copied", report.Copied, "c0003", "c0005")
	report, err = transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Filter: nebula.Filter{Prefix: "c000"}})
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "same", report.Same, "c0003", "c0005")
	if len(report.Copied) != 8 {
		t.Errorf("%+v", report)
	}
	report, err = transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Filter: nebula.Filter{Tags: map[string]string{"n": "17"}}})
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "copied by a tag", report.Copied, "c0017")
	// If there is nothing to copy, no store is made.
	empty := inMemory(t, o)
	if _, err := transfer.Copy(t.Context(), from.Store, empty.Store, transfer.Options{IDs: []nebula.ID{}}); err != nil {
		t.Error(err)
	}
	if made, _ := empty.HasKeyring(t.Context()); made {
		t.Error("a keyring was written")
	}
}

// A plan says what there is to do, and changes nothing.
func TestPlan(t *testing.T) {
	from, o := filled(t, inFiles, 3)
	to := inNarrow(t, o)
	if _, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{}); err != nil {
		t.Fatal(err)
	}
	put(t, to.Store, id(1), "another", nebula.PutOptions{})
	put(t, from.Store, "new", "v", nebula.PutOptions{})
	put(t, from.Store, "large", strings.Repeat("v", 4096), nebula.PutOptions{})
	put(t, from.Store, "tagged", "v", nebula.PutOptions{Tags: map[string]string{"a": "", "b": "", "c": ""}})
	before := contents(t, to.Store)
	to.calls.step(nil, nil)
	var told []transfer.Progress
	plan, err := transfer.NewPlan(t.Context(), from.Store, to.Store, transfer.Options{
		IDs:      append(ids(0, 3), "new", "large", "tagged", "gone"),
		Progress: func(p transfer.Progress) { told = append(told, p) }})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, item := range plan.Items {
		got = append(got, string(item.ID)+" "+item.State.String())
		if known := item.State != transfer.Failed; known != (item.Size > 0) {
			t.Errorf("%s has a size of %d", item.ID, item.Size)
		}
	}
	want := "c0000 same, c0001 differs, c0002 same, gone failed, large too_large, new new, tagged too_many_tags"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("the plan is %s", text)
	}
	if last := told[len(told)-1]; !last.Planning || last.Done != 7 || last.Total != 7 {
		t.Errorf("the last progress is %+v", last)
	}
	if !maps.Equal(contents(t, to.Store), before) || to.calls.count("store") > 0 {
		t.Error("something was written")
	}
	// Records that do not fit or that differ are not copied. The rest is.
	report, err := plan.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "copied", report.Copied, "new")
	wantIDs(t, "differs", report.Differs, "c0001")
	kinds := map[nebula.ID]nebula.Kind{}
	for _, f := range report.Failed {
		kinds[f.ID] = nebula.KindOf(f.Err)
	}
	if !maps.Equal(kinds, map[nebula.ID]nebula.Kind{"gone": nebula.ErrNotFound, "large": nebula.ErrTooLarge, "tagged": nebula.ErrInvalidMetadata}) {
		t.Errorf("failed: %v", kinds)
	}
	if value(t, to.Store, id(1)) != "another" || to.calls.count("store") != 1 {
		t.Error("a record that differs was overwritten")
	}
}

func TestOverwrite(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			from, o := filled(t, kind, 4)
			to := kind(t, o)
			if _, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{}); err != nil {
				t.Fatal(err)
			}
			put(t, to.Store, id(1), "another", nebula.PutOptions{})
			put(t, to.Store, id(2), "another", nebula.PutOptions{})
			plan, err := transfer.NewPlan(t.Context(), from.Store, to.Store, transfer.Options{Overwrite: true})
			if err != nil {
				t.Fatal(err)
			}
			// Another writer changes one of the two that the plan saw.
			put(t, to.open(o), id(2), "newest", nebula.PutOptions{})
			report, err := plan.Run(t.Context())
			if err != nil || len(report.Failed) != 1 || report.Failed[0].ID != id(2) {
				t.Fatalf("%+v, %v", report, err)
			}
			wantKind(t, report.Failed[0].Err, nebula.ErrConflict)
			wantIDs(t, "copied", report.Copied, id(1))
			if got := value(t, to.Store, id(1)) + ", " + value(t, to.Store, id(2)); got != "value 1, newest" {
				t.Error(got)
			}
		})
	}
}

// If another writer stores a record at the destination after the plan, it is not
// overwritten. If it is the same record, that is not a failure.
func TestDestinationChangesMeanwhile(t *testing.T) {
	from, o := filled(t, inMemory, 3)
	to := inMemory(t, o)
	if _, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{IDs: ids(0, 1)}); err != nil {
		t.Fatal(err)
	}
	plan, err := transfer.NewPlan(t.Context(), from.Store, to.Store, transfer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	other := to.open(o)
	put(t, other, id(1), "theirs", nebula.PutOptions{})
	if _, err := transfer.Copy(t.Context(), from.Store, other, transfer.Options{IDs: ids(2, 3)}); err != nil {
		t.Fatal(err)
	}
	report, err := plan.Run(t.Context())
	if err != nil || len(report.Failed)+len(report.Copied) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
	wantIDs(t, "differs", report.Differs, id(1))
	wantIDs(t, "same", report.Same, id(0), id(2))
	if got := value(t, to.Store, id(1)); got != "theirs" {
		t.Error(got)
	}
}

// Every copy is read back. If another writer changed it at once, it is not reported as
// copied, and its source stays.
func TestReadBack(t *testing.T) {
	from, o := filled(t, inMemory, 2)
	to := inMemory(t, o)
	other := to.open(o)
	to.calls.step(nil, func(c provider.Call) {
		if c.Op == "store" && c.Name.ID() == id(1) && value(t, other, id(1)) == "value 1" {
			put(t, other, id(1), "theirs", nebula.PutOptions{})
		}
	})
	report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Move: true})
	if err != nil || len(report.Failed) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	wantKind(t, report.Failed[0].Err, nebula.ErrConflict)
	if value(t, from.Store, id(0)) != "not_found" || value(t, from.Store, id(1)) != "value 1" {
		t.Error("the source:", value(t, from.Store, id(0)), value(t, from.Store, id(1)))
	}
	// If a copy cannot be read back, its source stays, too.
	from, o = filled(t, inMemory, 2)
	to = inMemory(t, o)
	to.calls.step(func(c provider.Call) error {
		if c.Op == "retrieve" && to.calls.count("store") > 1 { // after the keyring
			return &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "not yours"}
		}
		return nil
	}, nil)
	report, err = transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Move: true})
	if err != nil || len(report.Failed) != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	wantKind(t, report.Failed[0].Err, nebula.ErrPermissionDenied)
	if value(t, from.Store, id(0)) != "value 0" || to.calls.count("store") != 3 {
		t.Error("the source is gone, or the copy was not written:", value(t, from.Store, id(0)), to.calls.count("store"))
	}
}

// A copy that is interrupted finishes the records under way. The next copy does the rest,
// and nothing twice.
func TestInterrupted(t *testing.T) {
	from, o := filled(t, inMemory, 200)
	to := inMemory(t, o)
	ctx, stop := context.WithCancel(t.Context())
	to.calls.step(nil, func(c provider.Call) {
		if c.Op == "store" && c.Name.ID() == id(50) {
			stop()
		}
	})
	report, err := transfer.Copy(ctx, from.Store, to.Store, transfer.Options{Move: true, Jobs: 4})
	wantKind(t, err, nebula.ErrInterrupted)
	if n := len(report.Copied); n < 48 || n > 60 || n+len(report.NotBegun) != 200 || len(report.Failed) > 0 {
		t.Fatalf("%d copied, %d not begun, %v", n, len(report.NotBegun), report.Failed)
	}
	rest, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Move: true})
	if err != nil || len(rest.Copied)+len(report.Copied) != 200 {
		t.Errorf("%+v, %v", rest, err)
	}
	if n := to.calls.count("store"); n != 201 { // with the keyring
		t.Errorf("%d writes", n)
	}
	if len(contents(t, to.Store)) != 200 || len(contents(t, from.Store)) != 0 {
		t.Error(len(contents(t, to.Store)), len(contents(t, from.Store)))
	}
}

// A destination that keeps failing ends the copy, instead of failing for each record.
func TestBackendFails(t *testing.T) {
	from, o := filled(t, inMemory, 300)
	to := inMemory(t, o)
	written := 0
	to.calls.step(func(c provider.Call) error {
		if c.Op != "store" || c.Name.IsKeyring() {
			return nil
		}
		if written++; written > 10 {
			return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"}
		}
		return nil
	}, nil)
	report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Jobs: 1})
	wantKind(t, err, nebula.ErrUnavailable)
	if len(report.Copied) != 10 || len(report.Failed) != 1 || len(report.NotBegun) != 289 {
		t.Errorf("%d copied, %d failed, %d not begun", len(report.Copied), len(report.Failed), len(report.NotBegun))
	}
	from.calls.step(func(provider.Call) error { return &nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"} }, nil)
	_, err = transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{})
	wantKind(t, err, nebula.ErrUnavailable)
}

// Records that cannot be read at the source are named, and the rest is copied.
func TestUnreadableSource(t *testing.T) {
	from, o := filled(t, inMemory, 3)
	stranger, _ := filled(t, inMemory, 2)
	to := inMemory(t, o)
	raw, err := stranger.GetSealed(t.Context(), id(1))
	if err != nil {
		t.Fatal(err)
	}
	from.swap(t, id(1), raw.Envelope)
	report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{})
	if err != nil || len(report.Failed) != 1 || report.Failed[0].ID != id(1) {
		t.Fatalf("%+v, %v", report, err)
	}
	wantKind(t, report.Failed[0].Err, nebula.ErrWrongKey)
	wantIDs(t, "copied", report.Copied, id(0), id(2))
	// At the destination, such a record is overwritten only with Overwrite.
	to.swap(t, id(2), raw.Envelope)
	report, err = transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{IDs: ids(2, 3)})
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "differs", report.Differs, id(2))
	report, err = transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{IDs: ids(2, 3), Overwrite: true})
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "copied", report.Copied, id(2))
}

// If a credential was deleted at the destination, an older copy does not bring it back.
func TestRollbackGuardOfTheDestination(t *testing.T) {
	from, o := filled(t, inMemory, 1)
	guarded := o
	guarded.RollbackGuard = nebula.NewGuardFile(t.TempDir() + "/guard")
	to := inMemory(t, guarded)
	if _, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Millisecond)
	put(t, to.Store, id(0), "newer", nebula.PutOptions{})
	if _, err := to.Delete(t.Context(), id(0), nebula.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	report, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{})
	if err != nil || len(report.Failed) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	wantKind(t, report.Failed[0].Err, nebula.ErrRolledBack)
	report, err = transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Overwrite: true})
	if err != nil || len(report.Copied) != 1 || value(t, to.Store, id(0)) != "value 0" {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestProgress(t *testing.T) {
	from, o := filled(t, inMemory, 40)
	to := inMemory(t, o)
	refused := &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "not this one"}
	to.calls.step(func(c provider.Call) error {
		if c.Op == "store" && c.Name.ID() == id(0) {
			return refused
		}
		return nil
	}, nil)
	var told []transfer.Progress
	_, err := transfer.Copy(t.Context(), from.Store, to.Store, transfer.Options{Jobs: 1,
		Progress: func(p transfer.Progress) { told = append(told, p) }})
	if err != nil {
		t.Fatal(err)
	}
	last := told[len(told)-1]
	if last.Planning || last.Done != 40 || last.Total != 40 || last.Bytes < 39*400 || nebula.KindOf(last.LastError) != nebula.ErrPermissionDenied {
		t.Errorf("%+v", last)
	}
	for i, p := range told[1:] {
		if before := told[i]; p.Planning == before.Planning && p.Done <= before.Done {
			t.Errorf("%+v after %+v", p, before)
		}
	}
	if !told[0].Planning {
		t.Error(fmt.Sprint(told[0]))
	}
}
