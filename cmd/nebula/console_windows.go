package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/windows"
)

func openConsole() (*console, error) {
	in, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		_ = in.Close()
		return nil, err
	}
	return &console{in: in, out: out}, nil
}

// maxLine is the length at which a line may have been cut. Nobody types as much.
const maxLine = 8191

// settings are the settings of a console before it hid its input.
type settings = uint32

// hide hides the input of the console, until showAgain.
func (c *console) hide() error {
	h := windows.Handle(c.in.Fd())
	if err := windows.GetConsoleMode(h, &c.before); err != nil {
		return err
	}
	c.hiding = true
	hidden := c.before&^windows.ENABLE_ECHO_INPUT | windows.ENABLE_PROCESSED_INPUT | windows.ENABLE_LINE_INPUT
	return windows.SetConsoleMode(h, hidden)
}

func (c *console) showAgain() {
	if c.hiding {
		_ = windows.SetConsoleMode(windows.Handle(c.in.Fd()), c.before)
		c.hiding = false
	}
}

// watchSignals delivers the signals that end the question, until the function
// that it returns is called.
func watchSignals(to chan os.Signal) (stop func()) {
	signal.Notify(to, os.Interrupt)
	return func() { signal.Stop(to) }
}

// obey reports whether the question stays open. It never does, because no
// process is stopped here.
func (c *console) obey(os.Signal) bool { return false }

// discard drops input that was not read. Here it does not report whether there
// was some.
func (c *console) discard() bool {
	_ = windows.FlushConsoleInputBuffer(windows.Handle(c.in.Fd()))
	return false
}
