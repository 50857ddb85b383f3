package keychain

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// If there is no bus, none is started. The client library alone would run dbus-launch.
func TestNoProgramIsStartedForABus(t *testing.T) {
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	script := "#!/bin/sh\necho x > " + started + "\n"
	if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("XDG_RUNTIME_DIR", dir)
	for _, address := range []string{"", "autolaunch:", "unixexec:path=dbus-launch", "tcp:host=localhost,port=1", "unix:path=" + dir + "/none", "unix:path=/x;tcp:host=localhost,port=1"} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		_, err := systemStore().get(t.Context(), "abcdefgh")
		wantKind(t, err, nebula.ErrUnavailable)
	}
	if _, err := os.Stat(started); err == nil {
		t.Error("dbus-launch was started")
	}
}

func TestBusOfTheRuntimeDirectory(t *testing.T) {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", dir)
	if err := os.WriteFile(filepath.Join(dir, "bus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if address, err := sessionBus(); err == nil {
		t.Errorf("a file counts as a bus: %s", address)
	}
	if err := os.Remove(filepath.Join(dir, "bus")); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address, err := sessionBus()
	if err != nil || !strings.HasPrefix(address, "unix:path=/") || !strings.HasSuffix(address, "/bus") {
		t.Errorf("the bus is %q, %v", address, err)
	}
}
