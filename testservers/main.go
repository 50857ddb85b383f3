// Command testservers builds and starts the real servers that the live tests of
// Nebula's providers run against.
//
//	go -C testservers run . up vault      # starts Vault, stays until it is interrupted
//	go -C testservers run . build         # builds what is missing, and nothing else
//
// See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const usage = `usage: go -C testservers run . COMMAND [NAME]…

up       builds what is missing, starts the servers, prints what clients need
         as shell exports and a line "ready". Stays until it is interrupted or
         its standard input ends, then stops all that it started.
build    builds what is missing and prints a line "NAME PATH" for each.
where    prints the same lines, builds nothing, and fails if one is missing.

Servers, and programs that are only built, sops and ansible: `

// errMissing says that a program is known, but not built yet.
var errMissing = errors.New("not built")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "testservers:", err)
	if errors.Is(err, errMissing) {
		os.Exit(3)
	}
	os.Exit(1)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprintln(stdout, usage+strings.Join(names(servers()), ", "))
		return nil
	}
	tools, err := newCache(stderr)
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		chosen, err := choose(servers(), args[1:])
		if err != nil {
			return err
		}
		return up(ctx, chosen, tools, stdin, stdout)
	case "build", "where":
		chosen, err := choose(everything(), args[1:])
		if err != nil {
			return err
		}
		if args[0] == "where" {
			return where(ctx, chosen, tools, stdout)
		}
		return build(ctx, chosen, tools, stdout)
	}
	return fmt.Errorf("no command %q; there are: up, build, where", args[0])
}

// build goes on if a program cannot be built: the others are of use without it.
func build[T built](ctx context.Context, chosen []T, tools *cache, stdout io.Writer) error {
	var failed error
	for _, s := range chosen {
		for _, b := range s.binaries() {
			path, err := tools.ensure(ctx, b)
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", s.name(), err))
				continue
			}
			fmt.Fprintln(stdout, b.name, path)
		}
	}
	return failed
}

func where[T built](ctx context.Context, chosen []T, tools *cache, stdout io.Writer) error {
	for _, s := range chosen {
		for _, b := range s.binaries() {
			path, err := tools.path(ctx, b)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name(), err)
			}
			if !exists(path) {
				return fmt.Errorf("%s: %w; run: go -C testservers run . build", b.name, errMissing)
			}
			fmt.Fprintln(stdout, b.name, path)
		}
	}
	return nil
}
