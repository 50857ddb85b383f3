package vault

import (
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
)

// formatVersion returns Vault's number of a version, and when it was created:
// after a purge Vault counts from 1 again, and time tells the two apart.
func formatVersion(number int64, created string) nebula.Version {
	text := strconv.FormatInt(number, 10)
	at, err := time.Parse(time.RFC3339Nano, created)
	if err != nil || at.UnixNano() <= 0 {
		return nebula.Version(text)
	}
	return nebula.Version(text + "-" + strconv.FormatInt(at.UnixNano(), 36))
}

// parseVersion returns Vault's number of a version, and false for what is none.
func parseVersion(v nebula.Version) (number int64, ok bool) {
	text, created, timed := strings.Cut(string(v), "-")
	if timed {
		nanoseconds, err := strconv.ParseInt(created, 36, 64)
		if err != nil || strconv.FormatInt(nanoseconds, 36) != created {
			return 0, false
		}
	}
	return parseNumber(text)
}

func parseNumber(text string) (number int64, ok bool) {
	n, err := strconv.ParseInt(text, 10, 32)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == text
}

// The versions that were the current ones a moment ago are remembered: at most
// maxRecent of them, each for recentFor. Vault compares by number whether one
// still is. The memory saves the read that checks that the number is of the
// same secret, since a change often follows a read.
const (
	maxRecent = 1024
	recentFor = 2 * time.Second
)
