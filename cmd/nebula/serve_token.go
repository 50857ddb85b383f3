package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula/service/token"
)

// serveTokenCommand manages the tokens of serve. It works on the file, so no
// service needs to run.
func (a *app) serveTokenCommand() *cobra.Command {
	var path string
	cmd := group("token", "Make, list and remove the tokens that serve takes", `A token lets a program use what nebula serve serves: some verbs, on all
credentials or on those of a prefix or a scope. The verbs are

  list    the list of credentials
  read    values, metadata, versions, and whether there is one
  write   values, tags, and restoring
  delete  deleting
  admin   purging, and the metrics

The file of tokens has no token in it, only what recognises one: a token is
shown once, when it is made. A running service sees a change at the next
request.`, `  nebula serve token add web --allow read --prefix web_ --expires 90d
  nebula serve token list
  nebula serve token remove web`,
		serveTokenAddCommand(func(ctx context.Context, g token.Grant) error { return a.serveTokenAdd(ctx, path, g) }, a.now),
		plainCommand("list", "List the tokens: their names, and what they may do", "  nebula serve token list -o json",
			func(ctx context.Context) error { return a.serveTokenList(ctx, path) }),
		&cobra.Command{
			Use:     "remove NAME",
			Aliases: []string{"rm"},
			Short:   "Remove a token, which is refused from the next request on",
			Long:    `Remove a token. Services that use the file refuse it from the next request on.`,
			Example: "  nebula serve token remove web",
			Args: func(cmd *cobra.Command, args []string) error {
				return count(cmd, args, len(args) == 1, "one name")
			},
			ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
				return a.completeTokens(cmd.Context(), path, len(args)), cobra.ShellCompDirectiveNoFileComp
			},
			RunE: func(cmd *cobra.Command, args []string) error { return a.serveTokenRemove(cmd.Context(), path, args[0]) },
		})
	cmd.PersistentFlags().StringVar(&path, "tokens", "", "`file` of tokens (NEBULA_SERVE_TOKENS)")
	cmd.Commands()[1].Aliases = []string{"ls"}
	return cmd
}

func serveTokenAddCommand(run func(context.Context, token.Grant) error, now func() time.Time) *cobra.Command {
	var g token.Grant
	var allow []string
	var expires string
	cmd := &cobra.Command{
		Use:   "add NAME --allow VERB,…",
		Short: "Make a token, and show it once",
		Long: `Make a token and write it to standard output: it is shown this once. NAME
becomes the author of what is written with it, and stands in the audit log.

Outside of its prefix and its scope a token finds nothing, as if nothing was
there.`,
		Example: `  nebula serve token add web --allow read --prefix web_
  nebula serve token add deploy --allow list,write --scope prod --expires 90d
  nebula serve token add prometheus --allow admin --prefix none_`,
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) == 1, "one name")
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			g.Name, g.Created = args[0], now()
			for _, v := range allow {
				verb, err := token.ParseVerb(strings.TrimSpace(v))
				if err != nil {
					return err
				}
				g.Allow = append(g.Allow, verb)
			}
			if len(allow) == 0 {
				return usage("nothing says what the token may do", "--allow takes list, read, write, delete, admin")
			}
			var err error
			if g.Expires, err = parseExpiry(expires, g.Created); err != nil {
				return err
			}
			return run(cmd.Context(), g)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&allow, "allow", nil, "`verbs`: list, read, write, delete, admin")
	flags.StringVar(&g.Prefix, "prefix", "", "only credentials whose ids begin with `P`")
	flags.StringVar(&g.Scope, "scope", "", "only credentials of the scope `S`")
	flags.StringVar(&expires, "expires", "", "valid until `T`: a time, a date (UTC), or a time from now such as 12h or 90d")
	_ = cmd.RegisterFlagCompletionFunc("allow", completeVerbs)
	return cmd
}

