// This file takes the place of main.go of the command nebula, and makes a program
// that writes the manual pages of all commands into a directory:
//
//	SOURCE_DATE_EPOCH=… nebula DIR
//
// The product itself then links nothing that is only of use to its manual.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func main() {
	if err := writePages(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writePages(dir string) error {
	root := (&app{}).rootCommand()
	prepare(root)
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "nebula " + release, Manual: "Nebula"}, dir)
}

// prepare makes a manual of what is written for the terminal: text that is
// indented there is shown as it stands, and flags lose the quotes that mark the
// names of their values.
func prepare(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	cmd.Long = verbatim(cmd.Long)
	plainUsages(cmd)
	for _, c := range cmd.Commands() {
		prepare(c)
	}
}

// verbatim indents by four, as Markdown wants it, the lines that are indented by
// two.
func verbatim(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "  ") {
			lines[i] = "  " + line
		}
	}
	return strings.Join(lines, "\n")
}
