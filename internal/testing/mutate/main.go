// Mutate breaks a Go program in small ways, one at a time, and names the changes that
// the tests do not notice:
//
//	go run ./internal/testing/mutate [-explained FILE] [-run TESTS] [-skip TESTS] FILE… -- PACKAGE…
//
// It inverts conditions, moves limits by one, swaps operators, true and false, drops
// statements and cases, and returns success instead of an error.
//
// All mutants are compiled into the tests of the packages at once, each behind a
// switch, from an overlay: no file of the tree is changed. Mutate then tries each
// mutant with the tests that reach it, the quick ones first, until one fails. Only
// constants, products and quotients need a build of their own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	begun := time.Now()
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	every := flags.Int("every", 1, "tries one mutant of this many")
	jobs := flags.Int("jobs", 2, "how many are tried at once")
	chosen := flags.String("run", "", "tests that are used")
	skip := flags.String("skip", "^TestLive", "tests that are left out")
	explained := flags.String("explained", "", "a file of mutants that no test need notice, and why")
	if err := flags.Parse(args); err != nil {
		return err
	}
	files := flags.Args()
	dashes := slices.Index(files, "--")
	if dashes < 1 || dashes == len(files)-1 || *every < 1 || *jobs < 1 {
		return errors.New("usage: mutate [FLAG…] FILE… -- PACKAGE…")
	}
	files, packages := files[:dashes], files[dashes+1:]
	use, err := regexp.Compile(*chosen)
	if err != nil {
		return err
	}
	leave, err := regexp.Compile(*skip)
	if err != nil {
		return err
	}
	known, err := readExplained(*explained)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := newBuild(dir, files, *every)
	if err != nil {
		return err
	}
	if err := b.compile(ctx, packages); err != nil {
		return err
	}
	used := func(test string) bool { return use.MatchString(test) && !leave.MatchString(test) }
	if err := b.reach(ctx, used, *jobs, out); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d mutants, %d tests that reach some, after %v\n", len(b.mutants), len(b.tests), time.Since(begun).Round(time.Second))
	if err := b.tryAll(ctx, *jobs, known, out); err != nil {
		return err
	}
	return b.report(files, known, time.Since(begun), out)
}
