package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// help writes what a person reads: what the command is for, how it is called,
// an example, then the flags.
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
		fmt.Fprintf(w, "\nFlags:\n%s", cmd.LocalFlags().FlagUsages())
	}
	if cmd.HasAvailableInheritedFlags() {
		fmt.Fprintf(w, "\nFlags of every command:\n%s", cmd.InheritedFlags().FlagUsages())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nMore about a command: %s COMMAND --help\n", cmd.CommandPath())
	}
}

func useLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " COMMAND [flags]"
	}
	return cmd.UseLine()
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
