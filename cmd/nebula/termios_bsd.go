//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package main

import "golang.org/x/sys/unix"

// The calls that read and set what a terminal does.
const (
	getTermios = unix.TIOCGETA
	setTermios = unix.TIOCSETA

	setTermiosFlush = unix.TIOCSETAF
	getWaiting      = 0x4004667f // FIONREAD, bytes
)

// maxLine is what the terminal takes of one line: MAX_CANON and its newline.
const maxLine = 1023
