// This file replaces main.go of the command nebula, and makes a program that writes the
// manual pages of all commands into a directory:
//
//	SOURCE_DATE_EPOCH=… nebula DIR
//
// So the product itself links nothing that only its manual needs.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

func main() {
	if err := writePages(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writePages(dir string) error {
	root := (&app{}).rootCommand()
	values := map[string]map[string]string{}
	nameValues(root, values)
	prepare(root)
	if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "nebula " + release, Manual: "Nebula"}, dir); err != nil {
		return err
	}
	for page, names := range values {
		if err := showValues(filepath.Join(dir, page), names); err != nil {
			return err
		}
	}
	return nil
}

// nameValues notes, for each page, the name that the help gives the value of each flag.
func nameValues(cmd *cobra.Command, pages map[string]map[string]string) {
	names := map[string]string{}
	note := func(f *pflag.Flag) { names[f.Name], _ = pflag.UnquoteUsage(f) }
	cmd.InitDefaultHelpFlag()
	cmd.NonInheritedFlags().VisitAll(note)
	cmd.InheritedFlags().VisitAll(note)
	pages[strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"] = names
	for _, c := range cmd.Commands() {
		nameValues(c, pages)
	}
}

var option = regexp.MustCompile(`(?m)^(\\fB-\w\\fP, )?\\fB--([a-z0-9-]+)\\fP(\[=.*\]|=.*)$`)

// showValues replaces the default of each flag by the name of its value, as in the help.
// The description has the default.
func showValues(path string, names map[string]string) error {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil // cobra writes no page for a hidden command
	} else if err != nil {
		return err
	}
	shown := option.ReplaceAllStringFunc(string(text), func(line string) string {
		m := option.FindStringSubmatch(line)
		line = strings.TrimSuffix(line, m[3])
		if name := names[m[2]]; name != "" {
			line += ` \fI` + name + `\fP`
		}
		return line
	})
	return os.WriteFile(path, []byte(shown), 0o644)
}

// prepare turns texts for the terminal into texts for a manual: indented lines stay as they
// are, and flags lose the quotes that mark the names of their values.
func prepare(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	cmd.Long = verbatim(cmd.Long)
	plainUsages(cmd)
	for _, c := range cmd.Commands() {
		prepare(c)
	}
}

// verbatim indents lines by four if they are indented by two: Markdown wants that.
func verbatim(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "  ") {
			lines[i] = "  " + line
		}
	}
	return strings.Join(lines, "\n")
}
