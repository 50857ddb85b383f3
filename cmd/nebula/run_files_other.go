//go:build !linux

package main

import (
	"errors"
	"os"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/process"
)

// writeFiles puts the values of --as-file into files, to be removed when the
// program has ended, and their paths into the variables. It returns nil if there
// are none.
func writeFiles(variables []variable) (*process.Files, error) {
	var files *process.Files
	for i, v := range variables {
		if !v.asFile {
			continue
		}
		var err error
		if files == nil {
			files, err = process.NewFiles(os.TempDir())
		}
		var path string
		if err == nil {
			path, err = files.Add(v.name, v.value.Reveal())
		}
		if err != nil {
			return nil, &nebula.Error{Kind: nebula.ErrUnavailable, Op: "run", ID: v.ref.ID, Message: "no file for the value: " + err.Error(), Err: errors.Join(err, files.Remove())}
		}
		v.value.Wipe()
		variables[i].value = nebula.NewSecret([]byte(path))
	}
	return files, nil
}
