package livetest

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// rerun runs one test of this binary in another process.
func rerun(t *testing.T, test string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// endsWithTheTestBinary runs the test that calls it in another process, kills that
// process, and waits until nobody listens at the address of its server. A test binary
// that is killed runs no clean-up.
func endsWithTheTestBinary(t *testing.T, address func() string) {
	t.Helper()
	if os.Getenv("NEBULA_TEST_HOLD") != "" {
		fmt.Printf("address %s\n", address())
		time.Sleep(time.Minute)
		return
	}
	address() // or skips the test
	cmd := rerun(t, t.Name(), "NEBULA_TEST_HOLD=1", "NEBULA_TEST_VAULT_ADDR=", "NEBULA_TEST_KUBERNETES_ADDR=", "NEBULA_TEST_AWS_ENDPOINT=")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var host string
	for lines := bufio.NewScanner(stdout); host == "" && lines.Scan(); {
		if address, ok := strings.CutPrefix(lines.Text(), "address "); ok {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			host = u.Host
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if host == "" {
		t.Fatal("the other process has no server")
	}
	for range 100 {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			return
		}
		_ = conn.Close()
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%s still listens", host)
}
