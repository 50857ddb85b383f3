package memory

import (
	"errors"

	"github.com/nebula-credential/nebula"
)

const providerName = "memory"

func errNotFound() error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such credential"}
}

func errClosed(state nebula.State) error {
	if state == nebula.StateClosed {
		return &nebula.Error{Kind: nebula.ErrClosed, Message: "the provider is closed"}
	}
	return &nebula.Error{Kind: nebula.ErrClosed, Message: "the provider is not connected", Hint: "call Connect first"}
}

// located returns err with operation, provider and id, nil for nil. It copies:
// the error of an unreadable record is shared.
func located(err error, op string, name nebula.Name) error {
	if err == nil {
		return nil
	}
	var e *nebula.Error
	if !errors.As(err, &e) {
		e = &nebula.Error{Kind: nebula.KindOf(err), Message: "the context ended", Err: err}
	}
	full := *e
	full.Op, full.Provider, full.ID = op, providerName, name.ID()
	return &full
}
