//go:build linux || darwin

package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/seal"
	"github.com/nebula-credential/nebula/internal/unixsocket"
)

// callTimeout is how long an agent may take to answer. If it takes longer, it
// was stopped.
const callTimeout = 2 * time.Second

// Client lets the agent at a socket keep the data keys of stores. It implements
// [nebula.DataKeys]. If there is no agent, it does nothing. If the agent cannot
// be trusted or does not answer, it warns once.
type Client struct {
	path   string
	logger *slog.Logger
	dialer unixsocket.Dialer

	mu  sync.Mutex
	off bool // after a failure
}

// NewClient returns a client of the agent at an absolute path. It does not
// connect yet.
func NewClient(path string, logger *slog.Logger) *Client {
	return &Client{path: path, logger: logger, dialer: use().Dialer()}
}

var _ nebula.DataKeys = (*Client)(nil)

// Get implements [nebula.DataKeys].
func (c *Client) Get(ctx context.Context, address string) (key nebula.KeptKey, found bool) {
	r, ok := c.try(ctx, request{Op: opGet, Address: address})
	defer clear(r.Key)
	if !ok || len(r.Key) != seal.KeySize {
		return nebula.KeptKey{}, false
	}
	copy(key.Secret[:], r.Key)
	key.Pinned = r.Pinned
	return key, true
}

// Keep implements [nebula.DataKeys].
func (c *Client) Keep(ctx context.Context, address string, key nebula.KeptKey) {
	defer clear(key.Secret[:])
	if len(address) > maxAddress {
		return
	}
	c.try(ctx, request{Op: opAdd, Address: address, Key: key.Secret[:], Pinned: key.Pinned})
}

// try is call for methods that must not fail.
func (c *Client) try(ctx context.Context, q request) (response, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return response{}, false
	}
	r, err := c.call(ctx, q)
	if err == nil {
		return r, true
	}
	c.off = true
	if !isAbsent(err) && ctx.Err() == nil {
		reason, hint := explain(err)
		c.logger.Warn("the agent is not used", "reason", reason, "hint", hint)
	}
	return response{}, false
}

func explain(err error) (reason, hint string) {
	hint = "agent = false in [key] turns it off"
	var e *nebula.Error
	if errors.As(err, &e) {
		if e.Hint != "" {
			hint = e.Hint
		}
		return e.Message, hint
	}
	return err.Error(), hint
}

// List describes the agent's keys. Errors: ErrNotFound if there is no agent,
// ErrInvalidConfig if it cannot be trusted, ErrUnavailable.
func (c *Client) List(ctx context.Context) ([]Entry, error) {
	r, err := c.call(ctx, request{Op: opList})
	return r.Keys, c.describe(err)
}

// Lock makes the agent forget all keys, and returns how many there were. Errors
// are those of List.
func (c *Client) Lock(ctx context.Context) (forgotten int, err error) {
	r, err := c.call(ctx, request{Op: opLock})
	return r.Forgotten, c.describe(err)
}

func (c *Client) describe(err error) error {
	var e *nebula.Error
	switch {
	case err == nil || errors.As(err, &e):
		return err
	case isAbsent(err):
		return &nebula.Error{Kind: nebula.ErrNotFound, Op: opName, Message: "no agent listens at " + c.path, Err: err,
			Hint: "start one with: nebula agent"}
	}
	return use().Failed("the agent does not answer", c.path, err)
}

// isAbsent reports whether nobody listens.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ECONNREFUSED)
}

// call sends hello and the request at once, and returns the response to the
// latter.
func (c *Client) call(ctx context.Context, q request) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := c.dialer.Dial(ctx, c.path)
	if err != nil {
		return response{}, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	for _, message := range []request{{Op: opHello, Version: protocolVersion}, q} {
		// The answer of an agent of another version to hello is read below.
		if err := write(conn, message); err != nil && !errors.Is(err, syscall.EPIPE) {
			return response{}, err
		}
	}
	responses := bufio.NewReader(conn)
	if _, err := c.receive(responses); err != nil {
		return response{}, err
	}
	return c.receive(responses)
}

func (c *Client) receive(from io.Reader) (r response, err error) {
	if err := read(from, &r); err != nil {
		return response{}, fmt.Errorf("the agent at %s does not answer: %w", c.path, err)
	}
	if r.Error == "" {
		return r, nil
	}
	clear(r.Key)
	return response{}, &nebula.Error{Kind: nebula.ErrUnavailable, Op: opName, Message: "the agent refuses: " + quote(r.Error),
		Hint: "start it again, if it is of another version"}
}

const maxQuoted = 120 // bytes

func quote(text string) string {
	if len(text) > maxQuoted {
		text = text[:maxQuoted]
	}
	return strconv.QuoteToASCII(text)
}
