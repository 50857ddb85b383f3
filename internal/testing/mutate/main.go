// Mutate breaks a Go program in small ways, one at a time, and names those that
// the tests do not notice:
//
//	go run ./internal/testing/mutate [-every n] FILE… -- ARGUMENT OF go test…
//
// It turns conditions around, moves limits by one, swaps && and ||, true and
// false, drops statements, and reports success instead of an error. It changes
// no file of the tree: the go command takes each mutant from an overlay.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// The ends of a mutant. One that does not compile, because a variable or an import
// is left unused, says nothing about the tests.
const (
	killed      = "killed"
	survived    = "survived"
	notCompiled = "not compiled"
)

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	every := flags.Int("every", 1, "tries one mutant of this many")
	if err := flags.Parse(args); err != nil {
		return err
	}
	files := flags.Args()
	dashes := slices.Index(files, "--")
	if dashes < 1 || dashes == len(files)-1 || *every < 1 {
		return errors.New("usage: mutate [-every n] FILE… -- ARGUMENT OF go test…")
	}
	files, test := files[:dashes], files[dashes+1:]
	if end, output, err := try(ctx, test); err != nil || end != survived {
		return fmt.Errorf("the tests fail without a mutant: %s: %w\n%s", end, err, output)
	}
	for _, file := range files {
		if err := tryFile(ctx, file, *every, test, out); err != nil {
			return err
		}
	}
	return nil
}

// tryFile tries the mutants of a file, until it is told to stop.
func tryFile(ctx context.Context, file string, every int, test []string, out io.Writer) error {
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	mutants, err := find(file, source)
	if err != nil {
		return err
	}
	counts := make(map[string]int)
	for i := 0; i < len(mutants); i += every {
		var end string
		if end, err = tryMutant(ctx, file, mutants[i].apply(source), test); err != nil {
			break
		}
		counts[end]++
		if end == survived {
			fmt.Fprintf(out, "%s:%d: %s\n", file, mutants[i].line, mutants[i].what)
		}
	}
	fmt.Fprintf(out, "%s: of %d mutants, %d killed, %d survived, %d not compiled\n", file, len(mutants), counts[killed], counts[survived], counts[notCompiled])
	return err
}

func tryMutant(ctx context.Context, file string, mutated []byte, test []string) (end string, err error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	path, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	mutant, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutant}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(mutant, mutated, 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return "", err
	}
	end, _, err = try(ctx, append([]string{"-overlay", overlay}, test...))
	return end, err
}

// try runs the tests. They kill a mutant that makes them hang, too.
func try(ctx context.Context, test []string) (end string, output []byte, err error) {
	args := append([]string{"test", "-vet=off", "-count=1", "-failfast", "-timeout=2m"}, test...)
	output, err = exec.CommandContext(ctx, "go", args...).CombinedOutput()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", nil, ctx.Err()
	case err == nil:
		return survived, output, nil
	case !errors.As(err, &failed):
		return "", nil, err
	case bytes.Contains(output, []byte("[build failed]")), bytes.Contains(output, []byte("[setup failed]")):
		return notCompiled, output, nil
	}
	return killed, output, nil
}
