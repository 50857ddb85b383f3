package main

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"strings"
)

// writeNotices writes the licences of all linked modules, which must be passed on with the
// programs.
func writeNotices(to io.Writer) error {
	paths, err := linked()
	if err != nil {
		return err
	}
	all, err := find(paths)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(to)
	fmt.Fprintln(w, "The programs named nebula contain the following modules, under these licences.")
	std, err := standardLibrary(runtime.Version())
	if err != nil {
		return err
	}
	for _, m := range append(all, std) {
		texts, err := m.licences()
		if err != nil {
			return err
		}
		for _, l := range texts {
			line := strings.Repeat("=", 80)
			fmt.Fprintf(w, "\n%s\n%s %s, %s\n%s\n\n%s\n", line, m.Path, m.Version, l.name, line, strings.TrimSpace(string(l.text)))
		}
	}
	return w.Flush()
}
