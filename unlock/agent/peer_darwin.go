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
		var peer *unix.Xucred
		if peer, failure = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); failure == nil {
			uid = int(peer.Uid)
		}
	})
	if err == nil {
		err = failure
	}
	return uid, err
}
