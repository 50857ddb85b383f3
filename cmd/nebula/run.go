package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/dotenv"
	"github.com/nebula-credential/nebula/reference"
)

type runOptions struct {
	env        []string // NAME=REF
	asFile     []string // NAME=REF
	envFiles   []string
	dialect    string // of these files
	prefixes   []string
	resolve    []string // names of the caller's variables
	resolveEnv bool
	pristine   bool
	exact      bool
	argv       []string
}

func runCommand(run func(context.Context, runOptions) error) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG…]",
		Short: "Run a command with credentials in its environment",
		Long: `Run a command with credentials in its environment. nebula becomes the command:
process id, terminal, signals and exit code are the command's own, and nothing
of nebula stays behind. If a credential that you name is missing, the command is
not started.

REF is [STORE/]ID, or [STORE/]ID#FIELD for a member of a JSON value, or
nebula://[STORE/]ID?version=V#FIELD. If a value ends with a newline, run cuts
that one newline; --exact and --as-file keep it.

The command gets your environment, without the variables that open a store. The
flags that set variables apply in this order, and later ones win: --resolve,
--env-file, --prefix, --env, --as-file. A dotenv file may hold references and
plain values; nothing in it is expanded.`,
		Example: `  nebula run --env DB_PASSWORD=db_password -- ./server
  nebula run --env DB_USER=db#user --env DB_PASSWORD=db#password -- psql
  nebula run --prefix app_ -- ./server
  nebula run --env-file .env -- npm start
  nebula run --as-file KEY=deploy_key -- sh -c 'ssh -i "$KEY" host'
  TOKEN=nebula://github_token nebula run --resolve TOKEN -- make release`,
		Args: func(cmd *cobra.Command, args []string) error {
			return count(cmd, args, len(args) > 0, "a command to run")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.argv = args
			return run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows CMD is CMD's
	flags.StringArrayVarP(&o.env, "env", "e", nil, "set the variable `NAME=REF` to a credential; may be repeated")
	flags.StringArrayVar(&o.asFile, "as-file", nil, "set the variable `NAME=REF` to the path of a file that holds the credential; may be repeated")
	flags.StringArrayVar(&o.envFiles, "env-file", nil, "set the variables of a dotenv `file`, values and references nebula://…; may be repeated")
	flags.StringVar(&o.dialect, "dialect", "", "read dotenv files by the rules of `T`, where readers differ: "+strings.Join(dotenv.Readers(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("dialect", cobra.FixedCompletions(dotenv.Readers(), cobra.ShellCompDirectiveNoFileComp))
	flags.StringArrayVar(&o.prefixes, "prefix", nil, "set a variable for each id that begins with `P`: the rest of the id, in upper case, - as _; may be repeated")
	flags.StringArrayVar(&o.resolve, "resolve", nil, "replace the caller's variable `NAME`, which holds a reference nebula://…; may be repeated")
	flags.BoolVar(&o.resolveEnv, "resolve-env", false, "replace every variable of the caller that holds a reference nebula://…")
	flags.BoolVar(&o.pristine, "pristine", false, "pass nothing else of the caller's environment than PATH, HOME, TERM and the like")
	flags.BoolVar(&o.exact, "exact", false, "keep a newline at the end of a value")
	return cmd
}

// variable is the intended content of a variable of the command.
type variable struct {
	name   string
	ref    reference.Reference
	file   string // of a plain value: where it stands; "" if ref says what it is
	asFile bool
	value  nebula.Secret
}

// String says where the value comes from.
func (v *variable) String() string {
	if v.file != "" {
		return v.name + ", " + v.file
	}
	return v.name + ", " + v.ref.String()
}

func (a *app) runProgram(ctx context.Context, o runOptions) error {
	path, err := lookUp(o.argv[0])
	if err != nil {
		return err
	}
	variables, err := a.readVariables(ctx, o)
	if err != nil {
		return err
	}
	return a.start(path, o, variables)
}

// readVariables returns all variables with their values, or an error that names
// all that have none. Then it closes the stores.
func (a *app) readVariables(ctx context.Context, o runOptions) ([]variable, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	r := c.NewResolver(a.options())
	variables, err := a.resolveVariables(ctx, r, o)
	return variables, firstError(err, r.Close())
}

func (a *app) resolveVariables(ctx context.Context, r *config.Resolver, o runOptions) ([]variable, error) {
	variables, err := a.collectVariables(ctx, r, o)
	if err != nil {
		return nil, err
	}
	var refs []reference.Reference
	var stored []*variable
	var failed failures
	for i := range variables {
		if v := &variables[i]; v.file == "" {
			refs, stored = append(refs, v.ref), append(stored, v)
		} else if err := v.check(); err != nil {
			failed.add(a, v.String(), err)
		}
	}
	for i, got := range r.Resolve(ctx, refs) {
		v := stored[i]
		v.value = got.Value
		if got.Err == nil {
			got.Err = v.finish(o.exact)
		}
		if got.Err != nil {
			failed.add(a, v.String(), got.Err)
		}
	}
	return variables, failed.err("run", fmt.Sprintf("%d of %d variables cannot be set, and nothing was started", len(failed.lines), len(variables)))
}

// failures collects the problems of several things, to report them at once.
type failures struct {
	first error
	lines []string
}

func (f *failures) add(a *app, what string, err error) {
	if f.first == nil {
		f.first = err
	}
	told := a.failureOf(err)
	if told.ID != "" && strings.Contains(what, string(told.ID)) {
		told.Op, told.ID, told.Provider = "", "", ""
	}
	f.lines = append(f.lines, what+": "+told.String())
}

// err returns one error for all of them, of the kind of the first, or nil.
func (f *failures) err(op, message string) error {
	if f.first == nil {
		return nil
	}
	return &nebula.Error{Kind: nebula.KindOf(f.first), Op: op, Err: f.first, Message: message + "\n" + strings.Join(f.lines, "\n")}
}
