package dotenv

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

func TestWriteForAll(t *testing.T) {
	text, misread, err := Write([]Variable{{"A", "plain+/=_.,-@%"}, {"B", ""}, {"C", "it's"}, {"D", `{"a":"b c"}`}, {"E", "1\n2\n"}}, "")
	want := "A=plain+/=_.,-@%\nB=\nC=\"it's\"\nD='{\"a\":\"b c\"}'\nE='1\n2\n'\n"
	if err != nil || text != want {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
	for i, m := range []Misread{
		{Reader: "docker", Names: []string{"C", "D", "E"}},
		{Reader: "envparse", Names: []string{"E"}, Refused: true},
		{Reader: "kubectl", Names: []string{"C", "D", "E"}, Refused: true},
	} {
		if len(misread) != 3 || misread[i].Reader != m.Reader || misread[i].Refused != m.Refused || !slices.Equal(misread[i].Names, m.Names) {
			t.Errorf("misread: %+v, want %+v", misread, m)
		}
	}
}

// The error names all values that have no form, and the readers that are the reason. It
// shows no value.
func TestWhatHasNoForm(t *testing.T) {
	const tricky = "secret'$x\""
	for target, want := range map[string]string{
		"":       "A: no form is right for all nine readers; for each alone there is one",
		"docker": "B: not for docker",
		"bash":   "N: a NUL byte",
	} {
		_, _, err := Write([]Variable{{"A", tricky}, {"B", "secret\n"}, {"C", "fine"}, {"N", "secret\x00"}}, target)
		if !errors.Is(err, nebula.ErrUsage) || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "C:") {
			t.Errorf("for %q: %v, want %q", target, err, want)
		}
	}
}

func TestNamesThatAreNone(t *testing.T) {
	for _, vars := range [][]Variable{{{"", "x"}}, {{"1A", "x"}}, {{"A-B", "x"}}, {{"é", "x"}}, {{"A", "1"}, {"A", "2"}}} {
		if text, _, err := Write(vars, ""); !errors.Is(err, nebula.ErrUsage) || text != "" {
			t.Errorf("%q: %q, %v", vars, text, err)
		}
	}
	if _, _, err := Write([]Variable{{"RANDOM", "1"}}, "bash"); err == nil {
		t.Error("RANDOM was written for bash, which takes it from no file")
	}
}

// FuzzRead: whatever Read accepts can be written for each reader that can carry it, and
// is read back by that reader's rules.
func FuzzRead(f *testing.F) {
	for _, row := range strings.Split(matrix, "\n") {
		f.Add([]byte("A="+row+"\n"), "")
	}
	f.Add([]byte("export A='x\ny'\r\nB=\"\\u00e9\"#c\nC"), "envparse")
	f.Fuzz(func(t *testing.T, text []byte, dialect string) {
		vars, err := Read(text, dialect)
		if err != nil {
			if vars != nil && dialect == "" && !errors.Is(err, nebula.ErrUsage) {
				t.Fatal(err)
			}
			return
		}
		vars = slices.DeleteFunc(vars, func(v Variable) bool { return !isName(v.Name) })
		for _, target := range append(Readers(), "") {
			written, _, err := Write(vars, target)
			if err != nil {
				continue
			}
			if back, err := Read([]byte(written), target); err != nil || !slices.Equal(back, vars) {
				t.Errorf("for %q: %q is read as %q, %v", target, written, back, err)
			}
		}
	})
}
