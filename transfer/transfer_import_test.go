package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/transfer"
)

// summary writes a report in one line.
func summary(r transfer.ImportReport) string {
	failed := make([]string, 0, len(r.Failed))
	for _, e := range r.Failed {
		failed = append(failed, fmt.Sprintf("%s: %s", e.ID, string(nebula.KindOf(e.Err))))
	}
	return fmt.Sprintf("init %v, imported %v, same %v, differs %v, failed %v, not begun %d", r.Initialised, r.Imported, r.Same, r.Differs, failed, r.NotBegun)
}

func wantSummary(t *testing.T, r transfer.ImportReport, err error, want string) {
	t.Helper()
	if got := summary(r); got != want || err != nil {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

// An import restores values, tags, times and the keyring. A second run finds all of them
// there.
func TestImportIntoAnEmptyStore(t *testing.T) {
	s, data := smallExport(t)
	b, to := mustOpen(t, data), s.like(t)
	dry, err := transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{DryRun: true, Source: source(t, b, s.key)})
	wantSummary(t, dry, err, "init true, imported [B a b], same [], differs [], failed [], not begun 0")
	if found, err := to.provider.Exists(t.Context(), nebula.KeyringName()); err != nil || found {
		t.Error("the dry run wrote a keyring", err)
	}
	r, err := transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{})
	wantSummary(t, r, err, "init true, imported [B a b], same [], differs [], failed [], not begun 0")
	if got, want := to.contents(t), s.contents(t); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	again, _ := export(t, to.Store, transfer.ExportOptions{})
	if !bytes.Equal(again, data) {
		t.Error("an export of the imported store differs")
	}
	for _, o := range []transfer.ImportOptions{{}, {Overwrite: true}, {DryRun: true, Source: source(t, b, s.key)}} {
		r, err = transfer.Import(t.Context(), to.Store, b, o)
		wantSummary(t, r, err, "init false, imported [], same [B a b], differs [], failed [], not begun 0")
	}
}

// source opens a backup as a store.
func source(t *testing.T, b *transfer.Backup, keys ...nebula.Key) func(context.Context, *nebula.KeyID) (*nebula.Store, error) {
	return func(_ context.Context, trusted *nebula.KeyID) (*nebula.Store, error) {
		return storeOn(t, b.Provider(), nebula.Options{Keys: keys, TrustedKey: trusted}).Store, nil
	}
}

