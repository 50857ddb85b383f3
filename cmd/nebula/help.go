package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the number of columns of the help, in any terminal. If the
// terminal broke a line, it would break it within a word.
const helpWidth = 80

// help writes the help for a person: the purpose of the command, its usage, an
// example, then the flags.
func help(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s\n", strings.TrimSpace(cmd.Long))
	fmt.Fprintf(w, "\nUsage:\n  %s\n", useLine(cmd))
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	for _, group := range cmd.Groups() {
		helpCommands(w, cmd, group.Title, group.ID)
	}
	helpCommands(w, cmd, "Commands:", "")
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s", flagUsages(cmd.LocalFlags()))
	}
	if cmd.HasAvailableInheritedFlags() {
		fmt.Fprintf(w, "\nFlags of every command:\n%s", flagUsages(cmd.InheritedFlags()))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nMore about a command: %s COMMAND --help\n", cmd.CommandPath())
	}
}

func useLine(cmd *cobra.Command) string {
	if !cmd.HasAvailableSubCommands() {
		return cmd.UseLine()
	}
	line := cmd.CommandPath() + " COMMAND [flags]"
	if cmd.HasParent() && cmd.Annotations[holds] == "" {
		line = cmd.UseLine() + "\n  " + line
	}
	return line
}

// flagUsages lists flags. Beside each is its description, in as many lines as
// it needs.
func flagUsages(flags *pflag.FlagSet) string {
	var names, texts []string
	width := 0
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		name := "      --" + f.Name
		if f.Shorthand != "" {
			name = "  -" + f.Shorthand + ", --" + f.Name
		}
		if value != "" {
			name += " " + value
		}
		names, texts = append(names, name), append(texts, text)
		width = max(width, len(name))
	})
	var b strings.Builder
	const gap = 3
	for i, name := range names {
		lines := wrap(texts[i], helpWidth-width-gap)
		fmt.Fprintf(&b, "%-*s%s\n", width+gap, name, lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(&b, "%*s%s\n", width+gap, "", line)
		}
	}
	return b.String()
}

// wrap breaks text between words. A word that is longer than width has a line of
// its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// helpCommands lists the commands of a group.
func helpCommands(w io.Writer, parent *cobra.Command, title, group string) {
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() || c.GroupID != group {
			continue
		}
		if title != "" {
			fmt.Fprintf(w, "\n%s\n", title)
			title = ""
		}
		fmt.Fprintf(t, "  %s\t%s\n", c.Name(), c.Short)
	}
	_ = t.Flush()
}

// plainUsages removes the quotes from the descriptions of flags. They mark the
// name of a value in the help, and would show in a completion.
func plainUsages(cmd *cobra.Command) {
	plain := func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") }
	cmd.Flags().VisitAll(plain)
	cmd.PersistentFlags().VisitAll(plain)
	for _, c := range cmd.Commands() {
		plainUsages(c)
	}
}

// stickyWriter keeps the first failure of a writer whose callers do not look.
type stickyWriter struct {
	w   io.Writer
	err error
}

func (s *stickyWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if s.err == nil {
		s.err = err
	}
	return n, err
}
