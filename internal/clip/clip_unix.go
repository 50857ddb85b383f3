//go:build !windows

package clip

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/nebula-credential/nebula/internal/process"
)

// Clipboard is the clipboard of the session. It uses the programs that have
// access to it.
type Clipboard struct {
	// Buffer is the directory in which a file holds the value for as long as the
	// clipboard does; "" if there is none.
	Buffer string

	copies  [][]string // the first that succeeds
	paste   []string
	clears  [][]string // all of them
	environ []string
}

// Find returns the clipboard of the session that the environment names. It fails
// with a *Missing.
func Find(environ []string) (*Clipboard, error) {
	c := &Clipboard{environ: process.ChildEnvironment(environ)}
	wayland, x := isSet(environ, "WAYLAND_DISPLAY"), isSet(environ, "DISPLAY")
	switch {
	case runtime.GOOS == "darwin" && have("pbcopy", "pbpaste"):
		return c.pasteboard(), nil
	case wayland && have("wl-copy", "wl-paste"):
		return c.wayland(), nil
	case x && have("xclip"):
		return c.x11(), nil
	case wayland:
		return nil, &Missing{"there is no wl-copy, which has access to the clipboard of Wayland", "install wl-clipboard"}
	case x:
		return nil, &Missing{"there is no xclip, which has access to the clipboard of X", "install xclip"}
	}
	return nil, &Missing{"there is no desktop session: neither WAYLAND_DISPLAY nor DISPLAY is set", ""}
}

// wayland asks clipboard managers to keep no copy, if wl-copy can do that. Version
// 2.1 cannot.
func (c *Clipboard) wayland() *Clipboard {
	c.Buffer = "/tmp" // its name is fixed, and the file in a private directory below
	c.copies = [][]string{{"wl-copy", "--sensitive", "--type", "text/plain"}, {"wl-copy", "--type", "text/plain"}}
	c.paste = []string{"wl-paste", "--no-newline"}
	c.clears = [][]string{{"wl-copy", "--clear"}}
	return c
}

// x11 clears by an empty value that is given away once, because the program that
// offers a value stays until another one does.
func (c *Clipboard) x11() *Clipboard {
	c.copies = [][]string{{"xclip", "-selection", "clipboard", "-in"}}
	c.paste = []string{"xclip", "-selection", "clipboard", "-out"}
	c.clears = [][]string{{"xclip", "-selection", "clipboard", "-in", "-loops", "1"}, c.paste}
	return c
}

// pasteboard sets the encoding that the programs use.
func (c *Clipboard) pasteboard() *Clipboard {
	c.environ = append(c.environ, "LC_ALL=en_US.UTF-8")
	c.copies, c.paste = [][]string{{"pbcopy"}}, []string{"pbpaste"}
	c.clears = c.copies
	return c
}

func isSet(environ []string, name string) bool {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok && value != "" {
			return true
		}
	}
	return false
}

func have(programs ...string) bool {
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			return false
		}
	}
	return true
}

// Copy puts a value on the clipboard. The programs take it from their standard
// input.
func (c *Clipboard) Copy(ctx context.Context, value []byte) (err error) {
	for _, argv := range c.copies {
		if err = c.run(ctx, argv, value, nil); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// read writes the content of the clipboard. It fails if that is not text.
func (c *Clipboard) read(ctx context.Context, to io.Writer) error {
	return c.run(ctx, c.paste, nil, to)
}

func (c *Clipboard) clear(ctx context.Context) error {
	if err := c.run(ctx, c.clears[0], nil, nil); err != nil {
		return err
	}
	// xclip waits for ever if another program was given the empty value.
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, argv := range c.clears[1:] {
		_ = c.run(ctx, argv, nil, nil)
	}
	return nil
}

// run runs a program apart from the terminal. A process that it leaves in the
// background gets none of the caller's streams, whose readers would wait for its
// end.
func (c *Clipboard) run(ctx context.Context, argv []string, input []byte, output io.Writer) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = c.environ
	cmd.Stdin, cmd.Stdout = bytes.NewReader(input), output
	cmd.WaitDelay = time.Second
	process.Detach(cmd)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}
