package local_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestOrderOfCalls: acknowledged writes survive a power cut because files and
// directories are flushed in this order. A test that only kills processes would not
// notice if one of these calls were missing.
func TestOrderOfCalls(t *testing.T) {
	whole := []string{"write temporary", "flush temporary", "rename", "flush directory"}
	made := append([]string{"mkdir", "flush parent"}, whole...)
	for _, test := range []struct {
		name, role, file string
		absent           bool // no directory yet
		environment      string
		want             []string
	}{
		{"first", "store", "id.enc.json", true, "", made},
		{"again", "store", "id.enc.json", false, "", whole},
		{"keyring", "init", ".keyring.enc.json", false, "", whole},
		{"keyring without locks", "init", ".keyring.enc.json", false, "NEBULA_TEST_LOCKING=false", whole},
		{"private file", "create", "private", true, "", made},
		{"delete", "delete", "id.enc.json", false, "", []string{"remove", "flush directory"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t)
			if !test.absent {
				s.put("id", "old")
			}
			log := filepath.Join(t.TempDir(), "calls")
			said, err := traced(t, test.role, s.dir, []string{"-y", "-o", log,
				"-e", "trace=mkdirat,write,fsync,fdatasync,renameat,renameat2,unlinkat"}, test.environment)
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if got := callsOn(s.dir, test.file, string(text)); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q; the calls:\n%s", got, test.want, text)
			}
		})
	}
}

// callsOn returns the calls in a trace that concern a directory, its parent or the
// file in it.
func callsOn(dir, file, trace string) []string {
	const temporary = `\.tmp-[0-9a-f]+`
	quoted, parent, name := regexp.QuoteMeta(dir), regexp.QuoteMeta(filepath.Dir(dir)), regexp.QuoteMeta(file)
	patterns := []struct{ call, pattern string }{
		{"mkdir", `mkdirat\([^,]+, "` + quoted + `"`},
		{"flush parent", `f(data)?sync\(\d+<` + parent + `>`},
		{"write temporary", `write\(\d+<` + quoted + `/` + temporary + `>`},
		{"flush temporary", `f(data)?sync\(\d+<` + quoted + `/` + temporary + `>`},
		{"rename", `renameat2?\(\d+<` + quoted + `>, "` + temporary + `", \d+<` + quoted + `>, "` + name + `"`},
		{"remove", `unlinkat\(\d+<` + quoted + `>, "` + name + `"`},
		{"flush file system", `syncfs\(\d+<` + quoted + `>`},
		{"flush directory", `f(data)?sync\(\d+<` + quoted + `>`},
	}
	var calls []string
	for line := range strings.Lines(trace) {
		for _, p := range patterns {
			if regexp.MustCompile(p.pattern).MatchString(line) {
				calls = append(calls, p.call)
			}
		}
	}
	return calls
}
