package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/bench/paired"
)

func BenchmarkListIDs(b *testing.B) {
	s := newStore(b)
	s.fill(b, credentials, nebula.PutOptions{})
	paired.Run(b, 4,
		func(int) { readNames(b, s.dir) },
		func(int) { wantEntries(b, s, nebula.ListOptions{}, credentials) })
}

func BenchmarkListByTagWarm(b *testing.B) {
	many := atScale(100_000)
	s := newStore(b)
	s.fill(b, many, nebula.PutOptions{Tags: map[string]string{"env": "prod"}})
	byTag := nebula.ListOptions{Filter: nebula.Filter{Tags: map[string]string{"env": "prod"}}}
	wantEntries(b, s, byTag, many)
	paired.Run(b, 1,
		func(int) {
			for _, name := range readNames(b, s.dir) {
				_, err := os.Lstat(filepath.Join(s.dir, name))
				check(b, err)
			}
		},
		func(int) { wantEntries(b, s, byTag, many) })
}

// BenchmarkListMemory reports the peak memory of a program that lists a million ids of
// 18 characters with the library.
func BenchmarkListMemory(b *testing.B) {
	million := atScale(1_000_000)
	s := newStore(b)
	_, err := s.Put(ctx, id(0), secret(), nebula.PutOptions{})
	check(b, err)
	for i := 1; i < million; i++ {
		// A hard link is made faster than a file. A file has at most 65,000 of them.
		file := s.path(id(i / 50_000 * 50_000))
		if i%50_000 == 0 {
			check(b, os.WriteFile(file, nil, 0o600))
			continue
		}
		check(b, os.Link(file, s.path(id(i))))
	}
	list, c := program(b, "list", ".", "./testdata/list"), newCommand(b)
	if out := c.output(b, list, s.dir); out != fmt.Sprintln(million) {
		b.Fatalf("the program lists %s entries", out)
	}
	most := 0.0
	for b.Loop() {
		most = max(most, c.peak(b, list, s.dir))
	}
	b.ReportMetric(0, "ns/op") // only the memory is of interest
	b.ReportMetric(most, "peak-MiB")
}

func readNames(b *testing.B, path string) []string {
	dir, err := os.Open(path)
	check(b, err)
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil && err != io.EOF {
		b.Fatal(err)
	}
	return names
}

func wantEntries(b *testing.B, s store, options nebula.ListOptions, want int) {
	n := 0
	for _, err := range s.List(ctx, options) {
		check(b, err)
		n++
	}
	if n != want {
		b.Fatalf("%d entries, want %d", n, want)
	}
}
