package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The file is frozen: a change of the generator has to be meant.
func TestFileIsWhatTheGeneratorPrints(t *testing.T) {
	want, err := os.ReadFile("../../testdata/format/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	if err := write(&printed, generate()); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(printed.Bytes(), want) {
		return
	}
	old, now := strings.Split(string(want), "\n"), strings.Split(printed.String(), "\n")
	for i := range min(len(old), len(now)) {
		if old[i] != now[i] {
			t.Fatalf("line %d\nstored  %.300s\nprinted %.300s", i+1, old[i], now[i])
		}
	}
	t.Fatalf("%d lines are stored, %d printed", len(old), len(now))
}
