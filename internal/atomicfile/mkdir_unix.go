//go:build unix

package atomicfile

import "os"

func makeDir(path string) error {
	const mode = 0o700
	if err := os.Mkdir(path, mode); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() == mode {
		return err
	}
	// The umask may have taken away even the owner's access. On a file system
	// that sets no modes, the one that it gives is accepted.
	err = os.Chmod(path, mode)
	if setsNoModes(err) && info.Mode().Perm()&mode == mode {
		return nil
	}
	return err
}
