package main

import "golang.org/x/sys/unix"

// The calls that read and set what a terminal does.
const (
	getTermios = unix.TCGETS
	setTermios = unix.TCSETS

	setTermiosFlush = unix.TCSETSF
	getWaiting      = unix.TIOCINQ // bytes
)

// maxLine is what the terminal takes of one line: MAX_CANON and its newline.
const maxLine = 4095
