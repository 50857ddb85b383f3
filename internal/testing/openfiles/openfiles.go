// Package openfiles tells tests which files their process has open.
package openfiles

import (
	"os"
	"strings"
)

// Below returns what this process has open of a path and everything below it. It works
// only on Linux; elsewhere it returns nothing.
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
