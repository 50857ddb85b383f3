package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is the command as well: what a killed process leaves behind
// can be seen only from outside.
func TestMain(m *testing.M) {
	if os.Getenv("NEBULA_TESTSERVER_MAIN") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "NEBULA_TESTSERVER_MAIN=1")
	return cmd
}

// running is an `up` that said that it is ready.
type running struct {
	cmd   *exec.Cmd
	stdin io.Closer
	env   map[string]string
}

// startUp starts Vault. It skips the test where that is not built: building
// takes minutes.
func startUp(t *testing.T) *running {
	t.Helper()
	if out, err := command("where", "vault").CombinedOutput(); err != nil {
		if os.Getenv("NEBULA_REQUIRE_LIVE") != "1" {
			t.Skipf("%s", out)
		}
		t.Fatalf("%s", out)
	}
	return startUpOf(t, "vault")
}

func startUpOf(t *testing.T, server string) *running {
	t.Helper()
	cmd := command("up", server)
	cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir()) // killed, it leaves its folder
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{cmd: cmd, stdin: stdin, env: map[string]string{}}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if lines.Text() == "ready" {
			return r
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if !ok {
			t.Fatalf("not an export: %q", lines.Text())
		}
		r.env[name] = strings.Trim(value, "'")
	}
	t.Fatal("it never was ready")
	return nil
}

func (r *running) host(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(r.env["VAULT_ADDR"])
	if err != nil || u.Host == "" {
		t.Fatalf("VAULT_ADDR is %q, %v", r.env["VAULT_ADDR"], err)
	}
	return u.Host
}

// gone waits until nobody listens any more.
func gone(t *testing.T, host string) {
	t.Helper()
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

func TestLiveUpAnswers(t *testing.T) {
	r := startUp(t)
	request, err := http.NewRequest(http.MethodGet, r.env["VAULT_ADDR"]+"/v1/secret/config", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Vault-Token", r.env["VAULT_TOKEN"])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the configuration of secret/: %s %s", response.Status, body)
	}
	for _, name := range []string{"NEBULA_TEST_VAULT_ADDR", "NEBULA_TEST_VAULT_TOKEN", "NEBULA_TESTSERVER_VAULT_UNSEAL_KEY"} {
		if r.env[name] == "" {
			t.Errorf("%s is not exported", name)
		}
	}
}

func TestLiveUpEndsWithItsInput(t *testing.T) {
	r := startUp(t)
	host := r.host(t)
	_ = r.stdin.Close()
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if conn, err := net.Dial("tcp", host); err == nil {
		_ = conn.Close()
		t.Error("it ended, and the server still listens")
	}
}

func TestLiveUpEndsWhenInterrupted(t *testing.T) {
	r := startUp(t)
	host := r.host(t)
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Skip(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	gone(t, host)
}

// Killed, it cannot stop anything: the server notices by itself.
func TestLiveUpLeavesNothingWhenKilled(t *testing.T) {
	r := startUp(t)
	host := r.host(t)
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait()
	gone(t, host)
}

func TestLiveTwoAtOnce(t *testing.T) {
	a, b := startUp(t), startUp(t)
	if a.host(t) == b.host(t) {
		t.Errorf("both listen at %s", a.host(t))
	}
	if a.env["VAULT_TOKEN"] == b.env["VAULT_TOKEN"] {
		t.Error("both have the same root token")
	}
}
