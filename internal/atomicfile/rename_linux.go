package atomicfile

import "golang.org/x/sys/unix"

func renameNoReplace(dir int, from, to string) error {
	_, err := retry(func() (int, error) {
		return 0, unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE)
	})
	return err
}
