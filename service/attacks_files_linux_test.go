package service_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody sends bytes to a socket as another user, and returns what comes back.
func asNobody(t *testing.T, socket, request string) string {
	t.Helper()
	result := make(chan string)
	go func() {
		// From now on the thread belongs to another user. It ends with the goroutine.
		runtime.LockOSThread()
		defer close(result)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			t.Errorf("setresuid: %v", errno)
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
			t.Errorf("it cannot connect at all: %v", err)
			return
		}
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60})
		_, _ = unix.Write(fd, []byte(request))
		buffer := make([]byte, 4096)
		n, _ := unix.Read(fd, buffer)
		result <- string(buffer[:max(n, 0)])
	}()
	return <-result
}
