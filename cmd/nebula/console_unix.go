//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func openConsole() (*console, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &console{in: f, out: f}, nil
}

// settings are what a terminal did before it was asked to hide.
type settings = *unix.Termios

// hide has the terminal show nothing of what is typed, until showAgain.
func (c *console) hide() error {
	fd := int(c.in.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	c.before = before
	return unix.IoctlSetTermios(fd, setTermios, &hidden)
}

func (c *console) showAgain() { _ = unix.IoctlSetTermios(int(c.in.Fd()), setTermios, c.before) }

// discard throws away what was entered and not read, and reports whether there
// was something. A paste may still be arriving.
func (c *console) discard() bool {
	fd := int(c.in.Fd())
	raw := *c.before
	raw.Lflag &^= unix.ECHO | unix.ICANON // else only whole lines are counted
	if unix.IoctlSetTermios(fd, setTermios, &raw) != nil {
		return false
	}
	const moment = 50 * time.Millisecond
	time.Sleep(moment)
	waiting, err := unix.IoctlGetInt(fd, getWaiting)
	if err != nil || waiting == 0 {
		return false
	}
	for waiting > 0 && err == nil {
		_ = unix.IoctlSetTermios(fd, setTermiosFlush, &raw)
		time.Sleep(moment)
		waiting, err = unix.IoctlGetInt(fd, getWaiting)
	}
	return true
}
