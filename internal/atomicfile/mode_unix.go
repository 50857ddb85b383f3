//go:build unix

package atomicfile

import (
	"fmt"
	"os"
	"syscall"
)

const hasModes = true

func foreignOwner(info os.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return foreign(st.Uid)
}

// ForeignOwner says whose the file is if it is neither ours nor root's, else "".
func (s Stat) ForeignOwner() string { return foreign(s.Owner) }

func foreign(uid uint32) string {
	if uid == 0 || int64(uid) == int64(os.Geteuid()) {
		return ""
	}
	return fmt.Sprintf("it belongs to the user of number %d", uid)
}
