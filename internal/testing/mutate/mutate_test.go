package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A program with a test that notices some of its mutants.
const (
	source = `package p

const limit = 9

func Sum(list []int, most int) (sum int, err error) {
	for i := 0; i < len(list); i++ {
		sum += list[i]
	}
	if sum >= min(most, limit) {
		return 0, errMost
	}
	return sum, nil
}

func Kind(kind string, of byte) string {
	switch kind {
	case "a", "b":
		return kind + "!"
	}
	if of == 7 || of > 200 {
		kind = "of " + kind
	}
	return kind
}

func Unused(a, b int) bool { return a < b }
`
	errs  = "package p\n\nimport \"errors\"\n\nvar errMost = errors.New(\"too much\")\n"
	tests = `package p

import "testing"

func TestSum(t *testing.T) {
	if sum, err := Sum([]int{1, 2}, 9); sum != 3 || err != nil {
		t.Fatal(sum, err)
	}
	if _, err := Sum([]int{1, 2}, 2); err == nil {
		t.Fatal("no error")
	}
}

func TestKind(t *testing.T) {
	if Kind("a", 0) != "a!" || Kind("c", 7) != "of c" || Kind("c", 8) != "c" || Kind("c", 6) != "c" {
		t.Fatal()
	}
}

func TestFails(t *testing.T) {
	if Kind("b", 0) == "b!" {
		t.Fatal()
	}
}

func TestLive(t *testing.T) { t.Fatal() }

func FuzzKind(f *testing.F) { f.Fatal() }
`
	explained = `# What is returned beside an error says nothing.
p.go: Sum: 0 became 1 (2) # nobody looks at the sum
p.go: Sum: 9 became 10 # there is no such number any more
`
)

// The tests do not try the limits themselves, nor everything that they reach.
func TestSurvivors(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module p\n\ngo 1.26\n", "p.go": source, "errors.go": errs, "p_test.go": tests, "explained.txt": explained} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var out strings.Builder
	err := run(t.Context(), []string{"-explained", "explained.txt", "-run", "^Test", "-jobs", "1", "p.go", "--", "."}, &out)
	if err == nil || err.Error() != "no test notices 6 mutants" {
		t.Errorf("%v", err)
	}
	const want = `TestFails fails without a mutant, and is left out
19 mutants, 2 tests that reach some, after
p.go:9: Sum: >= became > in sum >= min(most, limit): survived
p.go:17: Kind: case dropped: "b": survived
p.go:20: Kind: > became >= in of > 200: survived
p.go:20: Kind: 200 became 201: survived
p.go:26: Unused: < became <= in a < b: not reached by any test
p.go:3: const: limit became one more: survived
p.go: of 19 mutants, 12 killed, 1 explained, 5 survived, 1 not reached, 0 not compiled
after
explained, and there is no such mutant: p.go: Sum: 9 became 10
`
	if got := regexp.MustCompile(`after .*`).ReplaceAllString(out.String(), "after"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if text, err := os.ReadFile("p.go"); string(text) != source || err != nil {
		t.Errorf("the program was changed: %v", err)
	}
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{nil, {"p.go"}, {"--", "."}, {"p.go", "--"}, {"-every", "0", "p.go", "--", "."}, {"-skip", "(", "p.go", "--", "."}, {"-run", "(", "p.go", "--", "."}, {"-explained", "none", "p.go", "--", "."}} {
		if err := run(t.Context(), args, new(strings.Builder)); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
