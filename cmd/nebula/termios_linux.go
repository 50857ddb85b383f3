package main

import "golang.org/x/sys/unix"

// The calls that read and set the settings of a terminal.
const (
	getTermios = unix.TCGETS
	setTermios = unix.TCSETS

	setTermiosFlush = unix.TCSETSF
	getWaiting      = unix.TIOCINQ // bytes
)

// maxLine is the length at which a line may have been cut: a terminal keeps at
// most so many bytes of one, and drops the rest.
const maxLine = 4095