func TestImportOverWhatIsThere(t *testing.T) {
	s, data := smallExport(t)
	want := s.contents(t)
	s.put(t, "a", "newer")
	if _, err := s.Delete(t.Context(), "B", nebula.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, data)
	r, err := transfer.Import(t.Context(), s.Store, b, transfer.ImportOptions{DryRun: true})
	wantSummary(t, r, err, "init false, imported [B], same [b], differs [a], failed [], not begun 0")
	r, err = transfer.Import(t.Context(), s.Store, b, transfer.ImportOptions{})
	wantSummary(t, r, err, "init false, imported [B], same [b], differs [a], failed [], not begun 0")
	if c, err := s.Get(t.Context(), "a"); err != nil || string(c.Secret.Reveal()) != "newer" {
		t.Error("the newer value was replaced", err)
	}
	r, err = transfer.Import(t.Context(), s.Store, b, transfer.ImportOptions{Overwrite: true})
	wantSummary(t, r, err, "init false, imported [a], same [B b], differs [], failed [], not begun 0")
	if got := s.contents(t); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Each record is stored only if it opens under its own name.
func TestImportOfEditedRecords(t *testing.T) {
	s, data := smallExport(t)
	lines := linesOf(data)
	swapped := slices.Clone(lines)
	swapped[2] = bytes.Replace(lines[3], []byte(`"id":"a"`), []byte(`"id":"B"`), 1)
	name, _ := nebula.ID("c").Name()
	strange, err := nebula.SealRecord([32]byte{7}, name, nebula.NewSecret([]byte("x")), nebula.Metadata{CreatedAt: time.Unix(1, 0), LastModified: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	swapped = append(swapped, transfer.RecordLine("c", strange.Bytes()), transfer.RecordLine("d", []byte(`{"version":9}`)),
		transfer.RecordLine("e", []byte(`{"version":2,"encrypted_data":{"version":2}}`)))
	b := mustOpen(t, closed(swapped))
	for _, to := range []*testStore{s.like(t), s} {
		r, err := transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{})
		if err != nil || fmt.Sprint(r.Imported, r.Same) != "[a b] []" && fmt.Sprint(r.Imported, r.Same) != "[] [a b]" {
			t.Errorf("%s, %v", summary(r), err)
		}
		if got := summary(transfer.ImportReport{Failed: r.Failed}); got != "init false, imported [], same [], differs [], failed [B: corrupted c: wrong_key d: corrupted e: unsupported_version], not begun 0" {
			t.Error(got)
		}
	}
}

// If somebody flips a bit of a record or of the keyring and makes the hash fit, no other
// value is stored than the exported one.
func TestImportOfFlippedBits(t *testing.T) {
	s := newStore(t)
	s.put(t, "a", "value")
	want := s.contents(t)["a"]
	data, _ := export(t, s.Store, transfer.ExportOptions{})
	lines := linesOf(data)
	taken := 0
	for i := range 3 {
		for at := range lines[i] {
			for bit := range 8 {
				edited := slices.Clone(lines)
				edited[i] = bytes.Clone(lines[i])
				edited[i][at] ^= 1 << bit
				b, err := openBackup(closed(edited))
				if err != nil {
					continue
				}
				to := s.like(t)
				r, err := transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{})
				taken++
				for id, got := range to.contents(t) {
					if got != want {
						t.Errorf("line %d, byte %d, bit %d: %s is %s", i+1, at, bit, id, got)
					}
				}
				if i > 0 && (err == nil && len(r.Failed) == 0) {
					t.Errorf("line %d, byte %d, bit %d: accepted: %s", i+1, at, bit, summary(r))
				}
			}
		}
	}
	if taken < 100 {
		t.Errorf("only %d exports were opened at all", taken)
	}
}

// A store that was rotated since the backup seals the records anew.
func TestImportAfterARotation(t *testing.T) {
	s, data := smallExport(t)
	want := s.contents(t)
	if _, err := s.Rotate(t.Context(), nebula.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(t.Context(), "a", nebula.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, data)
	r, err := transfer.Import(t.Context(), s.Store, b, transfer.ImportOptions{})
	wantSummary(t, r, err, "init false, imported [a], same [B b], differs [], failed [], not begun 0")
	if got := s.contents(t); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	_, id, err := s.SealedKeyring(t.Context())
	if e, failed := s.GetSealed(t.Context(), "a"); err != nil || failed != nil || e.Envelope.KeyID() != id {
		t.Error("it is not sealed under the current key", err, failed)
	}
}

func TestImportOfAnotherStore(t *testing.T) {
	s, data := smallExport(t)
	b := mustOpen(t, data)
	to := newStore(t)
	to.put(t, "a", "theirs")
	before := to.contents(t)
	_, err := transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{Overwrite: true})
	wantKind(t, err, nebula.ErrWrongKey)
	// The given key does not open the keyring of the backup.
	_, err = transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{Reseal: true, Overwrite: true, Source: source(t, b, newKey(t))})
	wantKind(t, err, nebula.ErrWrongKey)
	other, _ := nebula.ParseKeyID("0123456789abcdef0123456789abcdef")
	_, err = transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{Reseal: true, TrustedKey: &other, Source: source(t, b, s.key)})
	wantKind(t, err, nebula.ErrUntrustedKey)
	if got := to.contents(t); !maps.Equal(got, before) {
		t.Errorf("%v, want %v", got, before)
	}
	o := transfer.ImportOptions{Reseal: true, Source: source(t, b, s.key)}
	r, err := transfer.Import(t.Context(), to.Store, b, o)
	wantSummary(t, r, err, "init false, imported [B b], same [], differs [a], failed [], not begun 0")
	o.Overwrite = true
	r, err = transfer.Import(t.Context(), to.Store, b, o)
	wantSummary(t, r, err, "init false, imported [a], same [B b], differs [], failed [], not begun 0")
	if got, want := to.contents(t), s.contents(t); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	_, err = transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{Reseal: true})
	wantKind(t, err, nebula.ErrUsage)
	_, err = transfer.Import(t.Context(), s.like(t).Store, b, o)
	if !errors.Is(err, nebula.ErrNotInitialised) {
		t.Error(err)
	}
}

// An import that is interrupted finishes the records under way. The next one does the rest.
func TestImportInterrupted(t *testing.T) {
	s := newStore(t)
	for i := range 20 {
		s.put(t, nebula.ID(fmt.Sprintf("id-%02d", i)), "v")
	}
	data, _ := export(t, s.Store, transfer.ExportOptions{})
	b, to := mustOpen(t, data), s.like(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := transfer.Import(ctx, to.Store, b, transfer.ImportOptions{Jobs: 2, Progress: func(done, _ int) {
		if done == 5 {
			cancel()
		}
	}})
	wantKind(t, err, nebula.ErrInterrupted)
	if done := len(r.Imported); done < 5 || done > 9 || done+r.NotBegun != 20 || len(r.Failed) != 0 || len(to.contents(t)) != done {
		t.Errorf("%s; %d are there", summary(r), len(to.contents(t)))
	}
	rest, err := transfer.Import(t.Context(), to.Store, b, transfer.ImportOptions{})
	if err != nil || len(rest.Same) != len(r.Imported) || len(rest.Imported) != r.NotBegun || !maps.Equal(to.contents(t), s.contents(t)) {
		t.Errorf("%s, %v", summary(rest), err)
	}
}
