//go:build unix

package local_test

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// become changes to the umask and the user in the environment.
func become(getenv func(string) string) {
	if umask, err := strconv.ParseInt(getenv("NEBULA_TEST_UMASK"), 8, 0); err == nil {
		unix.Umask(int(umask))
	}
	if uid, err := strconv.Atoi(getenv("NEBULA_TEST_UID")); err == nil {
		for _, err := range []error{unix.Setgroups(nil), unix.Setgid(uid), unix.Setuid(uid)} {
			if err != nil {
				panic(err)
			}
		}
	}
}
