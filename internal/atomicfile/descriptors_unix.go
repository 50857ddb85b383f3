//go:build unix

package atomicfile

import "golang.org/x/sys/unix"

// MaxStaged is how many files to give to [Dir.StageAll] at once: a quarter of
// those that this process may have open, so that enough are left for others.
func MaxStaged() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return maxFlushes
	}
	return int(min(max(uint64(limit.Cur)/4, 1), maxStaged))
}
