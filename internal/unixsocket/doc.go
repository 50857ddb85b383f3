// Package unixsocket listens on Unix sockets that belong to one user: in a
// directory that nobody else may enter, with the mode 0600, for processes of that
// user alone.
package unixsocket

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nebula-credential/nebula"
)

// MaxPath is the greatest length of a socket's path, in bytes, that every
// supported system accepts.
const MaxPath = 103

// Use says what a socket is for. Errors show it.
type Use struct {
	Op        string // of errors
	Who       string // listens: agent
	Elsewhere string // how a person names another place: --socket, or …
	Look      string // how a person looks at one that listens already: a hint
	Lock      string // name of the file that is locked while one begins or ends
}

// Inherited reports whether the process was given sockets that another process made
// for it, as systemd does.
func Inherited() bool {
	pid, err := strconv.Atoi(os.Getenv("LISTEN_PID"))
	return err == nil && pid == os.Getpid()
}

// CheckPath refuses a path at which there can be no socket.
func (u Use) CheckPath(path string) error {
	message := ""
	switch {
	case !filepath.IsAbs(path):
		message = "the path of the " + u.Who + "'s socket must be absolute"
	case len(path) > MaxPath:
		message = fmt.Sprintf("the path of the %s's socket has %d bytes, %d are allowed: %s", u.Who, len(path), MaxPath, path)
	default:
		return nil
	}
	return u.unsafe(message, "name another one with "+u.Elsewhere)
}

func (u Use) unsafe(message, hint string) error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: u.Op, Message: message, Hint: hint}
}
