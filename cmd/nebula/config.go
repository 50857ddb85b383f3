package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

func (a *app) configCommand() *cobra.Command {
	return group("config", "Show and check the configuration", `The configuration is one TOML file. Every setting of the default store can also
be given as a variable: NEBULA_STORAGE_PROVIDER, for example. A store with a
name, [stores.NAME] in the file, has no such variables. What the backend's own
tools obey (AWS_REGION, VAULT_ADDR, …) holds for every store.`, `  nebula config path
  nebula config show
  nebula config validate`,
		plainCommand("path", "Show where the configuration is read from", `  nebula config path`, a.configPath),
		plainCommand("show", "Show the settings in force, and where each comes from", `  nebula config show`, a.configShow),
		plainCommand("validate", "Check the whole configuration and report all problems", `  nebula config validate`, a.configValidate))
}

// plainCommand is a command without arguments and flags.
func plainCommand(name, short, example string, run func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use:               name,
		Short:             short,
		Long:              short + ".",
		Example:           example,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return run(cmd.Context()) },
	}
}

func noText(io.Writer) error { return nil }

// configPath also works with a wrong configuration.
func (a *app) configPath(context.Context) error {
	c, _ := a.load()
	if c.Path == "" {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "there is no home directory to look for a configuration in",
			Hint: "name the file with --config or NEBULA_CONFIG"}
	}
	return a.print(map[string]any{"path": c.Path, "exists": c.Found}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, escape(c.Path))
		return err
	})
}

func (a *app) configShow(context.Context) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	settings := c.Settings()
	out := map[string]any{"path": c.Path, "exists": c.Found, "settings": settings}
	return a.print(out, func(w io.Writer) error { return writeSettings(w, c, settings) })
}

// writeSettings writes TOML, which can be saved as a file.
func writeSettings(w io.Writer, c *config.Config, settings []config.Setting) error {
	state := ""
	if !c.Found {
		state = " (not there)"
	}
	fmt.Fprintf(w, "# %s%s\n", escape(c.Path), state)
	section := ""
	for _, s := range settings {
		dot := strings.LastIndexByte(s.Key, '.')
		if s.Key[:dot] != section {
			section = s.Key[:dot]
			fmt.Fprintf(w, "\n[%s]\n", section)
		}
		value, err := tomlValue(s.Value)
		if err != nil {
			return err
		}
		from := s.Source
		if from == c.Path {
			from = "file"
		}
		fmt.Fprintf(w, "%s = %s  # %s\n", s.Key[dot+1:], value, from)
	}
	return nil
}

// tomlValue writes a value in TOML. The form is that of JSON, except for maps.
func tomlValue(value any) (string, error) {
	if m, ok := value.(map[string]string); ok {
		var pairs []string
		for _, key := range slices.Sorted(maps.Keys(m)) {
			pairs = append(pairs, fmt.Sprintf("%q = %q", key, m[key]))
		}
		return "{ " + strings.Join(pairs, ", ") + " }", nil
	}
	text, err := json.Marshal(value)
	return string(escapeJSON(text)), err
}

func (a *app) configValidate(context.Context) error {
	c, err := config.Load(config.Source{File: a.global.config, Environ: a.environ, Store: "*"})
	if err != nil {
		return err
	}
	switch {
	case !c.Found && c.Path == "":
		a.tell("there is no configuration file, and no home directory to look for one in; the defaults hold")
	case !c.Found:
		a.tell("there is no configuration file, so the defaults hold; it would be " + c.Path)
	default:
		a.done("the configuration is valid")
	}
	return a.print(map[string]any{"path": c.Path, "exists": c.Found, "stores": c.Names()}, noText)
}
