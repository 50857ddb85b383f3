package agent

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerID returns the user at the other end, as it was when they connected; of
// one that listens, as it was when they began to.
func peerID(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failure error
	err = raw.Control(func(fd uintptr) {
		var peer *unix.Ucred
		if peer, failure = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); failure == nil {
			uid = int(peer.Uid)
		}
	})
	if err == nil {
		err = failure
	}
	return uid, err
}
