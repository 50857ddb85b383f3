package local_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula"
)

// TestLostPages: the device cannot write what the file system accepted, and only a
// flush reports it. Batches are stored on a file system whose device runs out of
// blocks behind its back. Every acknowledged record is there after the next mount. A
// lost one was reported: by the flush, or by ext4, which aborts its journal when it
// finds that data is lost, and then refuses to rename and flush.
func TestLostPages(t *testing.T) {
	needDisks(t)
	images := mounted(t, "tmpfs", "size=28m,mode=700")
	disk := newDiskIn(t, images, 256<<20)
	disk.mount()
	p := disk.open()
	value := strings.Repeat("v", 12<<10)
	acknowledged := make(map[string]string) // version by id
	lost := 0
	for batch := 0; lost == 0 && batch < 100; batch++ {
		items := make([]nebula.BatchItem, 100)
		for i := range items {
			id := fmt.Sprintf("id-%d-%d", batch, i)
			items[i] = nebula.BatchItem{Name: named(id), Envelope: sealed(id, value, nil)}
		}
		outcomes, err := p.StoreBatch(t.Context(), items)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range outcomes {
			if o.Err != nil {
				lost++
				if kind := nebula.KindOf(o.Err); kind != nebula.ErrUnavailable && kind != nebula.ErrPermissionDenied { // read-only by now
					t.Errorf("%s: %v", items[i].Name, o.Err)
				}
				continue
			}
			acknowledged[items[i].Name.String()] = string(o.Version)
		}
	}
	t.Logf("%d records were acknowledged, %d were not", len(acknowledged), lost)
	if len(acknowledged) == 0 || lost == 0 {
		t.Errorf("%d records were acknowledged, %d were not: the device never failed", len(acknowledged), lost)
	}
	disk.cut()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	disk.unmount()
	if err := unix.Mount("none", images, "tmpfs", unix.MS_REMOUNT, "size=512m"); err != nil {
		t.Fatal(err)
	}
	disk.mount()
	p = disk.open()
	missing := 0
	for id, version := range acknowledged {
		record, err := p.Retrieve(t.Context(), named(id))
		if err != nil || string(record.Version) != version {
			if missing++; missing < 5 {
				t.Errorf("%s was acknowledged: version %q, %v", id, record.Version, err)
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d acknowledged records are lost", missing, len(acknowledged))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	disk.unmount()
}
