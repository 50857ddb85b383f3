package local

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// base is the base directory, open.
type base struct {
	*atomicfile.Dir
	id     atomicfile.FileID
	remote bool         // on a network file system, or FUSE
	folds  atomic.Int32 // see fold.go

	// hidden names are skipped by eachName. Only tests use it, to let a hard
	// link stand for the other case of a name.
	hidden map[string]bool
}

// maxLooks is how often a name is looked up until it counts as absent.
func (b *base) maxLooks() int {
	if b.remote {
		return 4
	}
	return 1
}

// bases holds the base directory from the time it is first needed. The
// directory may be missing at first, and another may replace it, from a backup
// for example.
type bases struct {
	configured string                 // may lead through symbolic links
	path       atomic.Pointer[string] // configured, resolved
	current    atomic.Pointer[base]
	started    time.Time    // the zero of checked
	checked    atomic.Int64 // when path was last seen to lead to current, in nanoseconds

	mu   sync.Mutex // held to change current
	past []*base    // may still be in use, closed at the end
}

// maxUnchecked is how long readers rely on the directory that they hold without
// checking its path. It bounds how stale a read can be after another directory
// took its place. A check at every read would double the cost of exists.
const maxUnchecked = time.Millisecond

// forReading returns the directory, or fs.ErrNotExist. With recheck it makes
// sure that the path still leads there.
func (b *bases) forReading(recheck bool) (*base, error) {
	if current := b.checkedLately(); current != nil && !recheck {
		return current, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if current := b.checkedLately(); current != nil && !recheck {
		return current, nil // another reader did it meanwhile
	}
	return b.open()
}

func (b *bases) checkedLately() *base {
	if time.Since(b.started)-time.Duration(b.checked.Load()) > maxUnchecked {
		return nil
	}
	return b.current.Load()
}

// forWriting returns the directory. It makes it if that is allowed.
func (b *bases) forWriting(create bool) (*base, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	current, err := b.open()
	if !errors.Is(err, fs.ErrNotExist) {
		return current, err
	}
	b.resolve() // a link may lead elsewhere by now
	path := *b.path.Load()
	if !create {
		return nil, &nebula.Error{Kind: nebula.ErrUnavailable, Message: "the directory " + path + " is missing",
			Hint: atomicfile.MakeDir(path)}
	}
	if err := atomicfile.MakeDirs(path); err != nil {
		return nil, err
	}
	return b.open()
}

// open returns the directory to which the path leads now.
func (b *bases) open() (*base, error) {
	path, now := b.configured, time.Since(b.started)
	stat, err := atomicfile.StatPath(path)
	if err != nil {
		return nil, err
	}
	if err := usable(path, stat); err != nil {
		return nil, err
	}
	current := b.current.Load()
	if current != nil && current.id == stat.ID {
		b.checked.Store(int64(now))
		return current, nil
	}
	opened, err := openBase(path)
	if err != nil {
		return nil, err
	}
	if current != nil {
		b.past = append(b.past, current)
	}
	b.resolve()
	b.current.Store(opened)
	b.checked.Store(int64(now))
	return opened, nil
}

// openBase opens a directory, and refuses it if it is not safe to use: another one
// may have taken the place of what was looked at before.
func openBase(path string) (*base, error) {
	dir, err := atomicfile.Open(path)
	if err != nil {
		return nil, err
	}
	stat, err := dir.Stat()
	if err == nil {
		err = usable(path, stat)
	}
	if err != nil {
		_ = dir.Close()
		return nil, err
	}
	return &base{Dir: dir, id: stat.ID, remote: dir.NetworkFileSystem() != ""}, nil
}

func (b *bases) resolve() {
	path := atomicfile.Resolve(b.configured)
	b.path.Store(&path)
}

// close is called when nobody uses any of them.
func (b *bases) close() error {
	var err error
	if current := b.current.Swap(nil); current != nil {
		err = current.Close()
	}
	for _, past := range b.past {
		_ = past.Close() // nothing was written through it
	}
	return err
}

// usable refuses a directory in which somebody else could make, replace or
// remove files.
func usable(path string, stat atomicfile.Stat) error {
	invalid := func(reason, hint string) error {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "the directory " + path + " is not safe to use: " + reason, Hint: hint}
	}
	if !stat.Mode.IsDir() {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: path + " is not a directory but " + atomicfile.TypeName(stat.Mode)}
	}
	if foreign := stat.ForeignOwner(); foreign != "" {
		return invalid(foreign, "run it as that user, or use a directory of your own")
	}
	if wide := stat.Writable(); wide != "" {
		return invalid(wide, restrict(path, atomicfile.RestrictDir(path)))
	}
	return nil
}

// restrict returns command, which removes others' access. If the file system at
// path sets no modes, it names the mount option that does.
func restrict(path, command string) string { return restrictOn(atomicfile.FixedModes(path), command) }

func restrictOn(fileSystem, command string) string {
	switch fileSystem {
	case "":
		return command
	case "FUSE":
		return command + "; if that changes nothing, the mount sets the modes: use its option umask=077"
	case "SMB", "smbfs":
		return "the mount of " + fileSystem + " sets the modes: use its options dir_mode=0700,file_mode=0600"
	}
	return "the mount of " + fileSystem + " sets the modes: use its option umask=077"
}
