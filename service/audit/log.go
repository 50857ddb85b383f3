package audit

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Stderr is the path of standard error.
const Stderr = "-"

// Options change how a [Log] writes.
type Options struct {
	// Sync makes each Write return only when its line is on the disk. One flush
	// serves all lines that wait for it.
	Sync bool
}

// Log is an audit log. Its methods may be called by several goroutines at once.
type Log struct {
	path     string
	options  Options
	refusals refusals

	// failure is the reason why the last line could not be written, or nil.
	failure atomic.Pointer[nebula.Error]

	mu     sync.Mutex // held while a line is written
	out    *output    // nil: closed
	looked time.Time  // when the path last led to the output
	line   []byte     // the memory of the line
	lost   int        // lines that could not be written since the last one that was
}

// Open opens the log at a path, or makes it, with mode 0600, and the directories
// above it. "-" is standard error, which cannot be flushed. If the file is a link,
// or others may write it, Open fails with ErrInvalidConfig.
func Open(path string, options Options) (*Log, error) {
	if path == Stderr && options.Sync {
		return nil, &nebula.Error{Kind: nebula.ErrInvalidConfig, Message: "an audit log on standard error cannot be flushed to the disk", Hint: "name a file, or turn the flushing off"}
	}
	out, err := openOutput(path)
	if err != nil {
		return nil, err
	}
	return &Log{path: path, options: options, out: out, looked: time.Now()}, nil
}

// Write writes a line. If it fails, with ErrUnavailable, the request must not be
// served.
func (l *Log) Write(e Entry) error {
	l.mu.Lock()
	out, err := l.write(&e)
	l.mu.Unlock()
	if err != nil || !l.options.Sync {
		return err
	}
	err = out.flush()
	out.users.Done()
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost++
	return l.fail(err)
}

func (l *Log) write(e *Entry) (*output, error) {
	err := l.recover()
	var out *output
	if err == nil {
		l.line = e.append(append(l.line[:0], '\n'))
		out, err = l.put(l.line)
	}
	if err != nil {
		l.lost++
	}
	return out, err
}

// put writes a line, which has a newline at both ends, and remembers a failure.
// If lines are to be flushed, the caller returns the output.
func (l *Log) put(line []byte) (*output, error) {
	if l.out == nil {
		return nil, errClosed()
	}
	if err := l.look(); err != nil {
		return nil, l.fail(err)
	}
	if err := l.out.write(line); err != nil {
		return nil, l.fail(err)
	}
	if l.options.Sync {
		l.out.users.Add(1)
	}
	return l.out, nil
}

// look opens the file anew if the path leads to another file or to none:
// otherwise lines would be written where nobody finds them. It looks once a
// second.
func (l *Log) look() error {
	const pause = time.Second
	if l.out.isStream || time.Since(l.looked) < pause {
		return nil
	}
	l.looked = time.Now()
	if l.out.isAt(l.path) {
		return nil
	}
	return l.replace()
}

// replace opens the file that is now at the path.
func (l *Log) replace() error {
	out, err := openOutput(l.path)
	if err != nil {
		return err
	}
	go l.out.close() // when those that flush it are done
	l.out, l.looked = out, time.Now()
	return nil
}

// Healthy returns nil, or the error with which the next Write would fail. After a
// failure it tries again. So a request is refused before anything is done for it,
// and the first request after there is room again is served.
func (l *Log) Healthy() error {
	if l.failure.Load() == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recover()
}

// recover goes on after a failure. After a failed flush the kernel may have
// dropped what it could not write, so recover opens the file anew.
func (l *Log) recover() error {
	if l.failure.Load() == nil {
		return nil
	}
	if l.out == nil {
		return errClosed()
	}
	if !l.out.isStream {
		if err := l.replace(); err != nil {
			return l.fail(err)
		}
	}
	out, err := l.put(gap(time.Now(), l.lost))
	if err != nil {
		return err
	}
	if l.options.Sync {
		err := out.flush()
		out.users.Done()
		if err != nil {
			return l.fail(err)
		}
	}
	l.lost = 0
	l.failure.Store(nil)
	return nil
}

// fail remembers why the log cannot be written. The cause names the path, so
// clients do not get it.
func (l *Log) fail(err error) error {
	if nebula.KindOf(err) == nebula.ErrInternal {
		err = unusable(l.path, atomicfile.Reason(err), err)
	}
	e := &nebula.Error{Kind: nebula.ErrUnavailable, Message: "the audit log cannot be written, and nothing is served without it",
		Hint: "the log of the service says why", Err: err}
	l.failure.Store(e)
	return e
}

func errClosed() error {
	return &nebula.Error{Kind: nebula.ErrClosed, Message: "the audit log is closed"}
}

// Reopen opens the file that is now at the path, after the old one was renamed. If
// that fails, the old one stays in use.
func (l *Log) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.out == nil:
		return errClosed()
	case l.out.isStream:
		return nil
	}
	return l.replace()
}

// Close writes the counts and closes the file.
func (l *Log) Close() error {
	l.refusals.stop()
	err := l.writeRefusals()
	l.mu.Lock()
	out := l.out
	l.out = nil
	l.mu.Unlock()
	if out == nil {
		return nil
	}
	if closeErr := out.close(); err == nil {
		err = closeErr
	}
	return err
}
