package transfer_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/transfer"
)

// smallExport is an export of three credentials.
func smallExport(t testing.TB) (*testStore, []byte) {
	t.Helper()
	s := newStore(t)
	s.put(t, "b", "second \x00\xff\n", "env=prod")
	s.put(t, "a", "")
	s.put(t, "B", "third")
	data, _ := export(t, s.Store, transfer.ExportOptions{})
	return s, data
}

func TestFormOfAnExport(t *testing.T) {
	s, data := smallExport(t)
	keyring, id, err := s.SealedKeyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	if len(lines) != 7 || lines[6] != "" {
		t.Fatalf("%d lines", len(lines))
	}
	if want := fmt.Sprintf(`{"nebula_export":1,"address":"","key_id":"%s","created_at":"2026-01-02T03:04:05Z"}`, id); lines[0] != want {
		t.Errorf("%s, want %s", lines[0], want)
	}
	for i, begins := range []string{`{"keyring":"`, `{"id":"B","record":"`, `{"id":"a","record":"`, `{"id":"b","record":"`, `{"records":3,"sha256":"`} {
		if !strings.HasPrefix(lines[i+1], begins) {
			t.Errorf("line %d is %s", i+2, lines[i+1])
		}
	}
	b := mustOpen(t, data)
	if h := b.Header(); h.KeyID != id || !h.CreatedAt.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("%+v", h)
	}
	if !bytes.Equal(b.Keyring().Bytes(), keyring.Envelope.Bytes()) || b.Len() != 3 {
		t.Error("got another keyring")
	}
	if ids := slices.Collect(b.IDs()); !slices.Equal(ids, []nebula.ID{"B", "a", "b"}) {
		t.Error(ids)
	}
	for id := range b.IDs() {
		r, err := s.GetSealed(t.Context(), id)
		e, failed := b.Record(id)
		if err != nil || failed != nil || !bytes.Equal(r.Envelope.Bytes(), e.Bytes()) {
			t.Errorf("%s: %v, %v", id, err, failed)
		}
	}
	_, err = b.Record("absent")
	wantKind(t, err, nebula.ErrNotFound)
}

// An export that was cut off at any byte is refused. If it ends after a whole line, the
// error says that it was cut off.
func TestExportCutOffAtEveryByte(t *testing.T) {
	_, data := smallExport(t)
	for n := range data {
		_, err := openBackup(data[:n])
		wantKind(t, err, nebula.ErrCorrupted)
		if n > 0 && data[n-1] == '\n' && !strings.Contains(err.Error(), "cut off") {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
}

// An export with any flipped bit is refused before any of its records is used.
func TestEveryFlippedBitIsFound(t *testing.T) {
	_, data := smallExport(t)
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			if b, err := openBackup(data); err == nil {
				t.Errorf("byte %d, bit %d: accepted with %d records", i, bit, b.Len())
			}
			data[i] ^= 1 << bit
		}
	}
	mustOpen(t, data)
}

