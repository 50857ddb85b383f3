//go:build unix

package endpoint

import "testing"

func TestParseUnix(t *testing.T) {
	const text = "unix:/run/nebula/serve.sock"
	e, err := Parse(text)
	if err != nil || e != Unix("/run/nebula/serve.sock") || e.String() != text || !e.IsUnix() || e.IsEverywhere() {
		t.Errorf("%+v, %v", e, err)
	}
}
