package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const root = "../.."

// The page and the pictures show the recorded results.
func TestPage(t *testing.T) {
	files, err := render(root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s does not show the recorded results (%v): run scripts/bench -draw", path, err)
		}
	}
	pictures, err := filepath.Glob(filepath.Join(root, "docs", "figures", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pictures {
		if _, ok := files[path]; !ok {
			t.Errorf("no table has the picture %s", path)
		}
	}
}

// If a result changes, the page and the picture of its table change, and no other picture.
func TestChangedResult(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "bench", "results"), os.DirFS(filepath.Join(root, "bench", "results"))); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "docs"), os.DirFS(filepath.Join(root, "docs"))); err != nil {
		t.Fatal(err)
	}
	before, err := render(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := resultsPath(dir, "local")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := regexp.MustCompile(`(?m)^(BenchmarkExists\S*\s.*?)\S+ ratio\s`).ReplaceAllString(string(text), "${1}7.77 ratio\t")
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := render(dir)
	if err != nil {
		t.Fatal(err)
	}
	var differ []string
	for path := range after {
		if after[path] != before[path] {
			differ = append(differ, filepath.Base(path))
		}
	}
	slices.Sort(differ)
	if want := []string{"local.svg", "performance.md"}; !slices.Equal(differ, want) {
		t.Errorf("%q differ, want %q", differ, want)
	}
	if page := after[filepath.Join(dir, "docs", "performance.md")]; !strings.Contains(page, "| 7.77 (") || !strings.Contains(page, "| ≤ 1.5 | missed |") {
		t.Error("the page does not say that Exists takes 7.77 times as long and misses its goal")
	}
}

// The page has each table once.
func TestTablesOfThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	var there, want []string
	for _, m := range marked.FindAllSubmatch(page, -1) {
		there = append(there, string(m[2]))
	}
	for _, table := range tables {
		want = append(want, table.name)
	}
	if !slices.Equal(there, want) {
		t.Errorf("the page has the tables %q, want %q", there, want)
	}
}

// Each benchmark belongs to one table, which runs it once.
func TestBenchmarks(t *testing.T) {
	runs := make(map[string]int)
	for _, table := range tables {
		own := make(map[string]bool)
		for _, r := range table.runs {
			for _, name := range r.benchmarks {
				runs[filepath.Join(r.module, r.pkg)+" "+name]++
				own[name] = true
			}
		}
		for _, w := range table.rows {
			function, _, _ := strings.Cut(w.benchmark, "/")
			if !own[function] {
				t.Errorf("table %s does not run %s", table.name, w.benchmark)
			}
		}
	}
	for _, name := range benchmarks(t) {
		if runs[name] != 1 {
			t.Errorf("Benchmark of %s is in %d tables", name, runs[name])
		}
		delete(runs, name)
	}
	for name := range maps.Keys(runs) {
		t.Errorf("there is no benchmark %s", name)
	}
}

// benchmarks returns the folders and names of all benchmarks.
func benchmarks(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"*_test.go", "*/*_test.go", "*/*/*_test.go", "*/*/*/*_test.go"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			dir, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if function, ok := d.(*ast.FuncDecl); ok && function.Recv == nil {
					if name, ok := strings.CutPrefix(function.Name.Name, "Benchmark"); ok {
						all = append(all, dir+" "+name)
					}
				}
			}
		}
	}
	return all
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		goal goal
		figure
		want string
	}{
		{goal{}, figure{value: 9}, ""},
		{atMost(1.6), figure{value: 1.6}, "met"},
		{atMost(1.6), figure{value: 1.604}, "met"}, // the table shows 1.6
		{atMost(1.6), figure{value: 1.606}, "missed"},
		{atLeast(6), figure{value: 7.4}, "met"},
		{atLeast(6), figure{value: 5.9}, "missed"},
		{atMostAnd(1.05, 50*time.Microsecond), figure{value: 1.29, bare: 200e3}, "met"},
		{atMostAnd(1.05, 50*time.Microsecond), figure{value: 1.31, bare: 200e3}, "missed"},
	} {
		if got := c.goal.verdict(c.figure); got != c.want {
			t.Errorf("%+v of %+v is %q, want %q", c.figure, c.goal, got, c.want)
		}
	}
}

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{
		{0.0043, ratioUnit, "0.004"},
		{0.41, ratioUnit, "0.41"},
		{1, ratioUnit, "1"},
		{4.83, cpuUnit, "4.83"},
		{16.04, "delete-times", "16"},
		{250.4, ratioUnit, "250"},
		{63, "ns", "63 ns"},
		{7812, "ns", "7.81 µs"},
		{4_800_000, "nebula-cpu-ns", "4.8 ms"},
		{1_100_000_000, "ns/op", "1.1 s"},
		{18.2, "peak-MiB", "18.2 MiB"},
		{22.5, "size-MB", "22.5 MB"},
		{141, "µs/credential", "141 µs"},
		{18, "nebula-allocs", "18"},
	} {
		if got := quantity(c.value, c.unit); got != c.want {
			t.Errorf("%v %s is %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}
