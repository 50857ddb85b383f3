package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// build holds the tests, with the mutants compiled in.
type build struct {
	dir      string // for temporary files
	sources  map[string][]byte
	mutants  map[int]*mutant // by number, from 1
	ends     map[int]end
	programs []program
	tests    []*test // those that reach some of the mutants
}

// program holds the tests of a package.
type program struct {
	path string
	dir  string // of the package
}

// end is the result for a mutant.
type end string

const (
	killed      end = "killed"
	survived    end = "survived"
	unreached   end = "not reached by any test"
	notCompiled end = "not compiled"
)

func newBuild(dir string, files []string, every int) (*build, error) {
	b := &build{dir: dir, sources: make(map[string][]byte), mutants: make(map[int]*mutant), ends: make(map[int]end)}
	n := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		mutants, err := find(file, source)
		if err != nil {
			return nil, err
		}
		b.sources[file] = source
		for _, m := range mutants {
			if n++; n%every == 0 {
				b.mutants[n] = m
			}
		}
	}
	return b, nil
}

// switched returns the mutants of a file that are behind switches.
func (b *build) switched(file string) map[int]*mutant {
	of := maps.Clone(b.mutants)
	maps.DeleteFunc(of, func(n int, m *mutant) bool { return m.file != file || m.part == constant || b.ends[n] == notCompiled })
	return of
}

// compile builds the tests of the packages with all mutants in them. It leaves out
// mutants that do not compile, for example in a sum of texts.
func (b *build) compile(ctx context.Context, packages []string) error {
	list := exec.CommandContext(ctx, "go", append([]string{"list", "-f", "{{.ImportPath}}\t{{.Dir}}"}, packages...)...)
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	for range 50 {
		overlay, guards, err := b.overlay()
		if err != nil {
			return err
		}
		output, err := b.compileOnce(ctx, overlay, string(out))
		if err == nil {
			return nil
		}
		if !b.leaveOut(guards, output) {
			return fmt.Errorf("%w\n%s", err, output)
		}
	}
	return errors.New("too many mutants do not compile")
}

func (b *build) compileOnce(ctx context.Context, overlay, packages string) (output []byte, err error) {
	b.programs = nil
	for line := range strings.Lines(packages) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		p := program{filepath.Join(b.dir, fmt.Sprint("tests", len(b.programs))), dir}
		args := []string{"test", "-c", "-vet=off", "-gcflags=-e", "-overlay", overlay, "-o", p.path, path}
		if output, err = exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return output, err
		}
		b.programs = append(b.programs, p)
	}
	return nil, nil
}

// The compiler may leave out the column.
var errorPlace = regexp.MustCompile(`(?m)^(.+\.go):(\d+):(?:(\d+):)? `)

// leaveOut marks the mutants that the compiler rejects. It reports whether there are
// any.
func (b *build) leaveOut(guards map[string]guarded, output []byte) (some bool) {
	for _, found := range errorPlace.FindAllSubmatch(output, -1) {
		line, _ := strconv.Atoi(string(found[2]))
		column, _ := strconv.Atoi(string(found[3]))
		for file, g := range guards {
			if overlaid(file) != filepath.Base(string(found[1])) {
				continue
			}
			for _, n := range b.blamed(g, line, column) {
				b.ends[n] = notCompiled
				some = true
			}
		}
	}
	return some
}

// blamed returns the mutant at a column of a line. Without a column it returns all
// numbers of the line: only a shift is reported like that.
func (b *build) blamed(g guarded, line, column int) (mutants []int) {
	if column > 0 {
		if n := g.at(g.offset(line, column)); n > 0 {
			return []int{n}
		}
		return nil
	}
	from, to := g.offset(line, 1), g.offset(line+1, 1)
	for _, p := range g.places {
		if from <= p.from && p.from < to && b.mutants[p.mutant].part == number {
			mutants = append(mutants, p.mutant)
		}
	}
	return mutants
}

// overlay writes the files with the mutants, and the switches that turn them on.
func (b *build) overlay() (path string, guards map[string]guarded, err error) {
	guards = make(map[string]guarded)
	texts := make(map[string][]byte)
	for file, source := range b.sources {
		g := guard(source, b.switched(file))
		guards[file] = g
		texts[file] = g.text
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.PackageClauseOnly)
		if err != nil {
			return "", nil, err
		}
		most := 0
		for n := range b.mutants {
			most = max(most, n)
		}
		texts[filepath.Join(filepath.Dir(file), "mutant_switches.go")] = fmt.Appendf(nil, switches, parsed.Name, most+1)
	}
	path, err = writeOverlay(b.dir, texts)
	return path, guards, err
}

// overlaid returns the name of the file that replaces another one. The compiler reports
// that name.
func overlaid(file string) string { return strings.ReplaceAll(filepath.ToSlash(file), "/", "+") }

// writeOverlay writes files with these texts, and an overlay that puts them in the
// place of the real ones.
func writeOverlay(dir string, texts map[string][]byte) (path string, err error) {
	replace := make(map[string]string)
	for file, text := range texts {
		at, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, overlaid(file))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return "", err
		}
		replace[at] = path
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// constantPrograms builds the tests with one constant changed. Its programs replace
// those with switches.
func (b *build) constantPrograms(ctx context.Context, n int) (programs map[string]string, err error) {
	m := b.mutants[n]
	dir := filepath.Join(b.dir, fmt.Sprint("constant", n))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	source := b.sources[m.file]
	mutated := bytes.Join([][]byte{source[:m.from], []byte(m.text), source[m.to:]}, nil)
	overlay, err := writeOverlay(dir, map[string][]byte{m.file: mutated})
	if err != nil {
		return nil, err
	}
	programs = make(map[string]string)
	for _, p := range b.programs {
		path := filepath.Join(dir, filepath.Base(p.path))
		build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", path, ".")
		build.Dir = p.dir
		var failed *exec.ExitError
		if err := build.Run(); errors.As(err, &failed) && ctx.Err() == nil {
			return nil, nil // it does not compile
		} else if err != nil {
			return nil, err
		}
		programs[p.path] = path
	}
	return programs, nil
}
