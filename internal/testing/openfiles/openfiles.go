// Package openfiles tells tests which files their process has left open.
package openfiles

import (
	"os"
	"strings"
)

// Below returns a directory, or a file, and all below it that this process has open.
// It knows them on Linux only.
func Below(path string) []string {
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var found []string
	for _, d := range descriptors {
		if open, err := os.Readlink("/proc/self/fd/" + d.Name()); err == nil && strings.HasPrefix(open, path) {
			found = append(found, open)
		}
	}
	return found
}
