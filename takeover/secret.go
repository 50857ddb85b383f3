package takeover

import (
	"errors"
	"fmt"

	"github.com/nebula-credential/nebula"
)

// Secret is a secret of a source.
type Secret struct {
	Name  string // in the source
	Value []byte
	Note  string // what to know of the value, such as that the source rounded it
	Err   error  // why it cannot be read; the others can

	number bool // the source has it as a number
}

// Found is the content of a source.
type Found struct {
	Secrets []Secret
	Notes   []string // what to know of the source, such as what was left out
}

// note adds a note with a number, unless that is 0.
func (f *Found) note(n int, format string) {
	if n > 0 {
		f.Notes = append(f.Notes, fmt.Sprintf(format, n))
	}
}

// unread returns a secret that cannot be read, with the reason.
func unread(name string, err error) Secret {
	e := &nebula.Error{Kind: nebula.KindOf(err), Op: "import", Message: err.Error(), Err: err}
	var told *nebula.Error
	if errors.As(err, &told) {
		e.Provider, e.Message, e.Hint = told.Provider, told.Message, told.Hint
	}
	e.Message = fmt.Sprintf("%q: %s", name, e.Message)
	return Secret{Name: name, Err: e}
}

// under puts the name of the parent before the names of secrets.
func under(name string, members []Secret) []Secret {
	for i := range members {
		members[i].Name = name + "/" + members[i].Name
	}
	return members
}
