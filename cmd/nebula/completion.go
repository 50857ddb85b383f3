package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func completionCommand(out io.Writer) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Write the completion script for bash, zsh, fish or powershell",
		Long: `Write a script with which the shell completes commands and flags. It completes
the ids of the local store, too, if the configuration has:

  [completion]
  ids = true`,
		Example: `  nebula completion bash > /etc/bash_completion.d/nebula
  nebula completion zsh > "${fpath[1]}/_nebula"
  nebula completion fish > ~/.config/fish/completions/nebula.fish`,
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) == 1, "one shell")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return outputError(root.GenBashCompletionV2(out, true))
			case "zsh":
				return outputError(root.GenZshCompletion(out))
			case "fish":
				return outputError(root.GenFishCompletion(out, true))
			case "powershell":
				return outputError(root.GenPowerShellCompletionWithDesc(out))
			}
			return usage("no completion for the shell "+shorten(args[0]), "there is one for: "+strings.Join(shells, ", "))
		},
	}
}

// completing gives a command the completion of ids.
func (a *app) completing(cmd *cobra.Command) *cobra.Command {
	single := !strings.Contains(cmd.Use, "…")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if single && len(args) > 0 || cmd.Name() == "tag" && len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.completeIDs(prefix), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// completeIDs lists ids for the shell. It does so only if the user turned it
// on, and only for the local store: elsewhere each TAB would be a line in an
// audit log. It never asks a person, and lists nothing if it fails.
func (a *app) completeIDs(prefix string) []cobra.Completion {
	const most = time.Second // a person waits
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	if a.global.store == "" {
		a.global.store = a.getenv("NEBULA_STORE")
	}
	c, err := a.load()
	if err != nil || !c.CompleteIDs || c.Directory(a.global.store) == "" {
		return nil
	}
	s, err := c.OpenWithoutKeys(ctx, a.global.store, config.OpenOptions{Stderr: io.Discard, Tell: func(string) {}})
	if err != nil {
		return nil
	}
	defer s.Close()
	entries, err := a.collect(ctx, s, listOptions{filter: nebula.Filter{Prefix: prefix}})
	if err != nil {
		return nil
	}
	var ids []cobra.Completion
	for _, e := range entries {
		ids = append(ids, string(e.ID))
	}
	return ids
}
