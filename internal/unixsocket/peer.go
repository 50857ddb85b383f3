//go:build darwin || linux

package unixsocket

import "net"

// PeerID returns the user at the other end, as it was when they connected or,
// for a listener, when it began to listen.
func PeerID(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failure error
	err = raw.Control(func(fd uintptr) { uid, failure = socketUser(int(fd)) })
	if err == nil {
		err = failure
	}
	return uid, err
}
