package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/nebula-credential/nebula/internal/clip"
	"github.com/nebula-credential/nebula/internal/process"
)

// clearerName is the command of the process that clears the clipboard. No person
// types it.
const clearerName = "clear-clipboard"

// clearing is the order to that process, sent through a pipe.
type clearing struct {
	After time.Duration `json:"after"` // from when it is told
	Mark  clip.Mark     `json:"mark"`  // of what is to be cleared
}

// clearer is a process that waits for the order to clear. It ends if this
// process ends before.
type clearer struct {
	cmd *exec.Cmd
	to  *os.File
}

// startClearer starts it before there is something to clear. So if it cannot
// start, nothing is put on the clipboard.
func (a *app) startClearer() (*clearer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	cmd := exec.Command(self)
	cmd.Args = []string{os.Args[0], clearerName, "--timeout", "0"}
	cmd.Env = process.ChildEnvironment(a.environ)
	cmd.Stdin = from
	process.Detach(cmd)
	if err := cmd.Start(); err != nil {
		_ = to.Close()
		return nil, err
	}
	return &clearer{cmd, to}, nil
}

// clear sends the order to the process, and leaves it alone.
func (c *clearer) clear(what clearing) error {
	err := json.NewEncoder(c.to).Encode(what)
	return errors.Join(err, c.to.Close(), c.cmd.Process.Release())
}

// abandon makes the process end.
func (c *clearer) abandon() {
	_ = c.to.Close()
	_ = c.cmd.Wait()
}

func clearClipboardCommand(run func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use:    clearerName,
		Hidden: true,
		Long:   "Clear the clipboard for a nebula get --clip, which starts this by itself.",
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return run(cmd.Context()) },
	}
}

// clearClipboard waits, and clears the clipboard if it still holds the value. At a
// signal that ends the process, such as one at the end of the session, it clears at
// once.
func (a *app) clearClipboard(ctx context.Context) error {
	var what clearing
	if err := json.NewDecoder(a.stdin).Decode(&what); err == io.EOF {
		return nil // nothing was copied
	} else if err != nil {
		return usage("nothing says what to clear", "this command is started by: nebula get --clip")
	}
	board, err := clip.Find(a.environ)
	if err != nil {
		return noClipboard(err)
	}
	select {
	case <-time.After(what.After):
	case <-ctx.Done():
	}
	const most = 10 * time.Second // the session may be about to end
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	return board.ClearIf(work, what.Mark)
}
