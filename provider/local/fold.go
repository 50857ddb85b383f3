package local

import (
	"errors"
	"io"
	"strings"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// What is known about the directory's file system.
const (
	foldUnknown = iota // there was no name to try it on
	foldNo
	foldYes
)

// foldsCase reports whether names that differ by case alone are the same file.
// It finds out once, from an existing file, and makes none for it.
func (b *base) foldsCase(n naming) (bool, error) {
	switch b.folds.Load() {
	case foldNo:
		return false, nil
	case foldYes:
		return true, nil
	}
	for _, name := range []string{lockName, keyringFile(n)} {
		if known, err := b.tryFold(name); known || err != nil {
			return b.folds.Load() == foldYes, err
		}
	}
	some, err := b.someName()
	if err == nil {
		_, err = b.tryFold(some)
	}
	return b.folds.Load() == foldYes, err
}

// someName returns a name to try it on, or "".
func (b *base) someName() (some string, err error) {
	err = b.eachName(func(name string) bool {
		if _, letters := swapCase(name); letters && !atomicfile.IsTemp(name) {
			some = name
		}
		return some == ""
	})
	return some, err
}

// tryFold looks up an existing name in another case. If both are found and the
// directory has only one of them, they are one file. Their inodes do not show
// it: some FUSE programs give each spelling an inode of its own.
func (b *base) tryFold(name string) (known bool, err error) {
	swapped, letters := swapCase(name)
	if !letters {
		return false, nil
	}
	for _, spelling := range []string{name, swapped} {
		_, err := b.Lstat(spelling)
		if isMissing(err) && spelling == swapped {
			b.folds.Store(foldNo)
			return true, nil
		}
		if isMissing(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	// A directory that changes meanwhile may give a name twice.
	asIs, inOtherCase := false, false
	err = b.eachName(func(found string) bool {
		asIs = asIs || found == name
		inOtherCase = inOtherCase || found == swapped
		return !asIs || !inOtherCase
	})
	switch {
	case err != nil || !asIs && !inOtherCase:
		return false, err
	case asIs && inOtherCase:
		b.folds.Store(foldNo)
	default:
		b.folds.Store(foldYes)
	}
	return true, nil
}

// isExactly reports whether the file that was found by name has exactly that
// name. If case matters, it has, and nothing is read.
func (b *base) isExactly(n naming, name string) (bool, error) {
	twin, err := b.twin(n, name)
	return twin == "", err
}

// twin returns the name in the directory that differs from name by case alone
// and is the same file on this file system, or "".
func (b *base) twin(n naming, name string) (string, error) {
	folds, err := b.foldsCase(n)
	if err != nil || !folds {
		return "", err
	}
	twin := ""
	err = b.eachName(func(found string) bool {
		if found == name {
			twin = ""
			return false
		}
		if strings.EqualFold(found, name) {
			twin = found
		}
		return true
	})
	return twin, err
}

// eachName calls visit for the names in the directory until it returns false.
func (b *base) eachName(visit func(name string) bool) error {
	names, err := b.Names()
	if err != nil {
		return err
	}
	defer names.Close()
	for more := true; more; {
		err := names.Next(func(name []byte, _ fileMode) {
			if more && !b.hidden[string(name)] {
				more = visit(string(name))
			}
		})
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
