//go:build unix

package config

import "golang.org/x/sys/unix"

const (
	errNoSpace  = unix.ENOSPC
	errReadOnly = unix.EROFS
)
