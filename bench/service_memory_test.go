package bench

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkServiceMemory reports the peak memory of nebula serve, on files, while 256
// connections read a value of 1 KiB, 50 times each in an operation.
func BenchmarkServiceMemory(b *testing.B) {
	const connections, requests = 256, 50
	c := newCommand(b)
	c.run(b, "", c.nebula, "init", "--key-file", filepath.Join(b.TempDir(), "key"))
	c.run(b, strings.Repeat("x", 1024), c.nebula, "put", "github_token")
	add := exec.Command(c.nebula, "serve", "token", "add", "bench", "--allow", "read")
	add.Env = c.env
	out, err := add.Output()
	check(b, err)
	address := freeAddress(b)
	pid := c.serve(b, address)
	login := "Authorization: Bearer " + strings.TrimSpace(string(out)) + "\r\n"
	gets := dialAll(b, address, login, connections)
	for b.Loop() {
		getAll(gets, requests)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(b, err)
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(peak, &kib); err != nil {
		b.Fatalf("%v in %s", err, status)
	}
	c.report(b, kib<<10)
}

func freeAddress(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(b, err)
	check(b, l.Close())
	return l.Addr().String()
}

// serve runs nebula serve until the benchmark ends, and returns its process id.
func (c command) serve(b *testing.B, address string) int {
	server := exec.Command(c.nebula, "serve", "--listen", address, "--audit", filepath.Join(b.TempDir(), "audit.log"))
	server.Env = c.env
	check(b, server.Start())
	b.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return server.Process.Pid
		}
		if time.Now().After(deadline) {
			b.Fatal("the service does not listen")
		}
	}
}
