package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A program with a test that notices some of what can be broken in it.
const (
	program = `package p

func Sum(list []int, most int) (sum int, err error) {
	for i := 0; i < len(list); i++ {
		sum += list[i]
	}
	if sum >= most {
		return 0, errMost
	}
	return sum, nil
}
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
`
)

// The limit itself is not tested, nor what is returned beside an error.
func TestSurvivors(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module p\n", "p.go": program, "errors.go": errs, "p_test.go": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var out strings.Builder
	if err := run(t.Context(), []string{"p.go", "--", "."}, &out); err != nil {
		t.Fatal(err)
	}
	const want = "p.go:7: >= became > in sum >= most\np.go:8: 0 became 1\np.go: of 8 mutants, 6 killed, 2 survived, 0 not compiled\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
	if text, err := os.ReadFile("p.go"); string(text) != program || err != nil {
		t.Errorf("the program was changed: %v", err)
	}
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{nil, {"p.go"}, {"--", "."}, {"p.go", "--"}, {"-every", "0", "p.go", "--", "."}} {
		if err := run(t.Context(), args, new(strings.Builder)); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
