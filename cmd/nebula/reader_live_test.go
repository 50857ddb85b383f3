//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// reader runs docs/reader.py on exports of real stores.
type reader struct {
	*document
	python, script string
}

func newReader(t *testing.T) *reader {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("..", "..", "docs", "reader.py"))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{newDocument(t, "format.md"), livetest.Python(t), script}
	if err := os.Mkdir(r.home("ada"), 0o700); err != nil {
		t.Fatal(err)
	}
	return r
}

// must runs a command that must succeed, and returns its output.
func (r *reader) must(command string) string {
	r.t.Helper()
	text, err := r.run("ada", command)
	if err != nil {
		r.t.Fatalf("%s: %v: %s", command, err, text)
	}
	return text
}

// read runs the reader.
func (r *reader) read(args ...string) (stdout, stderr string, code int) {
	r.t.Helper()
	cmd := exec.Command(r.python, append([]string{"-I", r.script}, args...)...)
	cmd.Dir = r.home("ada")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// values returns the reader's output for each credential.
func (r *reader) values(args ...string) map[string]string {
	r.t.Helper()
	stdout, stderr, code := r.read(args...)
	if code != 0 || stderr != "" {
		r.t.Fatalf("%v: exit code %d: %s", args, code, stderr)
	}
	all := make(map[string]string)
	for line := range strings.Lines(stdout) {
		var c struct {
			ID, Value, Encoding string
			Metadata            metadataJSON
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			r.t.Fatalf("%v: %s", err, line)
		}
		all[c.ID] = fmt.Sprintf("%q %s %+v %+v", c.Value, c.Encoding, c.Metadata.Tags, c.Metadata.RotationPolicy)
	}
	return all
}

// fill makes credentials with every kind of value and metadata.
func (r *reader) fill() {
	r.t.Helper()
	for _, command := range []string{
		`printf 'v\303\274lue\n' | nebula put text --tag env=prod --tag 'owner=Zoë "Z" \'`,
		`printf '\377\000' | nebula put bytes --rotation-days 90`,
		`printf '' | nebula put empty --allow-empty`,
		`head -c 100000 /dev/zero | nebula put large`,
	} {
		r.must(command)
	}
}

func (r *reader) wantFilled(args ...string) {
	r.t.Helper()
	all := r.values(args...)
	for id, want := range map[string]string{
		"text":  `"vülue\n" utf8 map[env:prod owner:Zoë "Z" \] <nil>`,
		"bytes": `"/wA=" base64 map[] `,
		"empty": `"" utf8 map[] <nil>`,
	} {
		if got := all[id]; !strings.HasPrefix(got, want) {
			r.t.Errorf("%v: %s is %s, want %s", args, id, got, want)
		}
	}
	if len(all) != 4 || len(all["large"]) < 100_000 {
		r.t.Errorf("%v: %d credentials", args, len(all))
	}
}

// A key file, and passphrases with both ways of deriving a key, open an export without
// nebula.
func TestLiveReader(t *testing.T) {
	r := newReader(t)
	r.write("ada", "pass", "correct horse bätt\u0065\u0301ry\n") // decomposed; the passphrase is normalised to NFC
	r.write("ada", "pass2", "another long passphrase")
	r.must("nebula init --key-file key")
	r.env["NEBULA_KEY_FILE"] = filepath.Join(r.home("ada"), "key")
	r.fill()
	r.must("NEBULA_NEW_PASSPHRASE_FILE=pass nebula key add --passphrase")
	r.must("NEBULA_NEW_PASSPHRASE_FILE=pass2 nebula key add --passphrase --kdf pbkdf2-sha256")
	r.must("nebula export --out backup")
	r.wantFilled("backup", "--key-file", "key")
	r.wantFilled("backup", "--passphrase-file", "pass")
	r.wantFilled("backup", "--passphrase-file", "pass2")
	if stdout, stderr, code := r.read("backup", "bytes", "--key-file", "key"); stdout != "\xff\x00" || stderr != "" || code != 0 {
		t.Errorf("%q, %s, %d", stdout, stderr, code)
	}

	// After a rotation, old records are opened with the retired key.
	old := r.lines("backup")
	r.env["NEBULA_PASSPHRASE_FILE"] = filepath.Join(r.home("ada"), "pass")
	r.must("nebula key remove " + r.slotOf("pbkdf2-sha256"))
	r.must("nebula key rotate --yes")
	r.must("nebula export --out rotated")
	r.wantFilled("rotated", "--key-file", "key")
	mixed := r.lines("rotated")
	mixed[2], mixed[3] = old[2], old[3]
	r.save("mixed", mixed)
	r.wantFilled("mixed", "--key-file", "key")

	r.refuses("the export has no 'nothing'", "backup", "nothing", "--key-file", "key")
	r.refuses("nothing at hand opens the keyring", "rotated", "--passphrase-file", "pass2")
	r.refuses("no key file", "backup", "--key-file", "pass")
	r.refuses("No such file", "absent", "--key-file", "key")
}

// The reader prints the values of the vectors, and for wrong vectors no other values.
func TestLiveReaderOnVectors(t *testing.T) {
	r := newReader(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "format", "exports.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var right map[string]string // the values of the first vector
	read := 0
	for line := range bytes.Lines(text) {
		var v struct {
			Name, Expect string
			Export       []byte `json:"export_b64"`
			KeyFile      string `json:"key_file"`
			Values       map[string]string
			Failed       map[string]string
		}
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		if right == nil {
			right = v.Values
			r.write("ada", "key", v.KeyFile)
		}
		r.write("ada", "vector", string(v.Export))
		stdout, stderr, code := r.read("vector", "--key-file", "key")
		got := make(map[string]string)
		for line := range strings.Lines(stdout) {
			var c struct{ ID, Value, Encoding string }
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatal(err)
			}
			value := []byte(c.Value)
			if c.Encoding == "base64" {
				if value, err = base64.StdEncoding.DecodeString(c.Value); err != nil {
					t.Fatal(err)
				}
			}
			got[c.ID] = fmt.Sprintf("%x", value)
		}
		switch {
		case strings.Contains(stderr, "Traceback"):
			t.Errorf("%s: %s", v.Name, stderr)
		case v.Expect != "ok":
			for id, value := range got {
				if right[id] != value {
					t.Errorf("%s: %s is %s", v.Name, id, value)
				}
			}
		case !maps.Equal(got, v.Values) || (code != 0) != (len(v.Failed) > 0) || strings.Count(stderr, "\n") != len(v.Failed):
			t.Errorf("%s: %v, exit code %d, %s", v.Name, got, code, stderr)
		default:
			read++
		}
	}
	if read < 5 {
		t.Errorf("only %d vectors were read", read)
	}
}

func (r *reader) slotOf(kind string) string {
	r.t.Helper()
	for _, slot := range r.keyring("ada").Slots {
		if slot.Kind == kind {
			return slot.ID
		}
	}
	r.t.Fatal("no slot of " + kind)
	return ""
}

// lines returns the lines of an export, without its end mark.
func (r *reader) lines(name string) [][]byte {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.home("ada"), name))
	if err != nil {
		r.t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	return lines[:len(lines)-2]
}

