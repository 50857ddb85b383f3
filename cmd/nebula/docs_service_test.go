//go:build unix

package main

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nebula-credential/nebula/internal/testing/authority"
)

// servicePage is docs/service.md, with the service that it starts in another terminal.
type servicePage struct {
	*document
	port    string // instead of 8443
	service *server
}

func newServicePage(t *testing.T) *servicePage {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
			t.Fatal("curl is not installed")
		}
		t.Skip("curl is not installed")
	}
	home, secret := newHome(t)
	p := &servicePage{document: newDocument(t, "service.md"), port: freePort(t)}
	p.root = home
	if err := os.MkdirAll(p.home(""), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, entry := range nebulaAt(home).Env {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "XDG_") {
			p.env[name] = value
		}
	}
	p.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(home, ".local", "share", "nebula", "credentials")
	p.service = &server{t: t, home: home, token: secret}
	return p
}

// freePort returns a port on which nobody listens now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// start does what the page does in the other terminal: it ends the service that runs
// there, and starts the next one.
func (p *servicePage) start(who, command string) {
	p.t.Helper()
	if who != "service" {
		p.t.Fatalf("%s types %s", who, command)
	}
	if p.service.cmd != nil {
		p.service.stop()
	}
	args := strings.Fields(p.here(command))
	p.service = serveIn(p.t, p.service.home, p.service.token, args[2:]...)
}

func (p *servicePage) here(command string) string { return strings.ReplaceAll(command, "8443", p.port) }

// Every command of docs/service.md, in order, with the output that it shows.
func TestServicePage(t *testing.T) {
	p := newServicePage(t)
	p.write("", "ca.crt", certificateFiles(t, p.service.home))
	w := &walk{document: p.document, typed: p.start, before: func(command string) string {
		return p.here(strings.ReplaceAll(command, "cat audit.log", "cat "+filepath.Join(p.service.home, "audit.log")))
	}}
	p.text = regexp.MustCompile("(?ms)^```console\nops\\$.*?^```").ReplaceAllString(p.text, "") // TestServiceSecrets
	w.follow(34)
	p.service.stop()
	if said := p.service.said.String(); strings.Contains(said, "warning") {
		t.Errorf("it warns: %s", said)
	}
}

// certificateFiles writes tls.crt and tls.key for 127.0.0.1, and returns the authority
// that clients must trust.
func certificateFiles(t *testing.T, dir string) (ca string) {
	t.Helper()
	a, err := authority.New("test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, "tls.key": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return string(a.PEM())
}

// With the environment of the unit the service runs, tells systemd when it is ready, and
// opens its log again at a reload.
func TestServiceUnit(t *testing.T) {
	p := newServicePage(t)
	unit := p.block("ini", "[Unit]")
	dir := p.service.home
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	move := strings.NewReplacer("%d/nebula.key", filepath.Join(dir, ".config", "nebula", "key"), sampleID, keyID(t, dir),
		"/var/lib/nebula/credentials", filepath.Join(dir, ".local", "share", "nebula", "credentials"),
		"/var/lib/nebula/tokens", filepath.Join(dir, ".config", "nebula", "tokens"),
		"/var/log/nebula", filepath.Join(dir, "log"), "/run/nebula", filepath.Join(dir, "run"))
	env := []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "notify")}
	for _, m := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(unit, -1) {
		env = append(env, move.Replace(m[1]))
	}
	if len(env) != 8 {
		t.Fatalf("the environment is %v", env)
	}
	s := serveWith(t, dir, p.service.token, env)
	if got := nextNotice(t, notify); got != "READY=1" {
		t.Errorf("it notifies %q", got)
	}
	s.want(201, "PUT", "/v1/credentials/db", "v")
	log := filepath.Join(dir, "log", "audit.log")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(unit, "\nExecReload=/bin/kill -HUP $MAINPID\n") || !strings.Contains(unit, "\nType=notify\n") {
		t.Error("the unit's type or its reload command is wrong")
	}
	s.signal(syscall.SIGHUP)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(log); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the log was not opened again")
		}
	}
	s.stop()
	if got := nextNotice(t, notify); got != "STOPPING=1" {
		t.Errorf("it notifies %q", got)
	}
}

func nextNotice(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buffer := make([]byte, 100)
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func keyID(t *testing.T, home string) string {
	t.Helper()
	out, err := nebulaAt(home, "key", "list", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), `"key_id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// logrotate's configuration names the log of the unit, and makes the unit open it again.
func TestServiceRotation(t *testing.T) {
	p := newDocument(t, "service.md")
	rotate, unit := p.block("conf", "/var/log"), p.block("ini", "[Unit]")
	path, _, _ := strings.Cut(rotate, " ")
	if !strings.Contains(unit, "NEBULA_SERVE_AUDIT="+path+"\n") {
		t.Errorf("the unit writes another log than %s", path)
	}
	if !strings.Contains(rotate, "systemctl reload nebula\n") || !strings.Contains(rotate, "nocreate") {
		t.Error("the service is not reloaded, or logrotate makes its log")
	}
}
