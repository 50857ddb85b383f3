package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// server is one backend for tests. A new one is one file and one line below.
type server interface {
	name() string
	// binaries are the programs that it consists of.
	binaries() []binary
	// start starts it with fresh state, through the session, and returns when
	// it answers. The variables are what clients need.
	start(ctx context.Context, s *session) ([]variable, error)
}

// variable is one line of the environment that `up` prints.
type variable struct{ name, value string }

// servers are all that there are, in the order in which they are started.
func servers() []server {
	return []server{vaultServer{}, kubernetesServer{}, awsServer{}, azureServer{}}
}

func names(all []server) []string {
	var list []string
	for _, s := range all {
		list = append(list, s.name())
	}
	return list
}

// choose picks servers by name, each once; without a name it picks all.
func choose(all []server, wanted []string) ([]server, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	var chosen []server
	for _, name := range wanted {
		i := slices.IndexFunc(all, func(s server) bool { return s.name() == name })
		if i < 0 {
			return nil, fmt.Errorf("no server %q; there are: %s", name, strings.Join(names(all), ", "))
		}
		if !slices.Contains(chosen, all[i]) {
			chosen = append(chosen, all[i])
		}
	}
	return chosen, nil
}

// export is a line for a POSIX shell that sets the variable, whatever its value.
func (v variable) export() string {
	return "export " + v.name + "='" + strings.ReplaceAll(v.value, "'", `'\''`) + "'"
}
