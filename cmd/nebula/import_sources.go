package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/provider"
	"github.com/nebula-credential/nebula/takeover"
)

// foreignSource is a kind of place where secrets are kept.
type foreignSource struct {
	takes []string // of the flags that not every source takes
	all   bool     // the source may be left empty: all that there is
	read  func(ctx context.Context, a *app, rest string, o foreignOptions) (takeover.Found, error)
}

// backend reports whether it is read with the login of a provider.
func (s foreignSource) backend() bool { return slices.Contains(s.takes, "via") }

// foreignSources are all foreign sources, by scheme.
func foreignSources() map[string]foreignSource {
	backend, program := []string{"via", "fields"}, []string{"fields", "whole"}
	return map[string]foreignSource{
		"ansible-vault": {program, false, readAnsibleVault},
		"aws":           {backend, true, readBackend("aws", takeover.Backend)},
		"azure":         {backend, true, readBackend("azure", takeover.Backend)},
		"dotenv":        {[]string{"dialect"}, false, readDotenv},
		"json":          {[]string{"fields"}, false, readJSON},
		"kubernetes":    {backend, false, readBackend("kubernetes", takeover.Backend)},
		"pass":          {[]string{"whole"}, true, readPass},
		"sops":          {program, false, readSops},
		"vault":         {backend, true, readBackend("vault", takeover.Vault)},
	}
}

func readDotenv(ctx context.Context, a *app, rest string, o foreignOptions) (found takeover.Found, err error) {
	text, err := a.readForeign(ctx, expandHome(rest))
	if err != nil {
		return found, err
	}
	defer clear(text)
	found.Secrets, err = takeover.Dotenv(text, o.dialect)
	return found, err
}

func readJSON(ctx context.Context, a *app, rest string, o foreignOptions) (found takeover.Found, err error) {
	text, err := a.readForeign(ctx, expandHome(rest))
	if err != nil {
		return found, err
	}
	defer clear(text)
	found.Secrets, err = takeover.JSON(text, o.fields)
	return found, err
}

func readPass(ctx context.Context, a *app, dir string, o foreignOptions) (takeover.Found, error) {
	if dir == "" {
		if dir = os.Getenv("PASSWORD_STORE_DIR"); dir == "" {
			dir = "~/.password-store"
		}
	}
	defer a.pause()() // the agent of GPG may ask
	bar := a.progress("reading", -1)
	defer bar.end()
	return takeover.Pass(ctx, expandHome(dir), o.whole, a.programs(), func(done, total int) { bar.is(done, total, 0, nil) })
}

func readSops(ctx context.Context, a *app, file string, o foreignOptions) (takeover.Found, error) {
	defer a.pause()()
	return takeover.Sops(ctx, expandHome(file), o.fields, o.whole, a.programs())
}

func readAnsibleVault(ctx context.Context, a *app, file string, o foreignOptions) (takeover.Found, error) {
	defer a.pause()()
	return takeover.AnsibleVault(ctx, expandHome(file), o.fields, o.whole, a.programs())
}

func (a *app) programs() takeover.Programs {
	p := takeover.Programs{Environ: a.environ, Stderr: a.stderr}
	if a.stdinIsTerminal {
		p.Stdin = a.stdin
	}
	return p
}

// readBackend reads with the login that --via names, or of that provider within
// [storage].
func readBackend(name string, read func(context.Context, provider.ForeignReader, string, takeover.BackendOptions) (takeover.Found, error)) func(context.Context, *app, string, foreignOptions) (takeover.Found, error) {
	return func(ctx context.Context, a *app, place string, o foreignOptions) (found takeover.Found, err error) {
		via := o.via
		if via == "" {
			via = name
		}
		c, err := config.Load(config.Source{File: a.global.config, Environ: a.environ, Between: []string{via}})
		if err != nil {
			return found, err
		}
		p, closeIt, err := c.OpenProvider(ctx, via, a.options())
		if err != nil {
			return found, err
		}
		defer func() { err = firstError(err, closeIt()) }()
		is, _ := nebula.As[nebula.Describer](p)
		reader, reads := nebula.As[provider.ForeignReader](p)
		if !reads || is.Describe().Provider != name {
			return found, usage("--via "+shorten(via)+" is a store of another provider than "+name, "")
		}
		bar := a.progress("reading", -1)
		defer bar.end()
		return read(ctx, reader, place, takeover.BackendOptions{Fields: o.fields, Progress: func(done, total int) { bar.is(done, total, 0, nil) }})
	}
}

// expandHome replaces a leading ~/, which no shell does after a scheme.
func expandHome(path string) string {
	rest, found := strings.CutPrefix(path, "~/")
	home, err := os.UserHomeDir()
	if !found || err != nil {
		return path
	}
	return filepath.Join(home, rest)
}
