package nebula_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each finding has a row in the table, in the order of the names. It says what it runs,
// when it ends with 0, and what it needs. It names no registry: the
// tools' own settings do.
func TestFindingsSayWhatTheyAre(t *testing.T) {
	readme, err := os.ReadFile("findings/README.md")
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("findings/*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatal(scripts, err)
	}
	var names []string
	for _, path := range scripts {
		names = append(names, filepath.Base(path))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(text), "\nset -eu\n")
		for _, wanted := range []string{`^#!/bin/sh\n# (.*\n)*.*\b(\d+\.\d+\.\d+|[0-9a-f]{12})\b`, `(?i)[a-z0-9]\.(com|org|io|in)\b|golang\.org/x/`, `\n# Ends with 0 if `, `Needs `} {
			if !regexp.MustCompile(wanted).MatchString(head) {
				t.Errorf("the head of %s has no %s", path, wanted)
			}
		}
		if found := regexp.MustCompile(`proxy\.golang\.org|pypi\.org|registry\.npmjs|GOPROXY=|--index-url`).FindString(string(text)); found != "" {
			t.Errorf("%s names %s", path, found)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(readme), -1)
	var listed []string
	for _, row := range rows {
		listed = append(listed, row[1])
	}
	if got, want := strings.Join(listed, " "), strings.Join(names, " "); got != want {
		t.Errorf("the table has\n%s\nthe directory\n%s", got, want)
	}
}
