//go:build linux || darwin

package unixsocket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/atomicfile"
)

// Dialer connects to a socket of the same user's.
type Dialer struct {
	Use  Use
	UID  int // of the user; tests set another one
	Peer func(*net.UnixConn) (int, error)
}

// Dialer returns one for the user of this process.
func (u Use) Dialer() Dialer { return Dialer{Use: u, UID: os.Geteuid(), Peer: PeerID} }

// Dial connects, and checks that others can neither use the socket nor have put it
// there, and that the same user listens, before anything is sent. Errors:
// ErrInvalidConfig, and those of the system.
func (d Dialer) Dial(ctx context.Context, path string) (*net.UnixConn, error) {
	if err := d.checkSocket(path); err != nil {
		return nil, err
	}
	any, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	conn := any.(*net.UnixConn)
	uid, err := d.Peer(conn)
	if err == nil && uid != d.UID {
		err = d.Use.unsafe(fmt.Sprintf("the process that listens at %s belongs to the user with number %d, not to you", path, uid),
			"a socket that the system makes for a service is not supported; start the "+d.Use.Who+" as yourself")
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (d Dialer) checkSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err // if there is none, the directory does not matter
	}
	if err := d.Use.checkDirectory(filepath.Dir(path), d.UID); err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return d.Use.unsafe(path+" is not a socket", "")
	}
	return d.Use.checkOwn("the socket", path, info, d.UID, "start the "+d.Use.Who+" again, which makes it with the mode 0600")
}

// checkDirectory refuses a directory that others than the user may enter or
// own.
func (u Use) checkDirectory(dir string, uid int) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return u.unsafe(dir+" is not a directory", "name another place with "+u.Elsewhere)
	}
	return u.checkOwn("the directory", dir, info, uid, "chmod 700 "+atomicfile.Quote(dir))
}

func (u Use) checkOwn(what, path string, info fs.FileInfo, uid int, mend string) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != uid {
		owner := -1
		if ok {
			owner = int(stat.Uid)
		}
		return u.unsafe(fmt.Sprintf("%s %s belongs to the user with number %d", what, path, owner), "take a place of your own: "+u.Elsewhere)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return u.unsafe(fmt.Sprintf("%s %s has the mode %04o, and others may use it", what, path, mode), mend)
	}
	return nil
}

// Failed returns the error of a failed system call on a path.
func (u Use) Failed(what, path string, cause error) error {
	kind := nebula.ErrUnavailable
	if errors.Is(cause, fs.ErrPermission) || atomicfile.IsReadOnly(cause) {
		kind = nebula.ErrPermissionDenied
	}
	return &nebula.Error{Kind: kind, Op: u.Op, Message: what + ": " + path + ": " + atomicfile.Reason(cause), Err: cause}
}
