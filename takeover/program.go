package takeover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/process"
)

// Programs says how to run the programs that open a source: without a shell, and
// without the variables that open a store.
type Programs struct {
	Environ []string
	Stdin   io.Reader // a terminal, at which they ask; nil for none
	Stderr  io.Writer // what they say goes there, and into no error
}

// maxOutput is the most that a program may print, in bytes.
const maxOutput = 64 << 20

// run returns what a program of PATH prints.
func (p Programs) run(ctx context.Context, program string, args []string, variables ...string) ([]byte, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Op: "import", Message: program + " is not in PATH, and opens the source", Err: err, Hint: "install " + program}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(process.ChildEnvironment(p.Environ), variables...)
	out := &boundedBuffer{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.Stdin, out, p.Stderr
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	switch {
	case err == nil:
		return out.buffer.Bytes(), nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case out.full:
		err = &nebula.Error{Kind: nebula.ErrTooLarge, Op: "import", Message: fmt.Sprintf("%s prints more than %d bytes", program, maxOutput)}
	default:
		err = &nebula.Error{Kind: nebula.ErrDecryptionFailed, Op: "import", Message: program + " did not decrypt it: " + err.Error(), Err: err,
			Hint: "what " + program + " said stands above"}
	}
	clear(out.buffer.Bytes())
	return nil, err
}

// boundedBuffer accepts as much as a program may print. The buffer is not
// embedded, because then its ReadFrom would be used, which has no limit.
type boundedBuffer struct {
	buffer bytes.Buffer
	full   bool // there was more
}

// Write implements [io.Writer].
func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.buffer.Len()+len(p) > maxOutput {
		b.full = true
		return 0, errors.New("more than the limit")
	}
	return b.buffer.Write(p)
}

// readSource reads a file, to see what it is before a program opens it.
func readSource(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, sourceError(file, err)
	}
	return text, nil
}

func sourceError(path string, err error) error {
	kind := nebula.ErrUsage
	if errors.Is(err, os.ErrPermission) {
		kind = nebula.ErrPermissionDenied
	}
	var at *os.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return &nebula.Error{Kind: kind, Op: "import", Message: path + ": " + err.Error(), Err: err}
}

// argument returns a path that no program takes for a flag.
func argument(path string) string {
	if strings.HasPrefix(path, "-") {
		return "." + string(filepath.Separator) + path
	}
	return path
}
