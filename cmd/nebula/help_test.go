package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The help fits a terminal of 80 columns, and breaks no word.
func TestHelpFits(t *testing.T) {
	a := &app{}
	seen := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		seen++
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.InitDefaultHelpFlag()
		help(cmd, nil)
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > helpWidth {
				t.Errorf("%s: %d columns: %s", cmd.CommandPath(), n, line)
			}
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(a.rootCommand())
	if seen < 25 {
		t.Errorf("only %d commands", seen)
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string][]string{
		"":                     {""},
		"one":                  {"one"},
		"one two three":        {"one two", "three"},
		"grüße an alle":        {"grüße an", "alle"},
		"averyveryverylongone": {"averyveryverylongone"},
		"a averyverylongone b": {"a", "averyverylongone", "b"},
	} {
		if got := wrap(text, 8); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// If a command has subcommands and also runs by itself, its usage shows both.
func TestUsage(t *testing.T) {
	root := (&app{}).rootCommand()
	for name, want := range map[string]string{
		"serve":       "nebula serve [flags]\n  nebula serve COMMAND [flags]",
		"key":         "nebula key COMMAND [flags]",
		"serve token": "nebula serve token COMMAND [flags]",
		"get":         "nebula get ID [flags]",
	} {
		cmd, _, err := root.Find(strings.Fields(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := useLine(cmd); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
