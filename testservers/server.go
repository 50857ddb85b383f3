package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// built is a server or a tool that this module builds.
type built interface {
	name() string
	// binaries are the programs that it consists of.
	binaries() []binary
}

// server is one backend for tests. A new one needs one file and one line below.
type server interface {
	built
	// start starts it in the session, with fresh state, and returns when it answers.
	// Clients need the variables.
	start(ctx context.Context, s *session) ([]variable, error)
}

// variable is one line of the environment that `up` prints.
type variable struct{ name, value string }

// servers returns all servers, in the order in which they are started.
func servers() []server {
	return []server{vaultServer{}, kubernetesServer{}, awsServer{}, azureServer{}}
}

// tool is a program that tests run and that is not a server.
type tool struct{ binary binary }

func (t tool) name() string       { return t.binary.name }
func (t tool) binaries() []binary { return []binary{t.binary} }

// everything returns all that build and where know: the servers, and the tools, which open
// what others encrypted.
func everything() []built {
	all := []built{
		tool{binary{name: "sops", module: "sops", others: "github.com/getsops/sops/v3/cmd/sops", note: "about 5 minutes on 2 cores at first"}},
		tool{binary{name: "ansible", python: "ansible", note: "half a minute"}},
	}
	for _, s := range servers() {
		all = append(all, s)
	}
	return all
}

func names[T built](all []T) []string {
	var list []string
	for _, s := range all {
		list = append(list, s.name())
	}
	return list
}

// choose picks by name, each once. Without a name it picks all.
func choose[T built](all []T, wanted []string) ([]T, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	var chosen []T
	for _, name := range wanted {
		i := slices.IndexFunc(all, func(s T) bool { return s.name() == name })
		if i < 0 {
			return nil, fmt.Errorf("no server %q; there are: %s", name, strings.Join(names(all), ", "))
		}
		if !slices.ContainsFunc(chosen, func(s T) bool { return s.name() == name }) {
			chosen = append(chosen, all[i])
		}
	}
	return chosen, nil
}

// export returns a line for a POSIX shell that sets the variable, whatever its value.
func (v variable) export() string {
	return "export " + v.name + "='" + strings.ReplaceAll(v.value, "'", `'\''`) + "'"
}
