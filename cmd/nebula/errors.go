package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
)

// exitCode returns the exit code for a kind of failure.
func exitCode(kind nebula.Kind) int {
	switch kind {
	case "":
		return 0
	case nebula.ErrUsage, nebula.ErrInvalidConfig, nebula.ErrInvalidID, nebula.ErrInvalidMetadata, nebula.ErrNotSupported:
		return 2
	case nebula.ErrNotFound, nebula.ErrNotInitialised:
		return 3
	case nebula.ErrPermissionDenied, nebula.ErrUnauthenticated:
		return 4
	case nebula.ErrWrongKey, nebula.ErrCorrupted, nebula.ErrDecryptionFailed, nebula.ErrUnsupportedVersion,
		nebula.ErrUntrustedKey, nebula.ErrRolledBack:
		return 5
	case nebula.ErrUnavailable, nebula.ErrTimeout:
		return 6
	case nebula.ErrAlreadyExists, nebula.ErrConflict, nebula.ErrKeyChanged:
		return 7
	case nebula.ErrTooLarge:
		return 8
	case nebula.ErrInterrupted:
		return 130
	}
	return 1
}

// errSilent ends a command with an exit code and without a message.
type errSilent int

func (e errSilent) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// failure is the form in which an error is shown.
type failure struct {
	Code     int         `json:"code"`
	Kind     nebula.Kind `json:"kind"`
	Op       string      `json:"op"`
	Provider string      `json:"provider"`
	ID       nebula.ID   `json:"id"`
	Message  string      `json:"message"`
	Hint     string      `json:"hint"`
}

func (a *app) failureOf(err error) failure {
	kind := nebula.KindOf(err)
	f := failure{Code: exitCode(kind), Kind: kind, Message: err.Error()}
	var e *nebula.Error
	if errors.As(err, &e) {
		f.Op, f.Provider, f.ID, f.Message, f.Hint = e.Op, e.Provider, e.ID, e.Message, e.Hint
		if f.Message == "" {
			f.Message = kind.Error()
		}
	}
	var coded *codedError
	if errors.As(err, &coded) {
		f.Code = coded.code
	}
	f.Hint = a.forStore(f.Hint)
	switch {
	case kind == nebula.ErrTimeout && a.clock != nil && errors.Is(a.clock.Err(), context.DeadlineExceeded):
		f.Message, f.Hint = "the command took longer than "+a.global.limit.String(), "give it longer with --timeout"
	case kind == nebula.ErrInterrupted && errors.Is(err, context.Canceled):
		f.Message = "interrupted"
	case kind == nebula.ErrUnauthenticated && f.Hint == "":
		f.Hint = a.global.where
	}
	return f
}

// forStore makes the commands and the settings in a hint those of the chosen
// store, because a command that mends one store may harm another.
func (a *app) forStore(hint string) string {
	name := a.global.store
	if name == "" || name == config.DefaultStore {
		return hint
	}
	const command = "nebula "
	chosen := command + "--store " + name + " "
	hint = strings.ReplaceAll(settingsOf(name, hint), ": "+command, ": "+chosen)
	lines := strings.Split(hint, "\n")
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, command); ok {
			lines[i] = chosen + rest
		}
	}
	return strings.Join(lines, "\n")
}

// settingsOf names the section of a store in a hint. The variables that replace
// settings of [key] are for the default store alone.
func settingsOf(store, hint string) string {
	if !strings.Contains(hint, "[key]") {
		return hint
	}
	for _, variable := range []string{`,? or NEBULA_KEY_[A-Z_]+(=[^\s,;]+)?,?`, `NEBULA_KEY_[A-Z_]+ or `} {
		hint = regexp.MustCompile(variable).ReplaceAllLiteralString(hint, "")
	}
	return strings.ReplaceAll(hint, "[key]", "[stores."+store+".key]")
}

// report prints the error, as the last line of standard error, and returns the
// exit code.
func (a *app) report(err error, args []string) int {
	var silent errSilent
	switch {
	case err == nil:
		return 0
	case errors.As(err, &silent):
		return int(silent)
	}
	f := a.failureOf(err)
	if a.global.output == outputJSON || wantsJSON(args) {
		_ = writeJSON(a.stderr, map[string]failure{"error": f})
		return f.Code
	}
	fmt.Fprintf(a.stderr, "%s %s\n", a.paint(red, "nebula:"), escapeLines(f.String()))
	return f.Code
}

// String returns operation, credential, provider and message, and the hint on a
// line of its own.
func (f failure) String() string {
	var b strings.Builder
	if f.Op != "" {
		b.WriteString(f.Op)
		if f.ID != "" {
			fmt.Fprintf(&b, " %s", f.ID)
		}
		if f.Provider != "" {
			fmt.Fprintf(&b, " (%s)", f.Provider)
		}
		b.WriteString(": ")
	}
	b.WriteString(strings.ReplaceAll(f.Message, "\n", "\n  "))
	if f.Hint != "" {
		b.WriteString("\n  " + strings.ReplaceAll(f.Hint, "\n", "\n  "))
	}
	return b.String()
}

// wantsJSON reports whether the arguments ask for JSON, for an error in the
// arguments themselves.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--":
			return false
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == outputJSON {
				return true
			}
		case "-o" + outputJSON, "-o=" + outputJSON, "--output=" + outputJSON:
			return true
		}
	}
	return false
}

// flagError says what is wrong with a flag. It names an unknown one without the
// text after it, which may be a value that somebody meant to store.
func flagError(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		// The argument may be a passphrase, meant for another place.
		hint := "see: " + cmd.CommandPath() + " --help"
		if invalid.GetFlag().Name == "passphrase" {
			hint = "it takes no value: the passphrase comes from NEBULA_NEW_PASSPHRASE_FILE, NEBULA_NEW_PASSPHRASE or a hidden prompt"
		}
		return usage("--"+invalid.GetFlag().Name+" has a value that it does not take", hint)
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage(err.Error(), "see: "+cmd.CommandPath()+" --help")
	}
	name := "--" + unknown.GetSpecifiedName()
	hint := "see: " + cmd.CommandPath() + " --help"
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		name = "-" + string([]rune(short)[:1])
		if strings.Contains(cmd.Use, "ID") {
			hint = "an id does not begin with -; flags: " + cmd.CommandPath() + " --help"
		}
	}
	if cmd.Name() == "put" {
		hint = valueHint
	}
	return usage("unknown flag "+name, hint)
}
