package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula"
)

// globalFlags hold for every command.
type globalFlags struct {
	config  string
	store   string
	output  string
	timeout string

	limit     time.Duration // how long the command may take; 0 is for ever
	limitIsOn bool          // whether somebody set it
	long      bool          // whether it may take longer than a token lives
	where     string        // where keys are looked for, once the store is known
}

const (
	defaultTimeout = 30 * time.Second
	// slowTimeout is for operations that can take a backend minutes, such as
	// freeing a name after a deletion.
	slowTimeout = 10 * time.Minute
)

// slow marks the commands that always get slowTimeout or no limit, or get it only
// with --verify, which opens every record.
const (
	slow         = "slow"
	unlimited    = "unlimited"
	toVerifyOnly = "to verify"
)

// Groups of commands in the help.
const (
	groupCredentials = "credentials"
	groupStore       = "store"
)

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "nebula",
		Short: "Keep credentials, encrypted, on the backend of your choice",
		Long: `nebula keeps credentials (tokens, passwords, keys) encrypted, on the backend of
your choice. You need not set anything up: the first put makes a store in your
data directory and a key file, and says where they are.

Values come from standard input, a file or a hidden prompt, never from the
command line. get writes the exact bytes to standard output.`,
		Example: `  nebula put github_token              asks for the value
  pass show github | nebula put github_token --trim
  nebula get github_token
  nebula list --long`,
		Version:           version().String(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: a.before,
		Args:              noCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(help)
	root.SetVersionTemplate("{{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVar(&a.global.config, "config", "", "configuration `file` (NEBULA_CONFIG)")
	flags.StringVar(&a.global.store, "store", "", "`name` of a store in the configuration (NEBULA_STORE)")
	flags.StringVarP(&a.global.output, "output", "o", outputText, "`form` of output: text, the default, or json (NEBULA_OUTPUT)")
	flags.StringVar(&a.global.timeout, "timeout", "", "the longest `time` for a command's own work, such as 5s; 0 is no limit (NEBULA_TIMEOUT; default 30s, 10m for delete, restore, purge, mv and cp, none for agent, serve, copy, export, import, migrate, watch, key rotate and list --verify)")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputText, outputJSON}, cobra.ShellCompDirectiveNoFileComp))
	root.AddGroup(
		&cobra.Group{ID: groupCredentials, Title: "Credentials:"},
		&cobra.Group{ID: groupStore, Title: "The store:"},
	)
	a.addCommands(root)
	root.SetHelpCommandGroupID(groupStore)
	return root
}

func (a *app) addCommands(root *cobra.Command) {
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupCredentials,
		a.completing(putCommand(a.put)),
		a.completing(getCommand(a.get)),
		a.completing(editCommand(a.edit)),
		listCommand(a.list),
		a.completing(existsCommand(a.exists)),
		a.completing(tagCommand(a.tag)),
		a.completing(deleteCommand(a.overSelection)),
		a.completing(restoreCommand(a.overSelection)),
		a.completing(purgeCommand(a.overSelection)),
		a.completing(historyCommand(a.history)),
		a.completing(mvCommand(a.rename)),
		a.completing(cpCommand(a.rename)),
		runCommand(a.runProgram),
		injectCommand(a.inject),
		a.completing(watchCommand(a.watch)),
	)
	add(groupStore,
		initCommand(a.init),
		a.keyCommand(),
		a.agentCommand(),
		a.serveCommand(),
		a.copyCommand(a.copy),
		a.completing(exportCommand(a.export)),
		importCommand(a.importFrom),
		migrateCommand(a.migrate),
		a.configCommand(),
		doctorCommand(a.doctor),
		completionCommand(a.stdout),
		versionCommand(a.version),
		clearClipboardCommand(a.clearClipboard),
	)
}

// before applies the flags that hold for every command, and the environment
// variables that replace them.
func (a *app) before(cmd *cobra.Command, _ []string) error {
	fallback := func(flag, variable string, value *string) (set bool) {
		if cmd.Flags().Changed(flag) {
			return true
		}
		if text := a.getenv(variable); text != "" {
			*value = text
		}
		return false
	}
	fallback("store", "NEBULA_STORE", &a.global.store)
	kind, named := nebula.ErrUsage, "--output"
	if !fallback("output", "NEBULA_OUTPUT", &a.global.output) {
		kind, named = nebula.ErrInvalidConfig, "NEBULA_OUTPUT"
	}
	if output := a.global.output; output != outputText && output != outputJSON {
		a.global.output = outputText
		return &nebula.Error{Kind: kind, Message: named + " must be text or json"}
	}
	kind, named = nebula.ErrUsage, "--timeout"
	if !fallback("timeout", "NEBULA_TIMEOUT", &a.global.timeout) {
		kind, named = nebula.ErrInvalidConfig, "NEBULA_TIMEOUT"
	}
	if err := a.setLimit(cmd, kind, named); err != nil {
		return err
	}
	a.clock = newDeadline(cmd.Context(), a.global.limit)
	cmd.SetContext(a.clock)
	return nil
}

func (a *app) setLimit(cmd *cobra.Command, kind nebula.Kind, named string) error {
	a.global.limit = defaultTimeout
	a.global.long = false
	switch class := cmd.Annotations[slow]; {
	case class == "always":
		a.global.limit = slowTimeout
	case class == unlimited, class == toVerifyOnly && cmd.Flags().Changed("verify"):
		a.global.limit, a.global.long = 0, true
	}
	if a.global.timeout == "" {
		return nil
	}
	limit, err := time.ParseDuration(a.global.timeout)
	if err != nil || limit < 0 {
		return &nebula.Error{Kind: kind, Message: named + " must be a duration, such as 5s or 2m; 0 is no bound"}
	}
	a.global.limit, a.global.limitIsOn = limit, true
	a.global.long = a.global.long || limit == 0 || limit > slowTimeout
	return nil
}

// allowSlowStore gives a put more time if a store after a deletion must wait
// for the backend.
func (a *app) allowSlowStore(d nebula.Description) {
	if d.SlowStore && !a.global.limitIsOn {
		a.global.limit = slowTimeout
		a.clock.extend(slowTimeout)
	}
}

// noCommand refuses what is not a command, and suggests one.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see: " + cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = min(2, max(1, len(args[0])/3))
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean: " + cmd.CommandPath() + " " + strings.Join(near, ", ")
	}
	if meant, ok := otherNames()[args[0]]; ok && !cmd.HasParent() {
		hint = "did you mean: nebula " + meant
	}
	return usage(shorten(args[0])+" is not a command of "+cmd.CommandPath(), hint)
}

// otherNames are the names of commands in other programs.
func otherNames() map[string]string {
	return map[string]string{
		"show": "get", "cat": "get", "read": "get", "view": "get", "fetch": "get",
		"set": "put", "add": "put", "store": "put", "write": "put", "insert": "put", "create": "put", "save": "put",
		"sync": "copy", "clone": "cp", "ren": "mv",
		"remove": "delete", "del": "delete", "unset": "delete", "destroy": "purge", "undelete": "restore",
		"dir": "list", "search": "list --prefix P", "find": "list --prefix P", "versions": "history", "log": "history",
		"rotate": "key rotate", "check": "doctor", "status": "doctor",
	}
}

// shorten shortens an argument, which may be anything, for a message.
func shorten(arg string) string {
	const most = 20
	if runes := []rune(arg); len(runes) > most {
		arg = string(runes[:most]) + "…"
	}
	return `"` + escape(arg) + `"`
}
