package migrate

import (
	"cmp"
	"slices"

	"github.com/nebula-credential/nebula"
)

// Notice is a warning for users who take records over.
const Notice = "ids and metadata of version 1 records had not been authenticated until now: check them"

// Report has the outcome for each file. Its lists are sorted and never nil.
type Report struct {
	Migrated []nebula.ID `json:"migrated"` // taken over now; in a dry run, those that would be
	Present  []nebula.ID `json:"present"`  // in the store already, by this or by any other way
	Left     []Left      `json:"left"`     // not taken over
}

// Left is a file that was not taken over.
type Left struct {
	File    string      `json:"file"`    // its name in the directory
	ID      string      `json:"id"`      // the id there, which may be none of ours
	Kind    nebula.Kind `json:"kind"`    // why, as a class
	Message string      `json:"message"` // why, in words
}

func newReport() Report {
	return Report{Migrated: []nebula.ID{}, Present: []nebula.ID{}, Left: []Left{}}
}

func (r *Report) sort() {
	slices.Sort(r.Migrated)
	slices.Sort(r.Present)
	slices.SortFunc(r.Left, func(a, b Left) int { return cmp.Compare(a.File, b.File) })
}