// save writes an export with a valid end mark.
func (r *reader) save(name string, lines [][]byte) {
	r.t.Helper()
	text := bytes.Join(lines, nil)
	r.write("ada", name, fmt.Sprintf("%s{\"records\":%d,\"sha256\":\"%x\"}\n", text, len(lines)-2, sha256.Sum256(text)))
}

// refuses checks that the reader fails with one line that says why.
func (r *reader) refuses(want string, args ...string) {
	r.t.Helper()
	stdout, stderr, code := r.read(args...)
	if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "reader.py: ") || !strings.Contains(stderr, want) {
		r.t.Errorf("%v: exit code %d, %q, %q, want %q", args, code, stdout, stderr, want)
	}
}

// Whatever the file holds, the reader ends with one line that says why.
func TestLiveReaderRefusesHostileFiles(t *testing.T) {
	r := newReader(t)
	r.must("nebula init --key-file key")
	r.env["NEBULA_KEY_FILE"] = filepath.Join(r.home("ada"), "key")
	r.must("printf one | nebula put a --tag k=v")
	r.must("printf two | nebula put b")
	r.must("nebula export --out backup")
	lines := r.lines("backup")
	whole, err := os.ReadFile(filepath.Join(r.home("ada"), "backup"))
	if err != nil {
		t.Fatal(err)
	}
	file := func(want, text string, args ...string) {
		t.Helper()
		r.write("ada", "hostile", text)
		r.refuses(want, append([]string{"hostile", "--key-file", "key"}, args...)...)
	}
	for end := range 5 {
		file("cut off", string(bytes.Join(lines[:min(end, 4)], nil)))
	}
	file("line 5 of the export is damaged", string(whole[:len(whole)-1]))
	file("line 3 of the export is damaged", string(whole[:len(lines[0])+len(lines[1])+100]))
	file("its end mark does not fit", strings.Replace(string(whole), `"sha256":"`, `"sha256":"0`, 1))
	file("its end mark does not fit", string(whole)+"\n")
	file("its end mark does not fit", strings.Replace(string(whole), `"id":"a"`, `"id":"A"`, 1))
	file("line 1 of the export is damaged", "GITHUB_TOKEN=x\n")
	file("line 1 of the export is damaged", strings.Repeat("[", 100_000)+"\n")
	file("line 1 of the export is damaged", "1\n")
	file("line 1 of the export is damaged", "\xff\n")
	file("of another version", `{"nebula_export":2}`+"\n")

	edited := func(want string, line int, edit func([]byte) []byte, args ...string) {
		t.Helper()
		changed := slices.Clone(lines)
		changed[line] = edit(bytes.Clone(changed[line]))
		r.save("edited", changed)
		r.refuses(want, append([]string{"edited", "--key-file", "key"}, args...)...)
	}
	swap := func(old, new string) func([]byte) []byte {
		return func(line []byte) []byte {
			if !bytes.Contains(line, []byte(old)) {
				t.Fatalf("no %s in %s", old, line)
			}
			return bytes.Replace(line, []byte(old), []byte(new), 1)
		}
	}
	// inside changes the record within a line.
	inside := func(member, old, new string) func([]byte) []byte {
		return func(line []byte) []byte {
			var entry map[string]string
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatal(err)
			}
			record, err := base64.StdEncoding.DecodeString(entry[member])
			if err != nil {
				t.Fatal(err)
			}
			return swap(entry[member], base64.StdEncoding.EncodeToString(swap(old, new)(record)))(line)
		}
	}
	edited("'A': the record was damaged, edited or swapped", 2, swap(`"id":"a"`, `"id":"A"`), "A")
	edited("'b': the record was damaged, edited or swapped", 3, func([]byte) []byte { return swap(`"id":"a"`, `"id":"b"`)(bytes.Clone(lines[2])) }, "b")
	for _, c := range [][2]string{
		{`"k":"v"`, `"k":"w"`}, {`"tags":{`, `"scope":"x","tags":{`}, {`"tags":{`, `"scope":null,"tags":{`}, {`"tags":{`, `"other":1,"tags":{`},
		{`"tags"`, `"tagz"`}, {`{"k":"v"}`, `5`}, {`{"k":"v"`, `{"k":"v","k":"v"`}, {`{"k":"v"`, `{ "k":"v"`},
		{`"tags":{`, `"rotation_policy":{"interval_days":-1},"tags":{`}, {`"tags":{`, `"rotation_policy":{},"tags":{`},
		{`"nonce":"`, `"nonce":"=`}, {`"version":1`, `"version":[]`}, {`"version":2`, `"version":1`}, {`"tag":"`, `"tag":"AAAA`}, {`"salt":"`, `"salt":"\ud800`},
	} {
		edited("'a': the record", 2, inside("record", c[0], c[1]), "a")
	}
	for _, c := range [][2]string{
		{`"kind":"key-file"`, `"kind":"argon2id"`}, {`"m":0`, `"m":1`}, {`"slots":[`, `"slots":[{}`}, {`"slots_sha256":"`, `"slots_sha256":"A`},
		{`"slots"`, `"stols"`}, {`"commitment":"`, `"commitment":"AAAA`}, {`{"version":1`, `{"version":1,"version":1`}, {`"encrypted_data":{`, `"encrypted_data":[{`},
	} {
		edited("the keyring", 1, inside("keyring", c[0], c[1]))
	}
	edited("line 2 of the export is damaged", 1, swap(`{"keyring"`, `{"kexring"`))
	edited("line 4 of the export is damaged", 3, swap(`"id":"b"`, `"id":"a"`))
	edited("line 3 of the export is damaged", 2, swap(`"id":"a"`, `"id":["a"]`))
}
