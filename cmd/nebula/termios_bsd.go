//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package main

import "golang.org/x/sys/unix"

// The calls that read and set what a terminal does.
const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA
)
