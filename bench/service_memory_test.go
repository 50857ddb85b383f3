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

	"github.com/nebula-credential/nebula/service/token"
)

// BenchmarkServiceMemory reports the peak memory of nebula serve, on files. In an operation,
// 256 connections read a value of 1 KiB, 50 times each.
func BenchmarkServiceMemory(b *testing.B) {
	const connections, requests = 256, 50
	c := newCommand(b)
	c.run(b, value(), c.nebula, "put", "github_token")
	tokens := token.NewFile(filepath.Join(b.TempDir(), "tokens"))
	secret, err := tokens.Add(ctx, token.Grant{Name: "bench", Allow: []token.Verb{token.Read}})
	check(b, err)
	address := freeAddress(b)
	pid := c.serve(b, "--listen", address, "--tokens", tokens.Path(), "--audit", filepath.Join(b.TempDir(), "audit.log"))
	awaitListener(b, address)
	login := "Authorization: Bearer " + string(secret.Reveal()) + "\r\n"
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
	b.ReportMetric(float64(kib)/1024, "peak-MiB")
}

func freeAddress(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(b, err)
	check(b, l.Close())
	return l.Addr().String()
}

// serve runs nebula serve until the benchmark ends, and returns its process id.
func (c command) serve(b *testing.B, flags ...string) int {
	server := exec.Command(c.nebula, append([]string{"serve"}, flags...)...)
	server.Env = c.env
	check(b, server.Start())
	b.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	})
	return server.Process.Pid
}

func awaitListener(b *testing.B, address string) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			b.Fatal("the service does not listen")
		}
	}
}
