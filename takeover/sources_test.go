package takeover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// told writes secrets and their errors in one line.
func told(secrets []Secret, err error) string {
	if err != nil {
		return "!" + err.Error()
	}
	var parts []string
	for _, s := range secrets {
		text := s.Name + "=" + string(s.Value)
		if s.Note != "" {
			text += " (" + s.Note + ")"
		}
		if s.Err != nil {
			text = s.Name + "!" + string(nebula.KindOf(s.Err))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func TestIsStream(t *testing.T) {
	for text, want := range map[string]bool{
		"a: b\n": false, "---\na: b\n": false, "# x\n%YAML 1.2\n---\na: b\n...\n": false, "--- {a: b}\n": false, "a: |\n  ---\n": false, "a: ---b\n": false, "": false,
		"a: b\n---\nc: d\n": true, "---\na: b\n---\n": true, "a: b\r\n---\r\nc: d\r\n": true, "--- {a: b}\n--- {c: d}\n": true, "a: b\n--- # c\nd: e": true,
	} {
		if got := isStream([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// The text of a scalar is its value, whatever YAML would turn it into.
func TestYAML(t *testing.T) {
	for text, want := range map[string]string{
		"a: 0123\nb: 1.10\nc: yes\nd: 2026-11-28\ne: 'x y'\nf: \"\"\n": "a=0123 b=1.10 c=yes d=2026-11-28 e=x y f=",
		"a: |\n  two\n  lines\nb: >\n  fold\n  ed\n":                   "a=two\nlines\n b=fold ed\n",
		"x: {b: 1, a: [u, {v: w}]}\n":                                  "x/a/0=u x/a/1/v=w x/b=1",
		"d: &d {u: 1}\ne: *d\n":                                        "d/u=1 e/u=1",
		"1: one\n":                                                     "1=one",
		"a: null\nb: ~\nc:\nd: x\n":                                    "!import: the source has members that cannot be taken:\n\"a\" is null\n\"b\" is null\n\"c\" is null",
		"a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61\n":             "!import: the source has members that cannot be taken:\n\"a\" is encrypted once more, by itself",
		"a/b: 1\na: {b: 2}\n":                                          "!import: the source has members that cannot be taken:\n\"a/b\" is there twice",
		"":                                                             "no", "text": "no", "- a\n": "no", "a: b\na: c\n": "no", "a: b\n---\nc: d\n": "no", "a: [\n": "no", "-----BEGIN KEY-----\nabc\n": "no",
	} {
		v, isMapping := parseYAML([]byte(text))
		got := "no"
		if isMapping {
			got = told(v.members(true))
		}
		if !strings.HasPrefix(got, want) || want == "no" && got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	v, _ := parseYAML([]byte("a: {b: c}\n"))
	if _, err := v.members(false); !errors.Is(err, nebula.ErrUsage) || !strings.Contains(err.Error(), `"a" is an object or a list`) {
		t.Error(err)
	}
}

// backend is a backend in memory.
type backend map[string]provider.Foreign

func (b backend) ForeignNames(context.Context, string) ([]string, error) {
	return slices.Collect(maps.Keys(b)), nil
}

func (b backend) Foreign(_ context.Context, name string) (provider.Foreign, error) {
	switch f := b[name]; f.Note {
	case "down":
		return f, &nebula.Error{Kind: nebula.ErrUnavailable, Message: "down"}
	case "denied":
		return f, &nebula.Error{Kind: nebula.ErrPermissionDenied, Message: "denied", Hint: "ask"}
	case "gone":
		return f, provider.NotFound()
	default:
		return f, nil
	}
}

func TestBackend(t *testing.T) {
	record := []byte(`{"version":1,"encrypted_data":{"version":2}}`)
	b := backend{
		"text": {Value: []byte("t")}, "object": {Value: []byte(` {"u":"1","n":{"p":2},"b":{"base64":"/w=="}}`)}, "null": {Value: []byte(`{"a":null}`)}, "list": {Value: []byte(`[1]`)},
		"keys": {Keys: map[string][]byte{"k": {0xff}, "j": []byte("v")}}, "none": {Keys: map[string][]byte{}}, "empty": {},
		"r1": {Value: record}, "r2": {Keys: map[string][]byte{"record": record}}, "r3": {Value: []byte(`{"record":"{\"version\":1,\"encrypted_data\":{}}"}`)},
		"d": {Note: "denied"}, "g": {Note: "gone"},
	}
	found, err := Backend(t.Context(), b, "", BackendOptions{Fields: true})
	if got, want := told(found.Secrets, err), `d!permission_denied empty= keys/j=v keys/k=`+"\xff"+` list=[1] null!usage object/u=1 object/n/p=2 object/b/base64=/w== text=t`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if len(found.Notes) != 2 || found.Notes[0] != "3 are records of a store, and are left out" || found.Notes[1] != "1 are deleted, and are left out" {
		t.Error(found.Notes)
	}
	for _, s := range found.Secrets {
		if s.Name == "d" && !strings.Contains(s.Err.Error(), `"d": denied`) {
			t.Error(s.Err)
		}
	}
	found, err = Backend(t.Context(), b, "", BackendOptions{})
	if got, want := told(found.Secrets, err), `d!permission_denied empty= keys={"j":"v","k":{"base64":"/w=="}} list=[1] none={} null={"a":null} object= {"u":"1","n":{"p":2},"b":{"base64":"/w=="}} text=t`; got != want {
		t.Errorf("%q, want %q", got, want)
	}

	// If the backend rounds numbers, a note says which.
	b = backend{"n": {Value: []byte(`{"a":"1","b":2,"c":{"d":3e5}}`)}}
	const rounds = "Vault keeps numbers in 53 bits, and may have changed "
	for fields, want := range map[bool]string{true: "n/a=1 n/b=2 (" + rounds + "this one) n/c/d=3e5 (" + rounds + "this one)",
		false: `n={"a":"1","b":2,"c":{"d":3e5}} (` + rounds + "b, c/d)"} {
		found, err := Vault(t.Context(), b, "", BackendOptions{Fields: fields})
		if got := told(found.Secrets, err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}

	// A backend that keeps failing ends the import.
	b = backend{}
	for i := range 100 {
		b[fmt.Sprint(i)] = provider.Foreign{Note: "down"}
	}
	if found, err := Backend(t.Context(), b, "", BackendOptions{}); nebula.KindOf(err) != nebula.ErrUnavailable {
		t.Errorf("%d, %v", len(found.Secrets), err)
	}
}

// A secret that cannot be read fails, and its name is not an error.
func TestUnreadInAPlan(t *testing.T) {
	p := NewPlan([]Secret{unread("a", errLink()), {Name: "b"}, unread("left", errLink())}, Naming{Map: map[string]string{"left": ""}})
	if err := p.NameError(); err != nil || p.Items[0].State != Failed || p.Items[0].ID != "a" || p.Items[1].State != New || p.Items[2].State != LeftOut {
		t.Errorf("%+v, %v", p.Items, err)
	}
}

// script puts a program into PATH.
func script(t *testing.T, name, text string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("this test needs a shell script")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// A program gets its arguments unchanged, and nothing that opens a store. Its messages go
// to the person, and into no error.
func TestPrograms(t *testing.T) {
	script(t, "sops", `
		for a; do printf '<%s>' "$a" >&2; done
		printf '[%s]' "$NEBULA_PASSPHRASE$NEBULA_KEY" >&2
		case $* in *fail*) echo s3cret; echo s3cret >&2; exit 3;; *flood*) exec yes;; esac
		echo '{"a":"b"}'`)
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"-x $(id).yaml", "fail.yaml", "flood.yaml", "blob"} {
		if err := os.WriteFile(name, []byte("a: b\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	p := Programs{Environ: append(os.Environ(), "NEBULA_PASSPHRASE=open", "NEBULA_KEY=open"), Stderr: &said}
	found, err := Sops(t.Context(), "-x $(id).yaml", false, false, p)
	if got := told(found.Secrets, err); got != "a=b" || said.String() != "<decrypt><--output-type><json><./-x $(id).yaml>[]" {
		t.Errorf("%q, %q", got, said.String())
	}
	found, err = Sops(t.Context(), "blob", false, false, p)
	if got := told(found.Secrets, err); got != "blob={\"a\":\"b\"}\n" {
		t.Errorf("%q", got)
	}
	_, err = Sops(t.Context(), "fail.yaml", false, false, p)
	if nebula.KindOf(err) != nebula.ErrDecryptionFailed || strings.Contains(fmt.Sprintf("%+v", err), "s3cret") || !strings.Contains(said.String(), "s3cret") {
		t.Error(err)
	}
	if _, err = Sops(t.Context(), "flood.yaml", false, false, p); nebula.KindOf(err) != nebula.ErrTooLarge {
		t.Error(err)
	}
	if _, err = Sops(t.Context(), "nothing.yaml", false, false, p); nebula.KindOf(err) != nebula.ErrUsage || !strings.Contains(err.Error(), "nothing.yaml: no such file") {
		t.Error(err)
	}
	t.Setenv("PATH", dir)
	if _, err = Sops(t.Context(), "fail.yaml", false, false, p); nebula.KindOf(err) != nebula.ErrUsage || !strings.Contains(err.Error(), "sops is not in PATH") {
		t.Error(err)
	}
}

// In the directory of pass, a hidden file is not a password, and links to directories are
// not followed.
func TestPassNames(t *testing.T) {
	script(t, "pass", `printf '%s %s %s\nmore\n' "$1" "$2" "$3"; printf '%s' "$PASSWORD_STORE_DIR" >&2; [ "$3" != web/bad ]`)
	dir := t.TempDir()
	for _, name := range []string{"a.gpg", "web/bad.gpg", "web/-x.gpg", ".git/b.gpg", ".gpg-id", "README"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700), os.WriteFile(filepath.Join(dir, name), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	found, err := Pass(t.Context(), dir, false, Programs{Stderr: &said, Environ: []string{"PASSWORD_STORE_DIR=/elsewhere"}}, nil)
	if got, want := told(found.Secrets, err), "loop!not_supported a=show -- a web/-x=show -- web/-x web/bad!decryption_failed"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if len(found.Notes) != 1 || !strings.HasPrefix(found.Notes[0], "2 have more than one line") || strings.Contains(said.String(), "elsewhere") {
		t.Errorf("%q, %q", found.Notes, said.String())
	}
	if _, err := Pass(t.Context(), t.TempDir(), false, Programs{}, nil); nebula.KindOf(err) != nebula.ErrUsage {
		t.Error(err)
	}
	if _, err := Pass(t.Context(), filepath.Join(dir, "nothing"), false, Programs{}, nil); nebula.KindOf(err) != nebula.ErrUsage || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}
