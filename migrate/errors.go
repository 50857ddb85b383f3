package migrate

import (
	"errors"
	"io"
	"io/fs"
	"syscall"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
	"github.com/nebula-credential/nebula/internal/many"
)

func failed(kind nebula.Kind, message string, cause error) error {
	return &nebula.Error{Kind: kind, Op: "migrate", Message: message, Err: cause}
}

// oneError marks an error that concerns one file and does not end the run.
type oneError struct{ error }

func (e oneError) Unwrap() error { return e.error }

func aboutOne(err error) error { return oneError{err} }

func isAboutOne(err error) bool {
	var one oneError
	return errors.As(err, &one)
}

// judge marks failures to store whose cause is the credential itself.
func judge(err error) error {
	if err == nil || errors.Is(err, nebula.ErrKeyChanged) {
		return err
	}
	switch nebula.KindOf(err) {
	case nebula.ErrInvalidID, nebula.ErrInvalidMetadata, nebula.ErrTooLarge, nebula.ErrConflict:
		return aboutOne(err)
	}
	return err
}

// about says what a failure concerns, after its retries.
func about(err error) many.About {
	if isAboutOne(err) {
		return many.AboutItem
	}
	if nebula.KindOf(err).OfBackend() {
		return many.AboutBackend
	}
	return many.AboutRun
}

func left(file, id string, why error) Left {
	l := Left{File: file, ID: id, Kind: nebula.KindOf(why), Message: why.Error()}
	var e *nebula.Error
	if errors.As(why, &e) && e.Message != "" {
		l.Message = e.Message
		if e.Hint != "" {
			l.Message += "; " + e.Hint
		}
	}
	return l
}

// unreadable says why a file could not be read.
func unreadable(err error) error {
	kind, message := nebula.ErrUnavailable, "the file cannot be read"
	var special *atomicfile.NotRegularError
	var large *atomicfile.TooLargeError
	switch {
	case errors.As(err, &special):
		kind, message = nebula.ErrCorrupted, special.Error()
	case errors.As(err, &large):
		kind, message = nebula.ErrTooLarge, large.Error()+", and none of a record"
	case errors.Is(err, fs.ErrPermission):
		kind, message = nebula.ErrPermissionDenied, "the file may not be read"
	case errors.Is(err, fs.ErrNotExist):
		kind, message = nebula.ErrNotFound, "the file is no longer there"
	}
	return aboutOne(failed(kind, message, err))
}

func badDirectory(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return failed(nebula.ErrPermissionDenied, path+" may not be read", err)
	case errors.Is(err, fs.ErrNotExist):
		return failed(nebula.ErrUsage, "there is no directory "+path, err)
	case errors.Is(err, syscall.ENOTDIR):
		return failed(nebula.ErrUsage, path+" is no directory", err)
	}
	return failed(nebula.ErrUnavailable, path+" cannot be read", err)
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
