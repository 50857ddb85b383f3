//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package main

import (
	"os"
	"os/signal"
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

// settings are the settings of a terminal before it hid its input.
type settings = *unix.Termios

// hide hides the input of the terminal, until showAgain. It may be called
// again, after something else has changed the terminal.
func (c *console) hide() error {
	fd := int(c.in.Fd())
	now, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	if !c.hiding {
		c.before = now
	}
	hidden := *c.before
	hidden.Lflag &^= unix.ECHO
	hidden.Lflag |= unix.ICANON | unix.ISIG
	hidden.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, setTermios, &hidden); err != nil {
		return err
	}
	c.hiding = true
	return nil
}

func (c *console) showAgain() {
	if c.hiding {
		_ = unix.IoctlSetTermios(int(c.in.Fd()), setTermios, c.before)
		c.hiding = false
	}
}

// promptSignals stop, continue or end a process that asks. An ignored signal,
// as under nohup, stays ignored.
func promptSignals() []os.Signal {
	signals := []os.Signal{unix.SIGTSTP, unix.SIGCONT, unix.SIGINT, unix.SIGTERM}
	for _, s := range []os.Signal{unix.SIGHUP, unix.SIGQUIT} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

// watchSignals delivers promptSignals to the channel instead of their usual
// effect, until the function that it returns is called.
func watchSignals(to chan os.Signal) (stop func()) {
	signal.Notify(to, promptSignals()...)
	return func() { signal.Stop(to) }
}

// obey carries out a signal and reports whether the question stays open. Before
// the process stops, it restores the terminal for the shell. When the process
// goes on, it hides again.
func (c *console) obey(s os.Signal) bool {
	hidden := c.hiding
	switch s {
	case unix.SIGTSTP:
		c.showAgain()
		// This stops all threads, in a moment, as SIGTSTP would. Go's runtime
		// does not restore SIGTSTP after it was asked for it. If nobody could
		// continue the process, the system does not stop it.
		_ = unix.Kill(os.Getpid(), unix.SIGTTIN)
		time.Sleep(20 * time.Millisecond)
		time.Sleep(20 * time.Millisecond) // after the stop: its SIGCONT is there by then
	case unix.SIGCONT:
	default:
		return false
	}
	return !hidden || c.hide() == nil
}

// discard drops input that was not read, and reports whether there was some. A
// paste may still be arriving.
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
