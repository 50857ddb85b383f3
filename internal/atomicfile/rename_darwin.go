package atomicfile

import "golang.org/x/sys/unix"

func renameNoReplace(dir int, from, to string) error {
	_, err := retry(func() (int, error) {
		return 0, unix.RenameatxNp(dir, from, dir, to, unix.RENAME_EXCL)
	})
	return err
}
