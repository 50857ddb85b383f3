package takeover

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/dotenv"
	"github.com/nebula-credential/nebula/reference"
)

// Dotenv reads a file of variables. It accepts lines on which the common readers
// agree, or it reads them as the reader named by dialect does. Other lines are an
// error that gives their numbers.
func Dotenv(text []byte, dialect string) ([]Secret, error) {
	variables, err := dotenv.Read(text, dialect)
	if err != nil {
		return nil, err
	}
	secrets := make([]Secret, len(variables))
	for i, v := range variables {
		secrets[i] = Secret{Name: v.Name, Value: []byte(v.Value)}
	}
	return secrets, nil
}

// JSON reads an object. Strings give their characters, numbers and booleans their
// text, {"base64":"…"} the bytes. With nested, objects and lists within it give
// their members, under names joined by /. Otherwise they are an error. null and
// duplicate members are always an error.
func JSON(text []byte, nested bool) ([]Secret, error) { return readObject(text, nested, true) }

// members is JSON for files of others, in which {"base64":…} has no special
// meaning.
func members(text []byte, nested bool) ([]Secret, error) { return readObject(text, nested, false) }

func readObject(text []byte, nested, exported bool) ([]Secret, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) || !json.Valid(text) || bytes.TrimSpace(text)[0] != '{' {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Op: "import", Message: "the source is not a JSON object"}
	}
	r := jsonReader{nested: nested, exported: exported, seen: make(map[string]bool)}
	if err := r.members("", text); err != nil {
		return nil, err
	}
	return r.result()
}

func (r *jsonReader) result() ([]Secret, error) {
	if len(r.problems) > 0 {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Op: "import", Message: "the source has members that cannot be taken:\n" + strings.Join(r.problems, "\n"), Hint: r.hint}
	}
	return r.secrets, nil
}

type jsonReader struct {
	nested   bool
	exported bool // {"base64":…} is bytes
	seen     map[string]bool
	secrets  []Secret
	problems []string
	hint     string
}

// members reads the members of an object or a list.
func (r *jsonReader) members(path string, at json.RawMessage) error {
	d := json.NewDecoder(bytes.NewReader(at))
	open, err := d.Token()
	if err != nil {
		return err
	}
	for i := 0; d.More(); i++ {
		name := strconv.Itoa(i)
		if open == json.Delim('{') {
			token, err := d.Token()
			if err != nil {
				return err
			}
			name, _ = token.(string)
		}
		var member json.RawMessage
		if err := d.Decode(&member); err != nil {
			return err
		}
		if err := r.member(path+name, bytes.TrimSpace(member)); err != nil {
			return err
		}
	}
	return nil
}

func (r *jsonReader) member(path string, at json.RawMessage) error {
	if value, ok := fromBase64(at); ok && r.exported {
		r.take(Secret{Name: path, Value: value})
		return nil
	}
	if at[0] == '{' || at[0] == '[' {
		if r.nested {
			return r.members(path+"/", at)
		}
		r.refuseNested(path)
		return nil
	}
	value, problem := reference.Text(at)
	if problem != "" {
		r.refuse(path, problem)
		return nil
	}
	r.take(Secret{Name: path, Value: bytes.Clone(value), number: at[0] == '-' || '0' <= at[0] && at[0] <= '9'})
	return nil
}

func (r *jsonReader) take(s Secret) {
	if r.seen[s.Name] {
		r.refuse(s.Name, "is there twice")
		return
	}
	r.seen[s.Name] = true
	r.secrets = append(r.secrets, s)
}

func (r *jsonReader) refuseNested(path string) {
	r.refuse(path, "is an object or a list")
	r.hint = "--fields takes their members, each as a credential"
}

func (r *jsonReader) refuse(path, problem string) {
	r.problems = append(r.problems, fmt.Sprintf("%q %s", path, problem))
}

// fromBase64 decodes the form in which an export in clear writes a value that
// is not UTF-8.
func fromBase64(at json.RawMessage) ([]byte, bool) {
	var members map[string]json.RawMessage
	if at[0] != '{' || json.Unmarshal(at, &members) != nil || len(members) != 1 {
		return nil, false
	}
	var text string
	if json.Unmarshal(members["base64"], &text) != nil {
		return nil, false
	}
	value, err := base64.StdEncoding.Strict().DecodeString(text)
	return value, err == nil
}
