package process

import (
	"net"
	"os"
)

// Notify reports a state to the supervisor that started the process, in the form of
// sd_notify: READY=1 when it serves, STOPPING=1 when it ends. It does nothing unless
// the supervisor has named a socket.
func Notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.Dial("unixgram", path) // @ at the beginning is that of an abstract one
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state))
}
