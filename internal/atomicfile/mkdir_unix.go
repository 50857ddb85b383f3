//go:build unix

package atomicfile

import "os"

func makeDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	// The umask may have taken away even the owner's access.
	return os.Chmod(path, 0o700)
}
