package livetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// SecretService is a gnome-keyring on a bus of its own, with an empty home.
type SecretService struct {
	Address string // of the bus
	env     []string
	daemon  string
	stop    func()
}

// NewSecretService starts a service for the test, unlocked. It uses the programs in
// PATH, or those from Debian's packages that scripts/test unpacks in the servers'
// cache.
func NewSecretService(t testing.TB) *SecretService {
	t.Helper()
	daemon, env, err := findKeyring()
	check(t, err)
	bus, err := exec.LookPath("dbus-daemon")
	if err != nil {
		check(t, fmt.Errorf("%w: there is no dbus-daemon (Debian: apt-get install dbus)", errNoServer))
	}
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"} {
		env = append(env, name+"="+home)
	}
	s := &SecretService{env: env, daemon: daemon}
	// The path of a socket may have at most 107 bytes.
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.Address = "unix:path=" + filepath.Join(dir, "bus")
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, []byte(busConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(t, "", bus, "--config-file="+config, "--nofork", "--nopidfile", "--address="+s.Address)
	s.env = append(s.env, "DBUS_SESSION_BUS_ADDRESS="+s.Address)
	s.start(t, "--unlock")
	return s
}

// busConfig is the configuration of a session's bus that starts no services.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`

// start starts the service and returns when it answers.
func (s *SecretService) start(t testing.TB, args ...string) {
	t.Helper()
	args = append([]string{"--foreground", "--components=secrets"}, args...)
	s.stop = s.run(t, "the password of the login keyring", s.daemon, args...)
	s.await(t, true)
}

// Stop ends the service. The bus stays.
func (s *SecretService) Stop(t testing.TB) {
	t.Helper()
	s.stop()
	s.await(t, false)
}

// RestartLocked ends the service and starts it again. Its keyring is then locked, and
// there is nobody to ask for the password.
func (s *SecretService) RestartLocked(t testing.TB) {
	t.Helper()
	s.Stop(t)
	s.start(t)
}

// run starts a program, which ends when stop is called, or when this process ends: a
// shell waits for the end of its own input and then ends the program.
func (s *SecretService) run(t testing.TB, input, program string, args ...string) (stop func()) {
	t.Helper()
	const script = `"$@" <&3 3<&- >&2 & program=$!
		read -r ended; kill "$program" 2>/dev/null; wait`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh", program}, args...)...)
	cmd.Env = s.env
	log := &strings.Builder{}
	cmd.Stderr = log
	given, err := os.CreateTemp(t.TempDir(), "")
	if err == nil {
		_, err = given.WriteString(input)
	}
	if err == nil {
		_, err = given.Seek(0, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	cmd.ExtraFiles = []*os.File{given}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", filepath.Base(program), log)
		}
	})
	t.Cleanup(stop)
	return stop
}

// await waits until the service is on the bus, or until it is not.
func (s *SecretService) await(t testing.TB, there bool) {
	t.Helper()
	var last error
	for range 300 {
		owned, err := s.owned()
		if err == nil && owned == there {
			return
		}
		last = err
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the Secret Service did not appear, or did not go: %v", last)
}

func (s *SecretService) owned() (owned bool, err error) {
	conn, err := dbus.Connect(s.Address)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	err = conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, "org.freedesktop.secrets").Store(&owned)
	return owned, err
}

// findKeyring returns the daemon and the environment that it needs.
func findKeyring() (daemon string, env []string, err error) {
	path := "PATH=" + os.Getenv("PATH")
	if daemon, err := exec.LookPath("gnome-keyring-daemon"); err == nil {
		return daemon, []string{path}, nil
	}
	dir, err := cacheDir()
	if err != nil {
		return "", nil, err
	}
	root := filepath.Join(dir, "gnome-keyring", "usr")
	daemon = filepath.Join(root, "bin", "gnome-keyring-daemon")
	if _, err := os.Stat(daemon); err != nil {
		return "", nil, fmt.Errorf("%w: there is no gnome-keyring-daemon (Debian: apt-get install gnome-keyring, or scripts/test live)", errNoServer)
	}
	libraries, err := filepath.Glob(filepath.Join(root, "lib", "*", "libgck-1.so.*"))
	if err != nil || len(libraries) == 0 {
		return "", nil, errors.New("gnome-keyring is unpacked without its libraries")
	}
	return daemon, []string{path, "LD_LIBRARY_PATH=" + filepath.Dir(libraries[0])}, nil
}
