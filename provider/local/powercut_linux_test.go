package local_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/local"
)

// TestPowerCuts: writers work on their own file system, which is then shut down
// without a flush of its log, as in a power cut. After the next mount every
// acknowledged store and deletion is there. A change under way is there as a whole or
// not at all.
//
// NEBULA_POWER_CUTS is the number of cuts, 30 by default. The test does not cover
// what the device itself loses from its cache.
func TestPowerCuts(t *testing.T) {
	cuts := 30
	if asked := os.Getenv("NEBULA_POWER_CUTS"); asked != "" {
		var err error
		if cuts, err = strconv.Atoi(asked); err != nil {
			t.Fatalf("NEBULA_POWER_CUTS: %v", err)
		}
	}
	seed := rand.Uint64()
	t.Logf("%d cuts, seed %d", cuts, seed)
	disk := newDisk(t)
	random := rand.New(rand.NewPCG(seed, 0))
	var writers []*cutWriter
	for i := range 4 {
		w := &cutWriter{random: rand.New(rand.NewPCG(seed, uint64(i)+1)), stands: make(map[string]string)}
		for j := range 24 {
			w.ids = append(w.ids, fmt.Sprintf("writer%d-%d", i, j))
		}
		writers = append(writers, w)
	}
	acknowledged := 0
	for i := range cuts {
		disk.mount()
		p := disk.open()
		var writing sync.WaitGroup
		first := make(chan struct{}, 1)
		for _, w := range writers {
			w.first = first
			writing.Go(func() { w.write(t, p) })
		}
		if i%2 == 0 {
			<-first // however slow the machine is, there is something to lose
		}
		time.Sleep(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
		disk.cut()
		writing.Wait()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		disk.unmount()
		disk.mount()
		p = disk.open()
		for _, w := range writers {
			acknowledged += w.acknowledged
			w.check(t, p)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		disk.unmount()
	}
	t.Logf("%d changes were acknowledged", acknowledged)
	if acknowledged < cuts/2 {
		t.Errorf("%d changes in %d cuts: too few for this test", acknowledged, cuts)
	}
}

// cutWriter changes its own credentials until it cannot.
type cutWriter struct {
	random       *rand.Rand
	ids          []string
	stands       map[string]string // acknowledged version by id
	acknowledged int
	first        chan<- struct{} // gets a value at the first acknowledged change

	// These changes are under way, by id: the version that each would have given, or
	// "".
	pending map[string]string
}

func (w *cutWriter) write(t *testing.T, p full) {
	w.acknowledged = 0
	for {
		w.pending = make(map[string]string)
		var failed error
		switch id := w.ids[w.random.IntN(len(w.ids))]; {
		case w.random.IntN(3) == 0:
			failed = w.batch(t, p)
		case w.stands[id] != "" && w.random.IntN(2) == 0:
			w.pending[id] = ""
			_, failed = p.Delete(t.Context(), named(id), nebula.Precondition{})
			w.note(id, failed)
		default:
			envelope := sealed(id, "value", nil)
			w.pending[id] = versionOf(envelope)
			_, failed = p.Store(t.Context(), named(id), envelope, nebula.StoreOptions{})
			w.note(id, failed)
		}
		if failed != nil {
			return
		}
	}
}

// batch stores as many records as are flushed together.
func (w *cutWriter) batch(t *testing.T, p full) (failed error) {
	items := make([]nebula.BatchItem, together)
	for i, j := range w.random.Perm(len(w.ids))[:together] {
		items[i] = nebula.BatchItem{Name: named(w.ids[j]), Envelope: sealed(w.ids[j], "value", nil)}
		w.pending[w.ids[j]] = versionOf(items[i].Envelope)
	}
	outcomes, failed := p.StoreBatch(t.Context(), items)
	for i, o := range outcomes {
		w.note(items[i].Name.String(), o.Err)
		failed = errors.Join(failed, o.Err)
	}
	return failed
}

// note records an acknowledged change.
func (w *cutWriter) note(id string, err error) {
	if err != nil {
		return
	}
	w.stands[id] = w.pending[id]
	delete(w.pending, id)
	w.acknowledged++
	select {
	case w.first <- struct{}{}:
	default:
	}
}

func (w *cutWriter) check(t *testing.T, p full) {
	t.Helper()
	for _, id := range w.ids {
		found := ""
		record, err := p.Retrieve(t.Context(), named(id))
		switch {
		case err == nil:
			found = string(record.Version)
		case !errors.Is(err, nebula.ErrNotFound):
			t.Errorf("%s: %v", id, err)
			continue
		}
		pending, wasPending := w.pending[id]
		if found != w.stands[id] && !(wasPending && found == pending) {
			t.Errorf("%s has version %q, acknowledged was %q", id, found, w.stands[id])
		}
		w.stands[id] = found
	}
}

// disk is an ext4 file system in a file.
type disk struct {
	*testing.T
	image, dir string
	mounted    bool
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	needDisks(t)
	return newDiskIn(t, t.TempDir(), 16<<20)
}

func needDisks(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/dev/loop-control"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and loop devices")
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(t, tool)
		}
	}
}

// newDiskIn is newDisk with an image of that size in a directory.
func newDiskIn(t *testing.T, images string, size int64) *disk {
	t.Helper()
	d := &disk{T: t, image: filepath.Join(images, "image"), dir: t.TempDir()}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, size); err != nil {
		t.Fatal(err)
	}
	d.run("mkfs.ext4", "-q", "-F", d.image)
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("the right to mount: %v: %s", err, out))
	}
	d.mounted = true
	t.Cleanup(func() {
		if d.mounted {
			d.run("umount", "-l", d.dir) // after a failure, files may be open
		}
	})
	d.unmount()
	return d
}

func (d *disk) run(command ...string) {
	d.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		d.Fatalf("%v: %v: %s", command, err, out)
	}
}

func (d *disk) mount() {
	d.Helper()
	d.run("mount", "-o", "loop", d.image, d.dir)
	d.mounted = true
}

func (d *disk) unmount() {
	d.Helper()
	d.run("umount", d.dir)
	d.mounted = false
}

func (d *disk) open() full {
	d.Helper()
	bare, err := local.New(config(filepath.Join(d.dir, "credentials")))
	if err != nil {
		d.Fatal(err)
	}
	p := bare.(full)
	if err := p.Connect(d.Context()); err != nil {
		d.Fatal(err)
	}
	return p
}

// cut shuts down the file system as it is on the device.
func (d *disk) cut() {
	d.Helper()
	const shutdown, withoutFlush = 0x8004587d, 2 // _IOR('X', 125, __u32), EXT4_GOING_FLAGS_NOLOGFLUSH
	f, err := os.Open(d.dir)
	if err != nil {
		d.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutdown, withoutFlush); err != nil {
		d.Fatal(err)
	}
}
