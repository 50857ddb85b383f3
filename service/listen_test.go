package service

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

// Without a certificate the service listens only on this machine.
func TestCleartext(t *testing.T) {
	for address, want := range map[string]nebula.Kind{
		"0.0.0.0:0":           nebula.ErrInvalidConfig,
		":0":                  nebula.ErrInvalidConfig,
		"[::]:0":              nebula.ErrInvalidConfig,
		"192.0.2.1:8200":      nebula.ErrInvalidConfig,
		"[::ffff:10.0.0.1]:0": nebula.ErrInvalidConfig,
		"8200":                nebula.ErrUsage,
		"unix:serve.sock":     nebula.ErrUsage,
		"http://127.0.0.1:80": nebula.ErrUsage,
	} {
		l, err := Listen(t.Context(), address, nil)
		if nebula.KindOf(err) != want {
			t.Errorf("%s: %v", address, err)
		}
		if err == nil {
			_ = l.Close()
		}
	}
	for _, address := range []string{"127.0.0.1:0", "127.1.2.3:0", "localhost:0"} {
		l, err := Listen(t.Context(), address, nil)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if l.Reach() != "every user of this machine" || !strings.HasPrefix(l.URL(), "http://127.") {
			t.Errorf("%s: %s, %s", address, l.URL(), l.Reach())
		}
		_ = l.Close()
	}
}

// A socket from another process is not used, and the error says so.
func TestSocketOfASupervisor(t *testing.T) {
	t.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
	l, err := Listen(t.Context(), loopback, nil)
	if nebula.KindOf(err) != nebula.ErrNotSupported {
		t.Errorf("got %v, %v", l, err)
	}
}

func TestExposed(t *testing.T) {
	certificate, _ := certified(t)
	l, err := Listen(t.Context(), "0.0.0.0:0", certificate)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Reach() != "every machine that can reach this one" || !strings.HasPrefix(l.URL(), "https://") {
		t.Errorf("%s, %s", l.URL(), l.Reach())
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	want := []string{"nebula:" + port, "nebula:443", "other:8443"}
	if got, err := l.Hosts([]string{"nebula", "other:8443"}); err != nil || !slices.Equal(got, want) {
		t.Errorf("its names are %v, not %v; %v", got, want, err)
	}
	if got, err := l.Hosts(nil); nebula.KindOf(err) != nebula.ErrInvalidConfig {
		t.Errorf("without a name its names are %v, %v", got, err)
	}
}

func TestTaken(t *testing.T) {
	l, err := Listen(t.Context(), loopback, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := strings.TrimPrefix(l.Addr().String(), "127.0.0.1")
	want := []string{"127.0.0.1" + port, "localhost" + port, "nebula" + port, "nebula:80"}
	if got, err := l.Hosts([]string{"nebula"}); err != nil || !slices.Equal(got, want) {
		t.Errorf("its names are %v, not %v; %v", got, want, err)
	}
	_, err = Listen(t.Context(), l.Addr().String(), nil)
	if nebula.KindOf(err) != nebula.ErrAlreadyExists {
		t.Errorf("a second listener at the address: %v", err)
	}
}
