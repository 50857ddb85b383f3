package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
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

// The test binary is the command as well, because only another process can see what a
// killed one leaves behind.
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

// running is an `up` that is ready.
type running struct {
	cmd   *exec.Cmd
	stdin io.Closer
	env   map[string]string
}

// addresses names the variable that holds each server's address.
var addresses = map[string]string{
	"vault": "VAULT_ADDR", "kubernetes": "NEBULA_TEST_KUBERNETES_ADDR", "aws": "NEBULA_TEST_AWS_ENDPOINT", "azure": "HTTPS_PROXY",
}

// secrets names the variable that holds the secret of each server's clients. moto accepts
// any.
var secrets = map[string]string{
	"vault": "NEBULA_TEST_VAULT_TOKEN", "kubernetes": "NEBULA_TEST_KUBERNETES_TOKEN", "azure": "AZURE_CLIENT_SECRET",
}

func forEachServer(t *testing.T, test func(t *testing.T, server string)) {
	for _, name := range names(servers()) {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

// startUp starts servers by name, or all of them. If one is not built, it skips the test:
// building takes minutes.
func startUp(t *testing.T, names ...string) *running {
	t.Helper()
	if out, err := command(append([]string{"where"}, names...)...).CombinedOutput(); err != nil {
		if os.Getenv("NEBULA_REQUIRE_LIVE") != "1" {
			t.Skipf("%s", out)
		}
		t.Fatalf("%s", out)
	}
	cmd := command(append([]string{"up"}, names...)...)
	cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir()) // if it is killed, its folder stays
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
	t.Fatal("up ended before it was ready")
	return nil
}

func (r *running) host(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(r.env[addresses[server]])
	if err != nil || u.Host == "" {
		t.Fatalf("%s is %q, %v", addresses[server], r.env[addresses[server]], err)
	}
	return u.Host
}

// gone waits until nothing listens any more.
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

func TestLiveUpVaultAnswers(t *testing.T) {
	r := startUp(t, "vault")
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

// The kubeconfig alone is enough to read the namespace "default".
func TestLiveUpKubernetesAnswers(t *testing.T) {
	r := startUp(t, "kubernetes")
	data, err := os.ReadFile(r.env["KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     string `json:"certificate-authority"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Certificate string `json:"client-certificate"`
				Key         string `json:"client-key"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := json.Unmarshal(data, &config); err != nil || len(config.Clusters) != 1 || len(config.Users) != 1 {
		t.Fatalf("the kubeconfig is %s, %v", data, err)
	}
	cluster, user := config.Clusters[0].Cluster, config.Users[0].User
	pair, err := tls.LoadX509KeyPair(user.Certificate, user.Key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(cluster.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}}
	response, err := client.Get(cluster.Server + "/api/v1/namespaces/default")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the namespace: %s", response.Status)
	}
	if r.env["NEBULA_TEST_KUBERNETES_ADDR"] != cluster.Server || r.env["NEBULA_TEST_KUBERNETES_TOKEN"] == "" ||
		r.env["NEBULA_TEST_KUBERNETES_CACERT"] != cluster.CA {
		t.Errorf("the live tests would not use this server: %v", r.env)
	}
}

func TestLiveUpAWSAnswers(t *testing.T) {
	r := startUp(t, "aws")
	endpoint := r.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"]
	request, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "secretsmanager.ListSecrets")
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+r.env["AWS_ACCESS_KEY_ID"]+"/20260101/"+r.env["AWS_REGION"]+
		"/secretsmanager/aws4_request, SignedHeaders=host, Signature=0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK || !strings.Contains(string(body), `"SecretList": []`) {
		t.Errorf("the list: %s %s", response.Status, body)
	}
	// Unless these are set, the user's own profile and files would count.
	for _, name := range []string{"AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_SESSION_TOKEN"} {
		if value, ok := r.env[name]; !ok || value != "" && value != os.DevNull {
			t.Errorf("%s is %q, set: %v", name, value, ok)
		}
	}
}

func TestLiveUpEndsWithItsInput(t *testing.T) {
	forEachServer(t, func(t *testing.T, server string) {
		r := startUp(t, server)
		host := r.host(t, server)
		_ = r.stdin.Close()
		if err := r.cmd.Wait(); err != nil {
			t.Errorf("up ended with %v", err)
		}
		if conn, err := net.Dial("tcp", host); err == nil {
			_ = conn.Close()
			t.Error("up has ended, and the server still listens")
		}
	})
}

// Without a name, up starts all servers, and it ends all.
func TestLiveUpEndsWhenInterrupted(t *testing.T) {
	r := startUp(t)
	var hosts []string
	for _, server := range names(servers()) {
		hosts = append(hosts, r.host(t, server))
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Skip(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("up ended with %v", err)
	}
	for _, host := range hosts {
		gone(t, host)
	}
}

// An up that is killed cannot stop anything. The server ends by itself.
func TestLiveUpLeavesNothingWhenKilled(t *testing.T) {
	forEachServer(t, func(t *testing.T, server string) {
		r := startUp(t, server)
		host := r.host(t, server)
		if err := r.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = r.cmd.Wait()
		gone(t, host)
	})
}

func TestLiveTwoAtOnce(t *testing.T) {
	forEachServer(t, func(t *testing.T, server string) {
		a, b := startUp(t, server), startUp(t, server)
		if a.host(t, server) == b.host(t, server) {
			t.Errorf("both listen at %s", a.host(t, server))
		}
		if secret := secrets[server]; secret != "" && (a.env[secret] == "" || a.env[secret] == b.env[secret]) {
			t.Error("both have the same secret")
		}
	})
}
