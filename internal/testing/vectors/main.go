// Command vectors prints the test vectors of the record format, one JSON object on each
// line:
//
//	go run ./internal/testing/vectors > testdata/format/vectors.jsonl
//	go run ./internal/testing/vectors -exports > testdata/format/exports.jsonl
//	go run ./internal/testing/vectors -example
//	go run ./internal/testing/vectors -derived > internal/seal/testdata/derived.jsonl
//
// It is written from docs/format.md and shares no code with the packages that it tests:
// it builds every text and every input of a hash by hand, in the simplest way. Its
// output is always the same, because everything random in a record is a SHA-256 of a
// label. A test compares the stored file with it.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// vector is one line of the output. docs/format.md describes the fields.
type vector struct {
	Name        string       `json:"name"`
	Class       string       `json:"class"`
	Kind        string       `json:"kind"`
	ID          string       `json:"id,omitempty"`
	DataKey     string       `json:"data_key,omitempty"`
	KeyID       string       `json:"key_id,omitempty"`
	Expect      string       `json:"expect"`
	Plaintext   *string      `json:"plaintext,omitempty"`
	Metadata    *metadata    `json:"metadata,omitempty"`
	SealedValue *sealedValue `json:"sealed_value,omitempty"`
	Record      *string      `json:"record_b64,omitempty"`
	KeyFile     *string      `json:"key_file,omitempty"`
	Passphrase  *string      `json:"passphrase,omitempty"`
	SlotSecret  string       `json:"slot_secret,omitempty"`
	Identity    string       `json:"identity,omitempty"`
	Key         string       `json:"key,omitempty"`
}

type metadata struct {
	CreatedAt    string            `json:"created_at"`
	LastModified string            `json:"last_modified"`
	LastAccessed string            `json:"last_accessed,omitempty"`
	CreatedBy    string            `json:"created_by,omitempty"`
	Scope        string            `json:"scope,omitempty"`
	Rotation     *rotation         `json:"rotation_policy,omitempty"`
	Tags         map[string]string `json:"tags"`
}

type rotation struct {
	Days uint64 `json:"interval_days"`
}

type sealedValue struct {
	Generation uint64   `json:"generation"`
	State      string   `json:"state"`
	SwitchedAt string   `json:"switched_at,omitempty"`
	Retired    []string `json:"retired"`

	Notes map[string]note `json:"notes,omitempty"`
}

type note struct {
	Label   string `json:"label,omitempty"`
	AddedAt string `json:"added_at"`
}

// suite collects vectors.
type suite struct {
	vectors []vector
	names   map[string]bool
}

func (s *suite) add(v vector) {
	key := v.Kind + ": " + v.Class + ": " + v.Name
	if s.names[key] {
		panic("two vectors are named " + key)
	}
	s.names[key] = true
	s.vectors = append(s.vectors, v)
}

func generate() []vector {
	s := &suite{names: make(map[string]bool)}
	s.examples()
	s.recordsOK()
	s.recordKeys()
	s.recordEdits()
	s.recordStructure()
	s.recordBase64()
	s.recordTimes()
	s.recordStrings()
	s.recordTags()
	s.recordIntegers()
	s.versions()
	s.firstPass()
	s.keyringsOK()
	s.keyringKeys()
	s.keyringSlots()
	s.keyringBounds()
	s.keyringEdits()
	s.keyringValues()
	s.keyFiles()
	s.keptSlots()
	s.keyringNotes()
	return s.vectors
}

func write(w io.Writer, vectors []vector) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for _, v := range vectors {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return b.Flush()
}

func main() {
	var err error
	switch {
	case len(os.Args) == 1:
		err = write(os.Stdout, generate())
	case os.Args[1] == "-example":
		_, err = io.WriteString(os.Stdout, example())
	case os.Args[1] == "-exports":
		err = writeExports(os.Stdout)
	case os.Args[1] == "-derived":
		err = writeDerived(os.Stdout)
	default:
		err = fmt.Errorf("unknown argument %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func hexed(b []byte) string { return hex.EncodeToString(b) }

func encoded(text string) *string { return new(base64.StdEncoding.EncodeToString([]byte(text))) }
