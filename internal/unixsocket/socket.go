//go:build linux || darwin

package unixsocket

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// lockTimeout is how long another process may take to begin or to end.
const lockTimeout = 5 * time.Second

// Listener listens for processes of the same user.
type Listener struct {
	*net.UnixListener

	// Peer returns the user at the other end. Tests replace it.
	Peer func(*net.UnixConn) (int, error)

	use  Use
	path string
	made fs.FileInfo // what the path led to when it was made
	once sync.Once
}

// Listen makes the socket at a path, with the directories above it. It removes
// a socket on which nobody listens any more. Errors: ErrAlreadyExists if
// somebody listens there, ErrInvalidConfig if the directory is open to others
// or the path is too long, ErrPermissionDenied if the socket cannot be made.
func (u Use) Listen(ctx context.Context, path string) (*Listener, error) {
	if err := u.CheckPath(path); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := atomicfile.MakeDirs(dir); err != nil {
		return nil, u.Failed("the directory of the socket cannot be made", dir, err)
	}
	if err := u.checkDirectory(dir, os.Geteuid()); err != nil {
		return nil, err
	}
	var l *Listener
	err := u.locked(ctx, path, func() (err error) {
		if err := u.removeDead(path); err != nil {
			return err
		}
		l, err = u.bind(path)
		return err
	})
	return l, err
}

func (u Use) bind(path string) (*Listener, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, u.Failed("the socket cannot be made", path, err)
	}
	// When this one ends, the path may be that of another process.
	listener.SetUnlinkOnClose(false)
	l := &Listener{UnixListener: listener, Peer: PeerID, use: u, path: path}
	// The directory is closed to others meanwhile.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, u.Failed("the mode of the socket cannot be set", path, err)
	}
	if l.made, err = os.Lstat(path); err != nil {
		_ = listener.Close()
		return nil, u.Failed("the socket cannot be looked at", path, err)
	}
	return l, nil
}

// Path returns the path of the socket.
func (l *Listener) Path() string { return l.path }

// Accept implements [net.Listener]. Processes of other users learn nothing.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := l.Peer(conn); err == nil && uid == os.Geteuid() {
			return conn, nil
		}
		_ = conn.Close()
	}
}

// Close ends listening and removes the socket, if it is still this one.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		// While it listens, its inode is not another one's.
		_ = l.use.locked(context.Background(), l.path, func() error {
			if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
				return os.Remove(l.path)
			}
			return nil
		})
		err = l.UnixListener.Close()
	})
	return err
}

// locked runs f while no other process begins or ends in that directory. There is
// one lock for all sockets there, because those of sessions come and go.
func (u Use) locked(ctx context.Context, path string, f func() error) error {
	dir, err := atomicfile.Open(filepath.Dir(path))
	if err != nil {
		return u.Failed("the directory of the socket cannot be opened", filepath.Dir(path), err)
	}
	defer dir.Close()
	lock := atomicfile.NewLock(u.Lock)
	defer lock.Close()
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	if err := lock.Lock(ctx, nil, dir); err != nil {
		return u.Failed("the socket cannot be locked", path, err)
	}
	defer lock.Unlock()
	return f()
}

// removeDead removes a socket that nobody listens on.
func (u Use) removeDead(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		return u.unsafe(path+" is there, and is not a socket", "name another place with "+u.Elsewhere)
	}
	if err != nil {
		return u.Failed("the socket cannot be looked at", path, err)
	}
	conn, err := net.DialTimeout("unix", path, lockTimeout)
	if err == nil {
		_ = conn.Close()
		return &nebula.Error{Kind: nebula.ErrAlreadyExists, Op: u.Op, Message: "another " + u.Who + " listens already at " + path, Hint: u.Look}
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return u.Failed("the socket that is there cannot be tried", path, err)
	}
	if err := os.Remove(path); err != nil {
		return u.Failed("the socket that another "+u.Who+" left cannot be removed", path, err)
	}
	return nil
}