// completeVerbs completes the last one of a list.
func completeVerbs(_ *cobra.Command, _ []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before := text[:strings.LastIndexByte(text, ',')+1]
	var all []cobra.Completion
	for _, v := range token.Verbs() {
		if !strings.Contains(","+before, ","+string(v)+",") {
			all = append(all, before+string(v))
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// parseExpiry reads a time, a date, or a time from now, in days too; "" is never.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	const day = 24 * time.Hour
	if d, err := time.ParseDuration(text); err == nil {
		if d < time.Second {
			return time.Time{}, usage("--expires must be at least a second from now", "")
		}
		return now.Add(d), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 32); err == nil && n > 0 && n < 1<<31/24 {
			return now.Add(time.Duration(n) * day), nil
		}
	}
	t, err := parseTime("--expires", text)
	switch {
	case err != nil:
		return t, usage("--expires must be a time such as 2027-01-31T12:00:00Z, a date such as 2027-01-31 (UTC), or a time from now such as 12h or 90d", "")
	case text != "" && !t.After(now):
		return t, usage("--expires is in the past", "")
	}
	return t, nil
}

// tokenFile returns the file of a flag, else that of the configuration.
func (a *app) tokenFile(flag string) (*token.File, error) {
	if flag != "" {
		return token.NewFile(absolute(flag)), nil
	}
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	path := c.Serve().Tokens
	if path == "" {
		return nil, usage("there is no home directory to keep a file of tokens in", "name one with --tokens, or NEBULA_SERVE_TOKENS")
	}
	return token.NewFile(path), nil
}

// tokenJSON is what a token may do, as list and add show it.
type tokenJSON struct {
	Name    string       `json:"name"`
	Allow   []token.Verb `json:"allow"`
	Prefix  string       `json:"prefix,omitempty"`
	Scope   string       `json:"scope,omitempty"`
	Created string       `json:"created"`
	Expires string       `json:"expires,omitempty"`
	Expired bool         `json:"expired"`
}

func (a *app) tokenOf(g token.Grant) tokenJSON {
	return tokenJSON{Name: g.Name, Allow: g.Allow, Prefix: g.Prefix, Scope: g.Scope,
		Created: formatTime(g.Created), Expires: formatTime(g.Expires), Expired: g.Expired(a.now())}
}

func (a *app) serveTokenAdd(ctx context.Context, path string, g token.Grant) error {
	file, err := a.tokenFile(path)
	if err != nil {
		return err
	}
	secret, err := file.Add(ctx, g)
	if err != nil {
		return err
	}
	defer secret.Wipe()
	if g, err = file.Check(secret.Reveal(), g.Created); err != nil {
		return err
	}
	out := struct {
		Token string `json:"token"`
		tokenJSON
	}{string(secret.Reveal()), a.tokenOf(g)}
	err = a.print(out, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, out.Token)
		return err
	})
	if err != nil { // nobody has seen it, and nobody ever can
		_ = file.Remove(context.WithoutCancel(ctx), g.Name)
		return err
	}
	a.tell("this is the only time that the token is shown; " + file.Path() + " cannot give it back")
	return nil
}

func (a *app) serveTokenList(ctx context.Context, path string) error {
	file, err := a.tokenFile(path)
	if err != nil {
		return err
	}
	grants, err := file.List(ctx)
	if err != nil {
		return err
	}
	out := []tokenJSON{}
	for _, g := range grants {
		out = append(out, a.tokenOf(g))
	}
	return a.print(out, func(w io.Writer) error {
		rows := [][]string{{"NAME", "ALLOW", "PREFIX", "SCOPE", "EXPIRES"}}
		for i, g := range grants {
			rows = append(rows, []string{g.Name, joinVerbs(g.Allow), orDash(g.Prefix), orDash(g.Scope), expiry(out[i])})
		}
		if len(out) == 0 {
			a.done("there are no tokens")
			return nil
		}
		return a.table(w, rows)
	})
}

func joinVerbs(verbs []token.Verb) string {
	var b strings.Builder
	for i, v := range verbs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(v))
	}
	return b.String()
}

func expiry(t tokenJSON) string {
	switch {
	case t.Expires == "":
		return "never"
	case t.Expired:
		return t.Expires + " (expired)"
	}
	return t.Expires
}

func (a *app) serveTokenRemove(ctx context.Context, path, name string) error {
	file, err := a.tokenFile(path)
	if err != nil {
		return err
	}
	if err := file.Remove(ctx, name); err != nil {
		return err
	}
	a.done("removed " + name)
	return a.print(map[string]string{"removed": name}, noText)
}

// completeTokens returns the names of the tokens.
func (a *app) completeTokens(ctx context.Context, path string, args int) []cobra.Completion {
	if args > 0 {
		return nil
	}
	file, err := a.tokenFile(path)
	if err != nil {
		return nil
	}
	grants, _ := file.List(ctx)
	var names []cobra.Completion
	for _, g := range grants {
		names = append(names, g.Name)
	}
	return names
}
