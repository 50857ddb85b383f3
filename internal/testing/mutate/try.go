package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// test is a test that reaches mutants.
type test struct {
	program  program
	name     string
	reached  map[int]bool
	duration time.Duration
}

// each calls do for every item of list, several at once, until one call fails.
func each[T any](ctx context.Context, jobs int, list []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan T)
	var group sync.WaitGroup
	for range jobs {
		group.Go(func() {
			for item := range next {
				if err := do(ctx, item); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, item := range list {
		if ctx.Err() != nil {
			break
		}
		next <- item
	}
	close(next)
	group.Wait()
	return context.Cause(ctx)
}

// reach runs each test that is used once, without a mutant, to see which mutants it
// reaches and how long it takes.
func (b *build) reach(ctx context.Context, used func(test string) bool, jobs int, out io.Writer) error {
	var all []*test
	for _, p := range b.programs {
		if _, err := os.Stat(p.path); errors.Is(err, os.ErrNotExist) {
			continue // the package has no tests
		}
		list := exec.CommandContext(ctx, p.path, "-test.list", ".")
		list.Dir = p.dir
		names, err := list.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", p.dir, err)
		}
		for name := range strings.FieldsSeq(string(names)) {
			if used(name) {
				all = append(all, &test{program: p, name: name, reached: make(map[int]bool)})
			}
		}
	}
	var mu sync.Mutex
	err := each(ctx, jobs, all, func(ctx context.Context, t *test) error {
		reached := filepath.Join(b.dir, "reached "+filepath.Base(t.program.path)+t.name)
		begun := time.Now()
		passed, err := runTests(ctx, t.program.path, []*test{t}, "MUTANT_REACHED="+reached, 5*time.Minute)
		t.duration = time.Since(begun)
		text, _ := os.ReadFile(reached) // there is no file if nothing was reached
		for n := range strings.FieldsSeq(string(text)) {
			i, _ := strconv.Atoi(n)
			t.reached[i] = true
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			return err
		case len(t.reached) == 0:
		case !passed:
			fmt.Fprintf(out, "%s fails without a mutant, and is left out\n", t.name)
		default:
			b.tests = append(b.tests, t)
		}
		return nil
	})
	slices.SortFunc(b.tests, func(x, y *test) int { return cmp.Compare(x.duration, y.duration) })
	return err
}

// runTests reports whether tests of one program pass.
func runTests(ctx context.Context, program string, tests []*test, environment string, timeout time.Duration) (bool, error) {
	names := make([]string, len(tests))
	for i, t := range tests {
		names[i] = t.name
	}
	bounded, cancel := context.WithTimeout(ctx, timeout+5*time.Second)
	defer cancel()
	run := exec.CommandContext(bounded, program, "-test.run", "^("+strings.Join(names, "|")+")$", "-test.failfast", "-test.short", "-test.timeout", timeout.String())
	run.Dir = tests[0].program.dir
	run.Env = append(os.Environ(), environment)
	run.WaitDelay = time.Second
	run.Stdin = strings.NewReader("") // a mutant that takes a wrong descriptor must not change /dev/null
	err := run.Run()
	var failed *exec.ExitError
	if ctx.Err() == nil && (errors.As(err, &failed) || errors.Is(err, exec.ErrWaitDelay) || errors.Is(err, context.DeadlineExceeded)) {
		return false, nil
	}
	return err == nil, err
}

// tryAll tries every mutant except those that are explained. Those that need a build
// come last.
func (b *build) tryAll(ctx context.Context, jobs int, known map[string]bool, out io.Writer) error {
	var numbers []int
	for n, m := range b.mutants {
		if b.ends[n] == "" && !known[m.key()] {
			numbers = append(numbers, n)
		}
	}
	slices.SortFunc(numbers, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.mutants[x].part/constant, b.mutants[y].part/constant), x-y)
	})
	var mu sync.Mutex
	tried := 0
	return each(ctx, jobs, numbers, func(ctx context.Context, n int) error {
		e, err := b.try(ctx, n)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		b.ends[n] = e
		if tried++; tried%100 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d are tried\n", tried, len(numbers))
		}
		if m := b.mutants[n]; e == survived || e == unreached {
			fmt.Fprintf(out, "%s:%d: %s: %s: %s\n", m.file, m.line, m.function, m.what, e)
		}
		return nil
	})
}

// try tries one mutant.
func (b *build) try(ctx context.Context, n int) (end, error) {
	m := b.mutants[n]
	var programs map[string]string
	if m.part == constant {
		var err error
		if programs, err = b.constantPrograms(ctx, n); err != nil {
			return "", err
		}
		if programs == nil {
			return notCompiled, nil
		}
		defer os.RemoveAll(filepath.Join(b.dir, fmt.Sprint("constant", n)))
	}
	batches := b.batches(n)
	for _, batch := range batches {
		var usual time.Duration
		for _, t := range batch {
			usual += t.duration
		}
		passed, err := runTests(ctx, cmp.Or(programs[batch[0].program.path], batch[0].program.path), batch, fmt.Sprint("MUTANT=", n), 10*time.Second+5*usual)
		if err != nil {
			return "", err
		}
		if !passed {
			return killed, nil
		}
	}
	if batches == nil {
		return unreached, nil
	}
	return survived, nil
}

// batches returns the tests of a mutant, the quick ones first. Each batch holds tests
// of one program, and the batches become longer.
func (b *build) batches(n int) (batches [][]*test) {
	m := b.mutants[n]
	limit := time.Second / 2
	var sum time.Duration
	for _, t := range b.tests {
		if !t.reached[n] && !(m.part == constant && b.reaches(t, m.file)) {
			continue
		}
		last := len(batches) - 1
		if last < 0 || sum > limit || batches[last][0].program != t.program {
			if sum > limit {
				limit *= 4
			}
			batches, sum = append(batches, nil), 0
			last++
		}
		batches[last] = append(batches[last], t)
		sum += t.duration
	}
	return batches
}

// reaches reports whether a test reaches any mutant of a file.
func (b *build) reaches(t *test, file string) bool {
	for n := range t.reached {
		if b.mutants[n].file == file {
			return true
		}
	}
	return false
}
