// Command modules lists the modules that are linked into the command nebula:
//
//	modules sbom VERSION PROGRAM   the modules of a program, with licences, as CycloneDX
//	modules notices                the licences' texts of all modules of all platforms
//	modules deps                   the direct dependencies: what is newer, what they pull in
//
// It reads licences in the module cache. Run it in the folder of this module.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const product = "github.com/nebula-credential/nebula"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "modules:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "sbom":
		return writeSBOM(os.Stdout, args[1], args[2])
	case len(args) == 1 && args[0] == "notices":
		return writeNotices(os.Stdout)
	case len(args) == 1 && args[0] == "deps":
		return writeDeps(os.Stdout)
	}
	return fmt.Errorf("usage: modules sbom VERSION PROGRAM | modules notices | modules deps")
}

// module is a linked module, or Go's standard library.
type module struct {
	Path, Version string
	Dir           string // where its files are
	Sum           string // as in go.sum
}

func standardLibrary(version string) (module, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	return module{Path: "std", Version: version, Dir: strings.TrimSpace(string(root))}, err
}

// find returns the modules of these paths, with the product's versions.
func find(paths []string) ([]module, error) {
	cmd := exec.Command("go", append([]string{"list", "-m", "-json=Path,Version,Dir,Sum"}, paths...)...)
	cmd.Dir, cmd.Stderr = "..", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	var all []module
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var m module
		if err := d.Decode(&m); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// linked returns the paths of the modules that are linked on any of the systems, without
// the product's own.
func linked() ([]string, error) {
	var all []string
	for _, system := range []string{"linux", "darwin", "windows"} {
		cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/nebula")
		cmd.Dir, cmd.Stderr = "..", os.Stderr
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system)
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go list -deps for %s: %w", system, err)
		}
		all = append(all, strings.Fields(string(out))...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(path string) bool { return path == product }), nil
}

// licence is a file of a module that grants rights or must be passed on.
type licence struct {
	name string
	text []byte
	ids  []string // SPDX ids
}

// licences returns the licences of a module. A module without any must not be linked.
func (m module) licences() ([]licence, error) {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return nil, err
	}
	var all []licence
	for _, e := range entries {
		if e.IsDir() || !isLegal(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, licence{name: e.Name(), text: text, ids: recognise(string(text))})
	}
	if !slices.ContainsFunc(all, func(l licence) bool { return len(l.ids) > 0 }) {
		return nil, fmt.Errorf("%s: %s has no licence that may be linked", m.Path, m.Dir)
	}
	return all, nil
}

// recognise returns the SPDX ids of the licences in a text that allow linking. A module
// under any other licence fails the release, and somebody has to look at it.
func recognise(text string) []string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(phrase string) bool { return strings.Contains(text, phrase) }
	var ids []string
	if has("Apache License Version 2.0, January 2004") {
		ids = append(ids, "Apache-2.0")
	}
	if has("Redistributions in binary form must reproduce the above copyright") {
		if has("to endorse or promote products derived from") {
			ids = append(ids, "BSD-3-Clause")
		} else {
			ids = append(ids, "BSD-2-Clause")
		}
	}
	if has("Permission is hereby granted, free of charge, to any person obtaining a copy") {
		ids = append(ids, "MIT")
	}
	if has("Permission to use, copy, modify, and/or distribute this software for any purpose") || has("Permission to use, copy, modify, and distribute this software for any purpose") {
		ids = append(ids, "ISC")
	}
	return ids
}

func isLegal(name string) bool {
	name = strings.ToLower(name)
	if ext := filepath.Ext(name); ext == ".go" || ext == ".header" {
		return false
	}
	return strings.HasPrefix(name, "licen") || strings.HasPrefix(name, "copying") || strings.HasPrefix(name, "notice") || strings.HasPrefix(name, "patents")
}

// licenceIDs returns the SPDX ids of a module's licences, sorted.
func (m module) licenceIDs() ([]string, error) {
	all, err := m.licences()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, l := range all {
		ids = append(ids, l.ids...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
