//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// walk is a section of a page. Its console blocks are typed into one shell, and must
// print what the page shows. In the page, … stands for any text within a line, and a
// line with nothing else for any lines.
type walk struct {
	*document
	dir string // where the commands run; the first person's home if empty
	// typed runs the commands of another person, or in another terminal, by the prompt.
	typed func(who, command string)
	// before replaces a command, if the page has a sample of something that differs each
	// time.
	before func(command string) string
	// alike makes equal what differs each time, in the output and on the page.
	alike func(text string) string
}

// section returns the part of the page below a heading, up to the next one.
func (d *document) section(heading string) *document {
	d.t.Helper()
	_, after, ok := strings.Cut(d.text, "\n## "+heading+"\n")
	if !ok {
		d.t.Fatalf("there is no section %q", heading)
	}
	after, _, _ = strings.Cut(after, "\n## ")
	part := *d
	part.text = after
	return &part
}

// step is one command of a console block, with the output that the page shows.
type step struct{ who, command, shows string }

var prompt = regexp.MustCompile(`^([a-z]*)\$ (.*)$`)

func (d *document) steps() (all []step) {
	d.t.Helper()
	for _, m := range regexp.MustCompile("(?ms)^ *```console\n(.*?)^ *```").FindAllStringSubmatch(d.text, -1) {
		first := len(all)
		for line := range strings.Lines(m[1]) {
			if p := prompt.FindStringSubmatch(strings.TrimSpace(line)); p != nil {
				all = append(all, step{who: p[1], command: p[2]})
			} else if len(all) == first {
				d.t.Fatalf("a block does not begin with a command: %s", line)
			} else {
				all[len(all)-1].shows += line
			}
		}
	}
	return all
}

// follow types all commands. Each has the environment of the one before.
func (s *walk) follow(want int) {
	s.t.Helper()
	steps := s.steps()
	if len(steps) != want {
		s.t.Fatalf("%d commands", len(steps))
	}
	for _, step := range steps {
		if step.who != "" {
			s.typed(step.who, step.command)
			continue
		}
		command := step.command
		if s.before != nil {
			command = s.before(command)
		}
		cmd := s.typing(command)
		if s.dir != "" {
			cmd.Dir = s.dir
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			s.t.Fatalf("%s: %v\n%s", step.command, err, out)
		}
		s.compare(step, string(out))
	}
}

// compare compares the output of a command with the page.
func (s *walk) compare(step step, printed string) {
	s.t.Helper()
	if s.alike != nil {
		step.shows, printed = s.alike(step.shows), s.alike(printed)
	}
	if !shows(step.shows, printed) {
		s.t.Errorf("$ %s\n%s\nand the page shows\n%s", step.command, printed, step.shows)
	}
}

// typing is a command in the same shell as the commands before: it has the variables
// that they exported.
func (d *document) typing(command string) *exec.Cmd {
	d.t.Helper()
	kept := filepath.Join(d.home(""), ".exported")
	if _, err := os.Stat(kept); err != nil {
		d.write("", ".exported", "")
	}
	cmd := exec.Command("sh", "-c", ". '"+kept+"'\n"+command+"\ncode=$?; export -p > '"+kept+"'; exit $code")
	cmd.Dir, cmd.Env = d.home(""), d.environ("")
	return cmd
}

// shows reports whether a page shows that output.
func shows(page, printed string) bool {
	pattern := regexp.QuoteMeta(strings.TrimRight(page, "\n"))
	pattern = regexp.MustCompile(`(?m)^…$`).ReplaceAllString(pattern, `(?s:.*)`)
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	return regexp.MustCompile(`\A` + pattern + `\z`).MatchString(strings.TrimRight(printed, "\n"))
}

func TestShows(t *testing.T) {
	for _, c := range []struct {
		page, printed string
		want          bool
	}{
		{"", "", true}, {"", "a\n", false}, {"a\n", "a", true}, {"a\n", "a\nb\n", false}, {"a…c\n", "a b c\n", true},
		{"a…\n", "a\nb\n", false}, {"a\n…\n", "a\nb\nc\n", true}, {"a.c\n", "abc\n", false}, {"b\n", "a\nb\n", false},
	} {
		if got := shows(c.page, c.printed); got != c.want {
			t.Errorf("%q shows %q: %v", c.page, c.printed, got)
		}
	}
}
