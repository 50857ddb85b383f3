package vault

import (
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
)

// formatVersion returns Vault's number of a version, and the time of its
// creation. After a purge Vault counts from 1 again, and the time tells the two
// apart.
func formatVersion(number int64, created string) nebula.Version {
	text := strconv.FormatInt(number, 10)
	at, err := time.Parse(time.RFC3339Nano, created)
	if err != nil || at.UnixNano() <= 0 {
		return nebula.Version(text)
	}
	return nebula.Version(text + "-" + strconv.FormatInt(at.UnixNano(), 36))
}

// parseVersion returns Vault's number of a version, and false if the text is
// not one.
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

// The driver remembers versions that were current a moment ago: at most
// maxRecent of them, each for recentFor. Vault compares by number whether one
// is still current. A change often follows a read, so the memory saves another
// read, which would check that the number belongs to the same secret.
const (
	maxRecent = 1024
	recentFor = 2 * time.Second
)
