package local

import (
	"errors"
	"io"
	"strings"

	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// What is known of the directory's file system.
const (
	foldUnknown = iota // there was no name to try it on
	foldNo
	foldYes
)

// foldsCase reports whether two names that differ by case are one. It is found
// out once, from a file that is there: nothing is made for it.
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
	some := ""
	err := b.eachName(func(name string) bool {
		if _, letters := swapCase(name); letters && !atomicfile.IsTemp(name) {
			some = name
		}
		return some == ""
	})
	if err != nil || some == "" {
		return false, err
	}
	_, err = b.tryFold(some)
	return b.folds.Load() == foldYes, err
}

// tryFold asks for a name that is there by another case of it.
func (b *base) tryFold(name string) (known bool, err error) {
	swapped, letters := swapCase(name)
	if !letters {
		return false, nil
	}
	stat, err := b.Lstat(name)
	if isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	twin, err := b.Lstat(swapped)
	switch {
	case isMissing(err):
		b.folds.Store(foldNo)
	case err != nil:
		return false, err
	case twin == stat:
		b.folds.Store(foldYes)
	default:
		b.folds.Store(foldNo)
	}
	return true, nil
}

// isExactly reports whether the file that was found under name has that very
// name. It is true without a look where case matters.
func (b *base) isExactly(n naming, name string) (bool, error) {
	twin, err := b.twin(n, name)
	return twin == "", err
}

// twin returns the name in the directory that differs from name by case alone,
// and hides it on this file system: "" where there is none.
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