func TestEditedExports(t *testing.T) {
	_, data := smallExport(t)
	lines := linesOf(data)
	edited := func(edit func([][]byte) [][]byte) []byte { return closed(edit(slices.Clone(lines))) }
	replaced := func(line int, old, new string) []byte {
		return edited(func(l [][]byte) [][]byte {
			if !bytes.Contains(l[line], []byte(old)) {
				t.Fatalf("line %d does not hold %s", line, old)
			}
			l[line] = bytes.Replace(l[line], []byte(old), []byte(new), 1)
			return l
		})
	}
	mustOpen(t, edited(func(l [][]byte) [][]byte { return l }))
	for what, c := range map[string]struct {
		data []byte
		want nebula.Kind
	}{
		"empty":              {nil, nebula.ErrCorrupted},
		"another file":       {[]byte("GITHUB_TOKEN=x\n"), nebula.ErrUsage},
		"another short file": {[]byte("x"), nebula.ErrUsage},
		"a newer version":    {replaced(0, `export":1`, `export":2`), nebula.ErrUnsupportedVersion},
		"version 0":          {replaced(0, `export":1`, `export":0`), nebula.ErrCorrupted},
		"no version":         {replaced(0, `export":1`, `export":"1"`), nebula.ErrCorrupted},
		"another key id":     {replaced(0, `"key_id":"`, `"key_id":"0123456789abcdef0123456789abcdef","x":"`), nebula.ErrCorrupted},
		"white space":        {replaced(0, `,"address"`, `, "address"`), nebula.ErrCorrupted},
		"CRLF":               {edited(func(l [][]byte) [][]byte { l[3] = append(l[3][:len(l[3])-1:len(l[3])-1], "\r\n"...); return l }), nebula.ErrCorrupted},
		"no keyring":         {edited(func(l [][]byte) [][]byte { return slices.Delete(l, 1, 2) }), nebula.ErrCorrupted},
		"two keyrings":       {edited(func(l [][]byte) [][]byte { return slices.Insert(l, 2, l[1]) }), nebula.ErrCorrupted},
		"a damaged keyring":  {replaced(1, `{"keyring":"eyJ2ZXJz`, `{"keyring":"eyJ2ZXJx`), nebula.ErrCorrupted},
		"swapped lines":      {edited(func(l [][]byte) [][]byte { l[2], l[3] = l[3], l[2]; return l }), nebula.ErrCorrupted},
		"a line twice":       {edited(func(l [][]byte) [][]byte { return slices.Insert(l, 3, l[2]) }), nebula.ErrCorrupted},
		"an empty line":      {edited(func(l [][]byte) [][]byte { return slices.Insert(l, 3, []byte("\n")) }), nebula.ErrCorrupted},
		"an id that is none": {replaced(3, `"id":"a"`, `"id":"a/b"`), nebula.ErrCorrupted},
		"the keyring's name": {replaced(2, `"id":"B"`, `"id":".keyring"`), nebula.ErrCorrupted},
		"one more member":    {replaced(3, `","record"`, `","x":1,"record"`), nebula.ErrCorrupted},
		"a line feed in it":  {replaced(3, `"record":"`, "\"record\":\"\n"), nebula.ErrCorrupted},
		"a wrong count":      {bytes.Replace(data, []byte(`{"records":3`), []byte(`{"records":2`), 1), nebula.ErrCorrupted},
		"a wrong hash":       {bytes.Replace(data, []byte(`"sha256":"`), []byte(`"sha256":"0`), 1), nebula.ErrCorrupted},
		"more after the end": {append(slices.Clone(data), data...), nebula.ErrCorrupted},
		"a byte after it":    {append(slices.Clone(data), '\n'), nebula.ErrCorrupted},
	} {
		_, err := openBackup(c.data)
		if nebula.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}

// changing is a file that the test changes.
type changing struct{ data []byte }

func (c *changing) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(c.data).ReadAt(p, at)
}

// If the file changes after it was opened, Record returns an error.
func TestExportThatChanges(t *testing.T) {
	_, data := smallExport(t)
	file := &changing{data}
	b, err := transfer.OpenBackup(file, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte(`{"id":"a"`))
	data[at+len(`{"id":"`)] = 'c'
	_, err = b.Record("a")
	wantKind(t, err, nebula.ErrConflict)
	file.data = data[:at+10]
	_, err = b.Record("a")
	wantKind(t, err, nebula.ErrConflict)
}

// FuzzOpenBackup: an export that is accepted is written again as the same bytes.
func FuzzOpenBackup(f *testing.F) {
	_, data := smallExport(f)
	for n := range bytes.Count(data, []byte("\n")) + 1 {
		lines := bytes.SplitAfter(data, []byte("\n"))
		f.Add(bytes.Join(lines[:n], nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		candidates := [][]byte{data}
		if lines := bytes.SplitAfter(data, []byte("\n")); len(lines) > 3 { // the right end mark, so that more is checked
			candidates = append(candidates, closed(lines[:len(lines)-1]))
		}
		for _, data := range candidates {
			b, err := openBackup(data)
			if err != nil {
				if kind := nebula.KindOf(err); kind != nebula.ErrCorrupted && kind != nebula.ErrUsage && kind != nebula.ErrUnsupportedVersion {
					t.Fatal(err)
				}
				continue
			}
			again, err := transfer.Rewrite(b)
			if err != nil || !bytes.Equal(again, data) {
				t.Fatalf("%v: %q was read, and %q was written", err, data, again)
			}
		}
	})
}
