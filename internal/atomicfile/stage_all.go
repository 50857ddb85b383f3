package atomicfile

import "golang.org/x/sync/errgroup"

// StageAll is [Dir.Stage] for several files, of data that anybody may see. It
// returns for each a temporary file or an error. If the file system sets no modes,
// as FAT and many network file systems do not, the files keep the one that they
// were made with. The owner's right to read is still required.
//
// If it can, it flushes the whole file system once instead of each file: the
// device then writes them one after the other and is made to keep them once. What
// other programs have written to that file system is flushed, too. Elsewhere it
// flushes up to 16 files at the same time.
//
// All files are open until they are committed or discarded: see [MaxStaged].
func (d *Dir) StageAll(data [][]byte) ([]*Staged, []error) {
	staged, errs := make([]*Staged, len(data)), make([]error, len(data))
	flushAll, release := d.flushLater(len(data))
	defer release()
	for i := range data {
		staged[i], errs[i] = d.write(data[i], true)
	}
	if flushAll() {
		return staged, errs
	}
	flush := func(i int) {
		if staged[i] == nil {
			return
		}
		if errs[i] = staged[i].flush(); errs[i] != nil {
			staged[i].Discard()
			staged[i] = nil
		}
	}
	if len(data) == 1 {
		flush(0)
		return staged, errs
	}
	var group errgroup.Group
	group.SetLimit(maxFlushes)
	for i := range staged {
		group.Go(func() error { flush(i); return nil })
	}
	_ = group.Wait() // the errors are in errs
	return staged, errs
}

// maxStaged limits the memory that open files take in the kernel.
const maxStaged = 1000

// maxFlushes is how many files are flushed at the same time. File systems make
// one journal commit for all that wait for it.
const maxFlushes = 16

// flushLater returns a function that flushes the file system of the directory.
// Call it when n files are written. It reports whether they are on the disk. If
// they are not, that is not a failure yet: each file can be flushed by itself,
// and a failure then concerns that file. Call release at the end.
func (d *Dir) flushLater(n int) (flushAll func() bool, release func()) {
	if n > maxFlushes {
		if fs, ok := d.openFileSystem(); ok {
			return fs.flush, fs.close
		}
	}
	return func() bool { return false }, func() {}
}
