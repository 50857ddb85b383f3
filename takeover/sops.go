package takeover

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"

	"github.com/nebula-credential/nebula"
)

// Sops reads a file that sops encrypted. From YAML, JSON, .env and .ini files it
// reads the members, as [JSON] does. Any other file is one secret, and with whole
// every file is.
func Sops(ctx context.Context, file string, fields, whole bool, p Programs) (Found, error) {
	var found Found
	text, err := readSource(file)
	if err != nil {
		return found, err
	}
	kind := filepath.Ext(file)
	args := []string{"decrypt"}
	switch kind {
	case ".yaml", ".yml":
		if isStream(text) && !whole {
			return found, errStream(file)
		}
	case ".json", ".env":
	case ".ini":
		found.Notes = append(found.Notes, file+": sops cuts values of .ini files at # and ; when it encrypts them (3.13.3): compare them with where they are used")
	default:
		whole = true
	}
	if !whole {
		args = append(args, "--output-type", "json")
	}
	text, err = p.run(ctx, "sops", append(args, argument(file)))
	if err != nil {
		return found, err
	}
	if whole {
		found.Secrets = []Secret{{Name: filepath.Base(file), Value: text}}
		return found, nil
	}
	defer clear(text)
	found.Secrets, err = members(text, fields)
	for i, s := range found.Secrets {
		switch {
		case s.number:
			found.Secrets[i].Note = "sops keeps a number, and not how it was written"
		case kind == ".env" && isQuoted(s.Value):
			found.Secrets[i].Note = "the quotes belong to the value, for sops and so here"
		}
	}
	return found, err
}

// isStream reports whether a file of YAML has more than one document: a line of
// three hyphens or dots begins another one, anywhere.
func isStream(text []byte) bool {
	begun := false
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		marker := len(line) == 3 || len(line) > 3 && (line[3] == ' ' || line[3] == '\t')
		switch {
		case marker && bytes.HasPrefix(line, []byte("---")):
			if begun {
				return true
			}
			begun = len(bytes.TrimSpace(line[3:])) > 0
		case marker && bytes.HasPrefix(line, []byte("...")):
		case len(bytes.TrimSpace(line)) > 0 && line[0] != '#' && line[0] != '%':
			begun = true
		}
	}
	return false
}

func isQuoted(value []byte) bool {
	n := len(value)
	return n >= 2 && value[0] == value[n-1] && strings.ContainsRune(`"'`, rune(value[0]))
}

func errStream(file string) error {
	return &nebula.Error{Kind: nebula.ErrNotSupported, Op: "import", Message: file + " has more than one YAML document, and sops gives the first alone as JSON",
		Hint: "split it: one document a file; or take it as one credential with --whole"}
}
