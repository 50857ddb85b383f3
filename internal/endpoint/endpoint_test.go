package endpoint

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Endpoint{
		"127.0.0.1:8200": {Host: "127.0.0.1", Port: 8200},
		"[::1]:8200":     {Host: "::1", Port: 8200},
		":8200":          {Port: 8200},
		"localhost:0":    {Host: "localhost"},
	} {
		if got, err := Parse(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "8200", "localhost", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1", "::1:8200", "http://a:80", "a b:80",
		"unix:", "unix:serve.sock", "unix:/" + strings.Repeat("a", 103)} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
	for text, want := range map[string]bool{":80": true, "0.0.0.0:80": true, "[::]:80": true, "127.0.0.1:80": false, "a:80": false} {
		if e, err := Parse(text); err != nil || e.IsEverywhere() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
