//go:build linux || darwin

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// lockTimeout is how long another agent may take to begin or to end.
const lockTimeout = 5 * time.Second

// socket is one that this process listens on.
type socket struct {
	path     string
	listener *net.UnixListener
	made     fs.FileInfo // what the path led to when it was made
	once     sync.Once
}

func userID() int { return os.Geteuid() }

// listen makes the socket. One that nobody listens on any more is removed.
func listen(ctx context.Context, path string) (*socket, error) {
	if err := checkStart(path); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := atomicfile.MakeDirs(dir); err != nil {
		return nil, failed("the directory of the socket cannot be made", dir, err)
	}
	if err := checkDirectory(dir, userID()); err != nil {
		return nil, err
	}
	var s *socket
	err := locked(ctx, path, func() (err error) {
		if err := removeDead(path); err != nil {
			return err
		}
		s, err = bind(path)
		return err
	})
	return s, err
}

// checkStart refuses what cannot work.
func checkStart(path string) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err == nil && pid == os.Getpid() {
		return &nebula.Error{Kind: nebula.ErrNotSupported, Op: opName,
			Message: "the agent was started with a socket that another process made, whose user its clients would see",
			Hint:    "have the service start the agent itself, without a socket unit"}
	}
	return nil
}

func bind(path string) (*socket, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, failed("the socket cannot be made", path, err)
	}
	// By the time this one ends, the path may be that of another agent.
	listener.SetUnlinkOnClose(false)
	s := &socket{path: path, listener: listener}
	// The directory is closed to others meanwhile.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, failed("the mode of the socket cannot be set", path, err)
	}
	if s.made, err = os.Lstat(path); err != nil {
		_ = listener.Close()
		return nil, failed("the socket cannot be looked at", path, err)
	}
	return s, nil
}

// close ends listening and removes the socket, if it is still this one.
func (s *socket) close() {
	s.once.Do(func() {
		// While it listens, its inode is not another one's.
		_ = locked(context.Background(), s.path, func() error {
			if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.made) {
				return os.Remove(s.path)
			}
			return nil
		})
		_ = s.listener.Close()
	})
}

// lockName is one for all sockets of a directory: those of sessions come and go.
const lockName = ".agent.lock"

// locked runs f while no other agent begins or ends in that directory.
func locked(ctx context.Context, path string, f func() error) error {
	dir, err := atomicfile.Open(filepath.Dir(path))
	if err != nil {
		return failed("the directory of the socket cannot be opened", filepath.Dir(path), err)
	}
	defer dir.Close()
	lock := atomicfile.NewLock(lockName)
	defer lock.Close()
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	if err := lock.Lock(ctx, nil, dir); err != nil {
		return failed("the socket cannot be locked", path, err)
	}
	defer lock.Unlock()
	return f()
}

// removeDead removes a socket that nobody listens on.
func removeDead(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		return &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: opName, Message: path + " is there, and is no socket",
			Hint: "name another place with --socket, or NEBULA_AGENT_SOCK"}
	}
	if err != nil {
		return failed("the socket cannot be looked at", path, err)
	}
	conn, err := net.DialTimeout("unix", path, lockTimeout)
	if err == nil {
		_ = conn.Close()
		return &nebula.Error{Kind: nebula.ErrAlreadyExists, Op: opName, Message: "an agent listens already at " + path,
			Hint: "look at it with: nebula agent status"}
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return failed("the socket that is there cannot be tried", path, err)
	}
	if err := os.Remove(path); err != nil {
		return failed("the socket of an agent that ended cannot be removed", path, err)
	}
	return nil
}

// checkDirectory refuses one that others than the user may enter or own.
func checkDirectory(dir string, uid int) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return unsafeSocket(dir+" is not a directory", "name another place with --socket, or NEBULA_AGENT_SOCK")
	}
	return checkOwn("the directory", dir, info, uid, "chmod 700 "+atomicfile.Quote(dir))
}

// checkSocket refuses a socket that others may use, or may have put there.
func checkSocket(path string, uid int) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err // if there is none, the directory does not matter
	}
	if err := checkDirectory(filepath.Dir(path), uid); err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return unsafeSocket(path+" is no socket", "")
	}
	return checkOwn("the socket", path, info, uid, "start the agent again, which makes it with the mode 0600")
}

func checkOwn(what, path string, info fs.FileInfo, uid int, mend string) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != uid {
		owner := -1
		if ok {
			owner = int(stat.Uid)
		}
		return unsafeSocket(fmt.Sprintf("%s %s belongs to the user of number %d", what, path, owner), "take a place of your own: --socket, or NEBULA_AGENT_SOCK")
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return unsafeSocket(fmt.Sprintf("%s %s has the mode %04o, and others may use it", what, path, mode), mend)
	}
	return nil
}

func unsafeSocket(message, hint string) error {
	return &nebula.Error{Kind: nebula.ErrInvalidConfig, Op: opName, Message: message, Hint: hint}
}

// failed says why the system does not do something with a path.
func failed(what, path string, cause error) error {
	kind := nebula.ErrUnavailable
	if errors.Is(cause, fs.ErrPermission) || atomicfile.IsReadOnly(cause) {
		kind = nebula.ErrPermissionDenied
	}
	return &nebula.Error{Kind: kind, Op: opName, Message: what + ": " + path + ": " + atomicfile.Reason(cause), Err: cause}
}
