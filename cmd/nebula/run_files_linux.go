package main

import (
	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/process"
)

// writeFiles puts the values of --as-file into files in memory, which end with the
// program, and their paths into the variables. There is nothing to remove.
func writeFiles(variables []variable) (*process.Files, error) {
	for i, v := range variables {
		if !v.asFile {
			continue
		}
		path, err := process.MemoryFile("nebula", v.value.Reveal())
		if err != nil {
			return nil, &nebula.Error{Kind: nebula.ErrUnavailable, Op: "run", ID: v.ref.ID, Message: err.Error(), Err: err}
		}
		v.value.Wipe()
		variables[i].value = nebula.NewSecret([]byte(path))
	}
	return nil, nil
}
