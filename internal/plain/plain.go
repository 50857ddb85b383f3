// Package plain writes credentials in clear, in forms that other programs read.
package plain

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
)

// Entry is a credential with its name in the output.
type Entry struct {
	Name  string
	Value []byte
}

// JSON writes an object of strings, with a member in each line. A value that is
// not UTF-8 becomes {"base64":"…"}.
func JSON(entries []Entry) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{")
	for i, e := range entries {
		if i > 0 {
			b.WriteString(",")
		}
		var value any = string(e.Value)
		if !utf8.Valid(e.Value) {
			value = map[string][]byte{"base64": e.Value}
		}
		name, err := quoted(e.Name)
		if err != nil {
			return nil, err
		}
		text, err := quoted(value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "\n  %s: %s", name, text)
	}
	if len(entries) > 0 {
		b.WriteString("\n")
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

func quoted(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(b.Bytes()), err
}

// Shell writes a line for each entry, which a POSIX shell can read, whatever
// bytes the value has. It refuses values with a NUL, which no variable can hold.
func Shell(entries []Entry) ([]byte, error) {
	var b bytes.Buffer
	var bad []string
	for _, e := range entries {
		if bytes.IndexByte(e.Value, 0) >= 0 {
			bad = append(bad, e.Name)
		}
		fmt.Fprintf(&b, "export %s='%s'\n", e.Name, bytes.ReplaceAll(e.Value, []byte("'"), []byte(`'\''`)))
	}
	if len(bad) > 0 {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Message: "a value has a NUL, which no variable holds: " + strings.Join(bad, ", "),
			Hint: "choose --format json, or leave them out"}
	}
	return b.Bytes(), nil
}

// maxSecret is how many bytes the values of a Secret of Kubernetes may have
// together (corev1.MaxSecretSize).
const maxSecret = 1 << 20

// Kubernetes writes the manifest of a Secret, in YAML that every parser reads
// alike: names such as NO, and numbers, are quoted.
func Kubernetes(name string, entries []Entry) ([]byte, error) {
	subdomain := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	if len(name) > 253 || !subdomain.MatchString(name) {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Message: fmt.Sprintf("%q cannot be the name of a Secret", name),
			Hint: "lower-case letters, digits, - and ., with a letter or digit at both ends"}
	}
	var b bytes.Buffer
	total := 0
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: %q\ntype: Opaque\ndata:", name)
	for _, e := range entries {
		total += len(e.Value)
		fmt.Fprintf(&b, "\n  %q: %q", e.Name, base64.StdEncoding.EncodeToString(e.Value))
	}
	if len(entries) == 0 {
		b.WriteString(" {}")
	}
	if total > maxSecret {
		return nil, &nebula.Error{Kind: nebula.ErrTooLarge, Message: fmt.Sprintf("the values have %d bytes, and a Secret at most %d", total, maxSecret),
			Hint: "export them in parts, each with a --name of its own"}
	}
	b.WriteString("\n")
	return b.Bytes(), nil
}
