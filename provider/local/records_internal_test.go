package local

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// If a whole store is read again and again, none of it is kept, and what was kept
// before stays.
func TestReadingEverythingKeepsNothing(t *testing.T) {
	r := newRecords()
	hot, record := sealedRecord(t, "hot", 1)
	for range 2 {
		r.put(hot, atomicfile.Stat{}, record)
	}
	for range 3 {
		for i := range 2 * maxOnce {
			name, err := nebula.ID(fmt.Sprint(i)).Name()
			if err != nil {
				t.Fatal(err)
			}
			r.put(name, atomicfile.Stat{}, record)
		}
	}
	if _, ok := r.get(hot); !ok || len(r.entries) != 1 {
		t.Errorf("%d are kept; the record that was read twice is among them: %t", len(r.entries), ok)
	}
}

// Whatever is read, the kept records stay within their bound, and none of them is
// large.
func TestRecordsHaveBounds(t *testing.T) {
	r := newRecords()
	for i := range 500 {
		name, record := sealedRecord(t, fmt.Sprintf("id-%d", i%400), 100*i%30_000)
		r.put(name, atomicfile.Stat{}, record)
		if _, ok := r.get(name); ok && i < 400 {
			t.Fatalf("%d was kept the first time", i)
		}
		r.put(name, atomicfile.Stat{}, record)
		if got, ok := r.get(name); !ok || got.record.Envelope != record.Envelope {
			t.Fatalf("%d was not kept", i)
		}
		sum := 0
		for _, k := range r.entries {
			sum += len(k.record.Envelope.Bytes())
		}
		if sum != r.bytes || sum > maxKept {
			t.Fatalf("%d bytes are kept, %d counted", sum, r.bytes)
		}
	}
	if len(r.entries) < 50 {
		t.Errorf("%d are kept", len(r.entries))
	}
	name, record := sealedRecord(t, "large", maxKeptRecord)
	for range 3 {
		r.put(name, atomicfile.Stat{}, record)
	}
	if _, ok := r.get(name); ok {
		t.Error("a large record was kept")
	}
}

// A record is kept if a change of its file would show.
func TestKeeps(t *testing.T) {
	young := atomicfile.Stat{Mtime: time.Now().UnixNano()}
	for _, test := range []struct {
		folds  int32
		remote bool
		stat   atomicfile.Stat
		want   bool
	}{
		{foldNo, false, atomicfile.Stat{}, true},
		{foldUnknown, false, atomicfile.Stat{}, false},
		{foldYes, false, atomicfile.Stat{}, false},
		{foldNo, true, atomicfile.Stat{}, false},
		{foldNo, false, young, false},
	} {
		b := &base{remote: test.remote}
		b.folds.Store(test.folds)
		if keeps(b, test.stat) != test.want {
			t.Errorf("%+v: it is not so", test)
		}
	}
}

// What is kept is returned as long as its file is there, unchanged.
func TestKept(t *testing.T) {
	d, f := newInside(t)
	e, err := f.store("id", "v")
	if err != nil {
		t.Fatal(err)
	}
	name := f.name("id")
	stat, err := f.base.Lstat(d.naming.file(name))
	if err != nil {
		t.Fatal(err)
	}
	kept := func(want bool) {
		t.Helper()
		record, ok := d.kept(name)
		if ok != want || ok && record.Envelope != e {
			t.Errorf("it is kept: %v", ok)
		}
	}
	keep := func(stat atomicfile.Stat) {
		for range 3 {
			d.records.put(name, stat, nebula.Record{Envelope: e})
		}
	}
	kept(false)
	keep(atomicfile.Stat{})
	kept(false)
	keep(stat)
	kept(true)
	if err := f.base.Remove(d.naming.file(name)); err != nil {
		t.Fatal(err)
	}
	kept(false)
	keep(atomicfile.Stat{})
	kept(false)
	d.background.Wait()
	path := f.base.Path()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	d.bases.checked.Store(-int64(time.Hour))
	kept(false)
}

func sealedRecord(t *testing.T, id string, size int) (nebula.Name, nebula.Record) {
	t.Helper()
	name, err := nebula.ID(id).Name()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte(strings.Repeat("x", size))), nebula.Metadata{CreatedAt: now, LastModified: now})
	if err != nil {
		t.Fatal(err)
	}
	return name, nebula.Record{Envelope: e}
}
