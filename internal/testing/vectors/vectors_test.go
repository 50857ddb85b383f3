package main

import (
	"bytes"
	"crypto/fips140"
	"io"
	"os"
	"strings"
	"testing"
)

// The files are frozen: a change of the generator must be intended.
func TestFilesAreWhatTheGeneratorPrints(t *testing.T) {
	skipInFIPSMode(t)
	for path, print := range map[string]func(io.Writer) error{
		"../../../testdata/format/vectors.jsonl": func(w io.Writer) error { return write(w, generate()) },
		"../../../testdata/format/exports.jsonl": writeExports,
		"../../seal/testdata/derived.jsonl":      writeDerived,
	} {
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var printed bytes.Buffer
		if err := print(&printed); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(printed.Bytes(), stored) {
			continue
		}
		old, now := strings.Split(string(stored), "\n"), strings.Split(printed.String(), "\n")
		t.Errorf("%s: %d lines are stored, %d are printed", path, len(old), len(now))
		for i := range min(len(old), len(now)) {
			if old[i] != now[i] {
				t.Fatalf("line %d\nstored  %.300s\nprinted %.300s", i+1, old[i], now[i])
			}
		}
	}
}

// The generator computes what docs/format.md shows byte by byte.
func TestDocumentHasTheExample(t *testing.T) {
	skipInFIPSMode(t)
	text, err := os.ReadFile("../../../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), example()) {
		t.Error("the example in docs/format.md is not what go run ./internal/testing/vectors -example prints")
	}
}

func skipInFIPSMode(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("the generator chooses its nonces, which FIPS mode does not allow")
	}
}
