package transfer_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/provider/memory"
	"github.com/nebula-credential/nebula/transfer"
)

// before returns a provider that calls happen before it reads a record.
func before(t *testing.T, backend *memory.Backend, happen func(nebula.Name) error) nebula.Provider {
	t.Helper()
	config := memory.DefaultConfig()
	config.Backend = backend
	p, err := memory.New(config, provider.WithInterceptors(func(ctx context.Context, c provider.Call, call func(context.Context) error) error {
		if c.Op == provider.OpRetrieve && !c.Name.IsKeyring() {
			if err := happen(c.Name); err != nil {
				return err
			}
		}
		return call(ctx)
	}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shared returns a store with a key of its own, and the backend, which a test can open again.
func shared(t *testing.T) (*testStore, *memory.Backend) {
	t.Helper()
	config := memory.DefaultConfig()
	config.Backend = memory.NewBackend()
	p, err := memory.New(config)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	s := storeOn(t, p, nebula.Options{Keys: []nebula.Key{key}})
	s.key = key
	if _, err := s.Init(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return s, config.Backend
}

func TestExportOfAChoice(t *testing.T) {
	s := newStore(t)
	for _, id := range []nebula.ID{"a1", "a2", "b1"} {
		s.put(t, id, "v", "of="+string(id))
	}
	for want, o := range map[string]transfer.ExportOptions{
		"a1 a2 b1": {},
		"a1 a2":    {Filter: nebula.Filter{Prefix: "a"}},
		"b1":       {Filter: nebula.Filter{Tags: map[string]string{"of": "b1"}}},
		"a2 b1":    {IDs: []nebula.ID{"b1", "a2", "b1"}},
		"":         {Filter: nebula.Filter{Prefix: "c"}},
	} {
		var told []int
		o.Progress = func(done, total int) { told = append(told, done*10+total) }
		data, report := export(t, s.Store, o)
		var ids []string
		for id := range mustOpen(t, data).IDs() {
			ids = append(ids, string(id))
		}
		if got := strings.Join(ids, " "); got != want || report.Records != len(ids) || report.Bytes != int64(len(data)) || report.Unreadable != nil {
			t.Errorf("%q, want %q: %+v", got, want, report)
		}
		if n := len(ids); len(told) != n || n > 0 && told[n-1] != n*11 {
			t.Errorf("the progress of %d was %v", n, told)
		}
	}
	var out output
	_, err := transfer.Export(t.Context(), s.Store, &out, transfer.ExportOptions{IDs: []nebula.ID{"a1", "x", "y"}})
	wantKind(t, err, nebula.ErrNotFound)
	if !strings.Contains(err.Error(), "x, y") {
		t.Error(err)
	}
	_, err = transfer.Export(t.Context(), s.Store, &out, transfer.ExportOptions{IDs: []nebula.ID{".keyring"}})
	wantKind(t, err, nebula.ErrInvalidID)
	_, err = transfer.Export(t.Context(), emptyStore(t, nebula.Options{}).Store, &out, transfer.ExportOptions{})
	if !errors.Is(err, nebula.ErrNotInitialised) {
		t.Error(err)
	}
}

// An export needs no key.
func TestExportNeedsNoKey(t *testing.T) {
	s, backend := shared(t)
	s.put(t, "a", "v")
	p := before(t, backend, func(nebula.Name) error { return nil })
	data, _ := export(t, storeOn(t, p, nebula.Options{}).Store, transfer.ExportOptions{})
	if b := mustOpen(t, data); b.Len() != 1 {
		t.Error(b.Len())
	}
}

// A credential that is deleted while the export runs is not in it.
func TestExportWhileACredentialGoes(t *testing.T) {
	s, backend := shared(t)
	s.put(t, "a", "v")
	s.put(t, "b", "v")
	p := before(t, backend, func(n nebula.Name) error {
		if n.ID() != "b" {
			return nil
		}
		_, err := s.Delete(t.Context(), "b", nebula.DeleteOptions{})
		return err
	})
	data, report := export(t, storeOn(t, p, nebula.Options{}).Store, transfer.ExportOptions{})
	if mustOpen(t, data).Len() != 1 || report.Records != 1 {
		t.Errorf("%+v", report)
	}
}

// If the data key is rotated meanwhile, the export begins anew, so that its keyring opens
// all of its records. If it is rotated again and again, that is a conflict.
func TestExportWhileTheKeyIsReplaced(t *testing.T) {
	for rotations, want := range map[int]nebula.Kind{1: "", 3: "", 4: nebula.ErrConflict} {
		s, backend := shared(t)
		for _, id := range []nebula.ID{"a", "b", "c"} {
			s.put(t, id, string(id))
		}
		left := rotations
		p := before(t, backend, func(n nebula.Name) error {
			if n.ID() != "b" || left == 0 {
				return nil
			}
			left--
			_, err := s.Rotate(t.Context(), nebula.RotateOptions{})
			return err
		})
		var out output
		report, err := transfer.Export(t.Context(), storeOn(t, p, nebula.Options{}).Store, &out, transfer.ExportOptions{Jobs: 1})
		wantKind(t, err, want)
		if err != nil {
			continue
		}
		to := s.like(t)
		imported, err := transfer.Import(t.Context(), to.Store, mustOpen(t, out.Bytes()), transfer.ImportOptions{})
		if err != nil || len(imported.Imported) != 3 || report.Records != 3 || len(to.contents(t)) != 3 {
			t.Errorf("after %d rotations: %+v, %+v, %v", rotations, report, imported, err)
		}
	}
}

// A backend that fails ends the export: a backup must not lack a record.
func TestExportFromAFailingBackend(t *testing.T) {
	for _, kind := range []nebula.Kind{nebula.ErrUnavailable, nebula.ErrPermissionDenied} {
		s, backend := shared(t)
		s.put(t, "a", "v")
		s.put(t, "b", "v")
		p := before(t, backend, func(n nebula.Name) error {
			if n.ID() == "b" {
				return &nebula.Error{Kind: kind, Message: "not now"}
			}
			return nil
		})
		var out output
		_, err := transfer.Export(t.Context(), storeOn(t, p, nebula.Options{}).Store, &out, transfer.ExportOptions{})
		wantKind(t, err, kind)
		if _, err := openBackup(out.Bytes()); err == nil {
			t.Error("the incomplete file counts as an export")
		}
	}
}

// full is an output that has room for so many bytes.
type full struct{ room int }

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func (f *full) Reset() error { return nil }

func TestExportWithoutRoom(t *testing.T) {
	s, data := smallExport(t)
	for _, room := range []int{0, len(data) - 1} {
		if _, err := transfer.Export(t.Context(), s.Store, &full{room}, transfer.ExportOptions{}); !errors.Is(err, errFull) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
	if _, err := transfer.Export(t.Context(), s.Store, &full{len(data)}, transfer.ExportOptions{}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := transfer.Export(ctx, s.Store, &full{1 << 20}, transfer.ExportOptions{})
	wantKind(t, err, nebula.ErrInterrupted)
}
