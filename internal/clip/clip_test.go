//go:build unix && !darwin

package clip

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Find uses the clipboard of the session if its program is there, and otherwise says
// what is missing.
func TestFind(t *testing.T) {
	wayland, x := "WAYLAND_DISPLAY=wayland-0", "DISPLAY=:0"
	for _, c := range []struct {
		environ, programs []string
		takes, reason     string
	}{
		{[]string{wayland, x}, []string{"wl-copy", "wl-paste", "xclip"}, "wl-copy", ""},
		{[]string{wayland, x}, []string{"wl-copy", "xclip"}, "xclip", ""}, // without wl-paste it could not be cleared
		{[]string{x}, []string{"wl-copy", "wl-paste", "xclip"}, "xclip", ""},
		{[]string{wayland}, []string{"xclip"}, "", "no wl-copy"},
		{[]string{x}, []string{"wl-copy", "wl-paste"}, "", "no xclip"},
		{[]string{"DISPLAY=", "WAYLAND_DISPLAY="}, []string{"wl-copy", "wl-paste", "xclip"}, "", "no desktop session"},
	} {
		dir := t.TempDir()
		t.Setenv("PATH", dir)
		for _, name := range c.programs {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		board, err := Find(c.environ)
		var missing *Missing
		switch {
		case c.takes != "" && (err != nil || board.copies[0][0] != c.takes):
			t.Errorf("%v with %v: %+v, %v", c.environ, c.programs, board, err)
		case c.takes == "" && (!errors.As(err, &missing) || !strings.Contains(missing.Reason, c.reason)):
			t.Errorf("%v with %v: %v", c.environ, c.programs, err)
		}
	}
}

// The clipboard's programs receive no variable that opens a store.
func TestFindForgetsKeys(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if err := os.WriteFile(filepath.Join(dir, "xclip"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	board, err := Find([]string{"NEBULA_KEY=key", "DISPLAY=:0"})
	if err != nil || len(board.environ) != 1 || board.environ[0] != "DISPLAY=:0" {
		t.Errorf("%+v, %v", board, err)
	}
}

// A mark does not show the value, nor that two values are the same.
func TestMarkOf(t *testing.T) {
	one, two := MarkOf([]byte("value")), MarkOf([]byte("value"))
	if string(one.Salt) == string(two.Salt) || string(one.Sum) == string(two.Sum) || len(one.Salt) != 32 || len(one.Sum) != 32 {
		t.Errorf("%x and %x", one, two)
	}
}
