//go:build unix

package atomicfile

import "os"

const dirMode = 0o700

func makeDir(path string) error {
	if err := os.Mkdir(path, dirMode); err != nil {
		return err
	}
	if err := setDirMode(path); err != nil {
		_ = os.Remove(path) // what is there counts as made by somebody else
		return err
	}
	return nil
}

// setDirMode gives a new directory its mode: the umask may have taken away even the
// owner's access. On a file system that sets no modes, the one that it gives is
// accepted.
func setDirMode(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() == dirMode {
		return err
	}
	err = os.Chmod(path, dirMode)
	if setsNoModes(err) && info.Mode().Perm()&dirMode == dirMode {
		return nil
	}
	return err
}
