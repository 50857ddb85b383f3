package plain

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula"
)

// hard returns values that are hard to write, under names that YAML may read as
// something else.
func hard() []Entry {
	return []Entry{
		{"NO", []byte("1234")}, {"Y", nil}, {"NULL", []byte("null")}, {"_1", []byte("it's \"$x\" `y` \\ <&>")},
		{"A", []byte("line\r\n\nline\n")}, {"BYTES", []byte{0xff, 0xfe, 1}}, {"U", []byte("\u2028é😀")},
	}
}

func TestJSON(t *testing.T) {
	text, err := JSON([]Entry{{"a-b", []byte("x<y")}, {"b", []byte{0xff}}})
	if want := "{\n  \"a-b\": \"x<y\",\n  \"b\": {\"base64\":\"/w==\"}\n}\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
	if text, err := JSON(nil); err != nil || string(text) != "{}\n" {
		t.Errorf("without entries: %q, %v", text, err)
	}
	text, err = JSON(hard())
	var back map[string]any
	if err := errors.Join(err, json.Unmarshal(text, &back)); err != nil {
		t.Fatal(err)
	}
	for _, e := range hard() {
		if text, ok := back[e.Name].(string); e.Name != "BYTES" && (!ok || text != string(e.Value)) {
			t.Errorf("%s: %q", e.Name, back[e.Name])
		}
	}
}

func TestShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	check := func(t interface {
		Errorf(string, ...any)
		Fatal(...any)
	}, entries []Entry) {
		text, err := Shell(entries)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			text = append(text, "printf '%s|' \"$"+e.Name+"\"\n"...)
		}
		cmd := exec.Command(sh)
		cmd.Stdin, cmd.Env = bytes.NewReader(text), []string{"LC_ALL=C"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for _, e := range entries {
			want = append(append(want, e.Value...), '|')
		}
		if !bytes.Equal(out, want) {
			t.Errorf("%q is read as %q", want, out)
		}
	}
	check(t, hard())
	rapid.Check(t, func(t *rapid.T) {
		var entries []Entry
		for _, name := range []string{"A", "B", "C"} {
			value := rapid.SliceOf(rapid.OneOf(rapid.SampledFrom([]byte("'\"\\$`\n\r !#=")), rapid.ByteRange(1, 255))).Draw(t, name)
			entries = append(entries, Entry{name, value})
		}
		check(t, entries)
	})
	if text, err := Shell([]Entry{{"A", []byte("secret\x00")}}); !errors.Is(err, nebula.ErrUsage) || text != nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestKubernetes(t *testing.T) {
	text, err := Kubernetes("app", hard())
	if err != nil {
		t.Fatal(err)
	}
	var secret struct {
		Kind     string
		Metadata struct{ Name string }
		Data     map[string][]byte
	}
	if err := yaml.Unmarshal(text, &secret); err != nil || secret.Kind != "Secret" || secret.Metadata.Name != "app" || len(secret.Data) != len(hard()) {
		t.Fatalf("%v, %+v\n%s", err, secret, text)
	}
	for _, e := range hard() {
		if !bytes.Equal(secret.Data[e.Name], e.Value) {
			t.Errorf("%s: %q", e.Name, secret.Data[e.Name])
		}
	}
	for _, name := range []string{"", "App", "a_b", "-a", "a.", strings.Repeat("a", 254)} {
		if _, err := Kubernetes(name, nil); !errors.Is(err, nebula.ErrUsage) {
			t.Errorf("%q: %v", name, err)
		}
	}
	half := Entry{"A", make([]byte, maxSecret/2)}
	if _, err := Kubernetes("a", []Entry{half, half}); err != nil {
		t.Error(err)
	}
	if _, err := Kubernetes("a", []Entry{half, half, {"B", []byte("x")}}); !errors.Is(err, nebula.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}
