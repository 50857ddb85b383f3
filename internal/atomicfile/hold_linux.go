package atomicfile

import "golang.org/x/sys/unix"

// Held is a file that is not freed before Release.
type Held struct{ fd int }

// Hold keeps the file of that name, if there is one, from being freed, even if
// it is replaced or removed meanwhile. Freeing a file takes several times as
// long as replacing it, and should not be done while a lock is held.
func (d *Dir) Hold(name string) Held {
	fd, err := unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return Held{-1}
	}
	return Held{fd}
}

// Release must be called once.
func (h Held) Release() {
	if h.fd >= 0 {
		_ = unix.Close(h.fd)
	}
}
