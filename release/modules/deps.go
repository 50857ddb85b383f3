package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
)

// listed is a package that the command links, on this system.
type listed struct {
	ImportPath string
	Imports    []string
	Module     *struct{ Path string }
}

// writeDeps lists the direct dependencies: the version, a newer one if there is one, and the
// modules that would not be linked without it.
func writeDeps(to io.Writer) error {
	var direct []struct{ Path, Version, Newest string }
	err := list(&direct, "-m", "-u", "-f", `{{if not (or .Main .Indirect)}}{"Path":"{{.Path}}","Version":"{{.Version}}","Newest":"{{with .Update}}{{.Version}}{{end}}"}{{end}}`, "all")
	if err != nil {
		return err
	}
	var packages []listed
	if err := list(&packages, "-deps", "-json=ImportPath,Imports,Module", "./cmd/nebula"); err != nil {
		return err
	}
	g := newGraph(packages)
	all := g.modules("")
	w := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "MODULE\tVERSION\tNEWEST\tPULLS IN, ALONE")
	for _, d := range direct {
		alone := "(not linked on this system)"
		if slices.Contains(all, d.Path) {
			rest := g.modules(d.Path)
			pulled := slices.DeleteFunc(slices.Clone(all), func(m string) bool { return m == d.Path || slices.Contains(rest, m) })
			alone = strings.Join(pulled, " ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Path, d.Version, d.Newest, alone)
	}
	return w.Flush()
}

// list decodes the output of go list for the product.
func list[T any](into *[]T, args ...string) error {
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir, cmd.Stderr = "..", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list %s: %w", args[0], err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var one T
		if err := d.Decode(&one); err != nil {
			return err
		}
		*into = append(*into, one)
	}
	return nil
}

// graph says which package imports which.
type graph struct {
	packages map[string]listed
	root     string
}

func newGraph(packages []listed) graph {
	g := graph{packages: make(map[string]listed)}
	for _, p := range packages {
		g.packages[p.ImportPath] = p
		g.root = p.ImportPath // go list names a package after its dependencies
	}
	return g
}

// modules returns the paths of the modules that can be reached from the root without one
// of them, sorted.
func (g graph) modules(without string) []string {
	seen, found := make(map[string]bool), make(map[string]bool)
	var visit func(path string)
	visit = func(path string) {
		p, ok := g.packages[path]
		if !ok || seen[path] || p.Module != nil && p.Module.Path == without {
			return
		}
		seen[path] = true
		if p.Module != nil {
			found[p.Module.Path] = true
		}
		for _, i := range p.Imports {
			visit(i)
		}
	}
	visit(g.root)
	var all []string
	for m := range found {
		all = append(all, m)
	}
	slices.Sort(all)
	return all
}
