//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package main

import "golang.org/x/sys/unix"

// The calls that read and set the settings of a terminal.
const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA

	setTermiosFlush = unix.TIOCSETAF
	getWaiting      = 0x4004667f // FIONREAD, bytes
)

// maxLine is the length at which a line may have been cut: a terminal keeps at
// most so many bytes of one, and drops the rest.
const maxLine = 1023
