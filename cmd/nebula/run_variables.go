package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/dotenv"
	"github.com/nebula-credential/nebula/internal/process"
	"github.com/nebula-credential/nebula/reference"
)

// collectVariables returns the variables of the flags. If a name occurs several
// times, the last one counts.
func (a *app) collectVariables(ctx context.Context, r *config.Resolver, o runOptions) ([]variable, error) {
	all, err := a.variablesOfCaller(o)
	if err != nil {
		return nil, err
	}
	for _, path := range o.envFiles {
		inFile, err := a.variablesOfFile(ctx, path, o.dialect)
		if err != nil {
			return nil, err
		}
		all = append(all, inFile...)
	}
	var below []variable
	for _, prefix := range o.prefixes {
		found, err := a.variablesBelow(ctx, r, prefix)
		if err != nil {
			return nil, err
		}
		below = append(below, found...)
	}
	if err := wantNoCollision(below); err != nil {
		return nil, err
	}
	all = append(all, below...)
	for _, flag := range []struct {
		name   string
		args   []string
		asFile bool
	}{{"--env", o.env, false}, {"--as-file", o.asFile, true}} {
		for _, arg := range flag.args {
			v, err := a.parseVariable(flag.name, arg)
			if err != nil {
				return nil, err
			}
			v.asFile = flag.asFile
			all = append(all, v)
		}
	}
	return lastOfEach(all), nil
}

func lastOfEach(all []variable) []variable {
	var kept []variable
	for i, v := range all {
		if !slices.ContainsFunc(all[i+1:], func(later variable) bool { return sameVariable(later.name, v.name) }) {
			kept = append(kept, v)
		}
	}
	return kept
}

// sameVariable compares names as the system does.
func sameVariable(a, b string) bool {
	return a == b || runtime.GOOS == "windows" && strings.EqualFold(a, b)
}

// parseVariable reads NAME=REF.
func (a *app) parseVariable(flag, arg string) (variable, error) {
	name, ref, ok := strings.Cut(arg, "=")
	if !ok {
		return variable{}, usage(flag+" takes NAME=REF, such as DB_PASSWORD=db_password", "")
	}
	if !isVariableName(name) {
		return variable{}, usage(flag+" "+shorten(name)+": the name of a variable has letters, digits and _, and does not begin with a digit", "")
	}
	parsed, err := a.parseReference(ref)
	if err != nil {
		return variable{}, about(flag+" "+name, err)
	}
	return variable{name: name, ref: parsed}, nil
}

// parseReference reads a reference of a flag. If it names no store, it means the
// one that the global flag or the configuration names.
func (a *app) parseReference(text string) (reference.Reference, error) {
	r, err := reference.ParseShort(text)
	if r.Store == "" {
		r.Store = a.global.store
	}
	return r, err
}

// about puts the subject of an error before its message.
func about(what string, err error) error {
	told := &nebula.Error{Kind: nebula.KindOf(err), Message: what + ": " + err.Error(), Err: err}
	if e, ok := err.(*nebula.Error); ok {
		told.Message, told.Hint = what+": "+e.Message, e.Hint
	}
	return told
}

func isVariableName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || '9' < c) {
			return false
		}
	}
	return s != ""
}

// variablesBelow returns a variable for each credential whose id begins with a
// prefix.
func (a *app) variablesBelow(ctx context.Context, r *config.Resolver, prefix string) ([]variable, error) {
	if prefix == "" {
		// Probably a variable that is not set.
		return nil, usage("--prefix is empty", "")
	}
	store, err := r.Open(ctx, a.global.store)
	if err != nil {
		return nil, err
	}
	var all []variable
	for e, err := range store.List(ctx, nebula.ListOptions{Filter: nebula.Filter{Prefix: prefix}}) {
		if err != nil {
			return nil, err
		}
		name := variableName(strings.TrimPrefix(string(e.ID), prefix))
		if !isVariableName(name) {
			return nil, usage(fmt.Sprintf("--prefix %s: %s makes no name of a variable", prefix, e.ID), "take another prefix, or name them one by one with --env NAME="+string(e.ID))
		}
		if process.IsObeyed(name) {
			return nil, usage(fmt.Sprintf("--prefix %s: %s would set %s, which shells, loaders or interpreters obey", prefix, e.ID, name),
				"if that is meant, say so: --env "+name+"="+string(e.ID)+", with another prefix for the others")
		}
		all = append(all, variable{name: name, ref: reference.Reference{Store: a.global.store, ID: e.ID}})
	}
	slices.SortFunc(all, func(x, y variable) int { return strings.Compare(string(x.ref.ID), string(y.ref.ID)) })
	return all, nil
}

// variableName is the usual name of a variable for an id.
func variableName(id string) string { return strings.ToUpper(strings.ReplaceAll(id, "-", "_")) }

// wantNoCollision refuses ids that would set one variable.
func wantNoCollision(all []variable) error {
	by := make(map[string]nebula.ID)
	for _, v := range all {
		if other, taken := by[v.name]; taken && other != v.ref.ID {
			return usage(fmt.Sprintf("both %s and %s would set %s", other, v.ref.ID, v.name), "name one of them with --env, and take a prefix that leaves it out")
		}
		by[v.name] = v.ref.ID
	}
	return nil
}

// variablesOfCaller returns the variables of the caller that are to be replaced.
func (a *app) variablesOfCaller(o runOptions) ([]variable, error) {
	names := slices.Clone(o.resolve)
	if o.resolveEnv {
		for _, entry := range a.environ {
			if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(value, reference.Scheme) && isVariableName(name) {
				names = append(names, name)
			}
		}
	}
	var all []variable
	for _, name := range names {
		text := a.getenv(name)
		if text == "" {
			return nil, usage("--resolve "+shorten(name)+": there is no such variable, or it is empty", "")
		}
		ref, err := reference.Parse(text)
		if err != nil {
			return nil, about("the variable "+name, err)
		}
		if ref.Store == "" {
			ref.Store = a.global.store
		}
		all = append(all, variable{name: name, ref: ref})
	}
	return all, nil
}

// maxEnvFile is how large a dotenv file may be, in bytes.
const maxEnvFile = 16 << 20

// variablesOfFile returns the variables of a dotenv file. Values that begin like
// references are references.
func (a *app) variablesOfFile(ctx context.Context, path, dialect string) ([]variable, error) {
	if config.LooksLikeKey(path) {
		return nil, keyForPath("--env-file")
	}
	if dialect != "" && !slices.Contains(dotenv.Readers(), dialect) {
		return nil, usage("--dialect "+shorten(dialect)+": there is no such reader of dotenv", "one of "+strings.Join(dotenv.Readers(), ", "))
	}
	text, err := within(ctx, func() ([]byte, error) { return readFile(path, maxEnvFile) })
	if err != nil {
		return nil, about("--env-file", err)
	}
	defer clear(text)
	read, err := dotenv.Read(text, dialect)
	if err != nil {
		return nil, about("--env-file "+path, err)
	}
	var all []variable
	for _, entry := range read {
		v := variable{name: entry.Name, file: path}
		switch {
		case !isVariableName(entry.Name):
			return nil, usage("--env-file "+path+": "+shorten(entry.Name)+" is not the name of a variable", "")
		case strings.HasPrefix(entry.Value, reference.Scheme):
			v.file = ""
			if v.ref, err = a.parseReference(entry.Value); err != nil {
				return nil, about("--env-file "+path+", "+entry.Name, err)
			}
		default:
			v.value = nebula.NewSecret([]byte(entry.Value))
		}
		all = append(all, v)
	}
	return all, nil
}

// maxEntry is how long NAME=VALUE and its NUL may be on Linux, in bytes
// (MAX_ARG_STRLEN, 32 pages of 4 KiB). The error of the kernel names no variable.
const maxEntry = 131_072

// finish cuts the last newline, unless --exact is set.
func (v *variable) finish(exact bool) error {
	if v.asFile {
		return nil
	}
	if value := v.value.Reveal(); !exact && bytes.HasSuffix(value, []byte("\n")) {
		v.value = nebula.NewSecret(config.TrimLine(value))
		clear(value)
	}
	return v.check()
}

// check refuses values that an environment cannot hold.
func (v *variable) check() error {
	hint := ""
	if v.file == "" {
		hint = "give it as a file: --as-file " + v.name + "=" + strings.TrimPrefix(v.ref.String(), reference.Scheme)
	}
	switch size := len(v.name) + 1 + v.value.Len() + 1; {
	case bytes.IndexByte(v.value.Reveal(), 0) >= 0:
		return &nebula.Error{Kind: nebula.ErrUsage, ID: v.ref.ID, Message: "the value has a NUL, which no variable can hold", Hint: hint}
	case runtime.GOOS == "linux" && size > maxEntry:
		return &nebula.Error{Kind: nebula.ErrTooLarge, ID: v.ref.ID, Hint: hint,
			Message: fmt.Sprintf("with its name it has %d bytes, and a variable at most %d", size, maxEntry)}
	}
	return nil
}

// environment returns the environment of the command.
func (o runOptions) environment(caller []string, set []variable) []string {
	environ := process.ChildEnvironment(caller)
	if o.pristine {
		environ = slices.DeleteFunc(environ, func(entry string) bool { return !isBasic(entry) })
	}
	environ = slices.DeleteFunc(environ, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.ContainsFunc(set, func(v variable) bool { return sameVariable(v.name, name) })
	})
	for _, v := range set {
		environ = append(environ, v.name+"="+string(v.value.Reveal()))
	}
	return environ
}

// isBasic reports the variables that --pristine keeps.
func isBasic(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return strings.HasPrefix(name, "LC_") || sameVariable(name, "SystemRoot") ||
		slices.ContainsFunc([]string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TERM", "LANG", "TZ"}, func(basic string) bool { return sameVariable(name, basic) })
}
