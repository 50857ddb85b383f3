package dotenv

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

func TestWhatTheReadersAgreeOnIsTaken(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for text, want := range map[string][]Variable{
		"":                                 nil,
		"A=1":                              {{"A", "1"}},
		"\ufeffA=1\r\nB='x'\r\n":           {{"A", "1"}, {"B", "x"}},
		"# it's\n\n   # A=0\n \t\nA=1\n":   {{"A", "1"}},
		"# C:\\\nA=1\n":                    {{"A", "1"}},
		"export A=1\n  export B=\"b c\"\n": {{"A", "1"}, {"B", "b c"}},
		"A='$HOME `x` \\n # no'\n":         {{"A", "$HOME `x` \\n # no"}},
		"A='-----BEGIN\nMII=\n-----END\n'\nB=\"1\n# 2\n\"\nC=": {{"A", "-----BEGIN\nMII=\n-----END\n"}, {"B", "1\n# 2\n"}, {"C", ""}},
		"A=" + long + "\nB=1\n":                                {{"A", long}, {"B", "1"}},
		"A=p@ss/w0rd+=%,:é\n":                                  {{"A", "p@ss/w0rd+=%,:é"}},
	} {
		if got, err := Read([]byte(text), ""); err != nil || !slices.Equal(got, want) {
			t.Errorf("%.60q: %.100q, %v", text, got, err)
		}
	}
}

// If the readers differ, the error names all such lines and what each reader makes of
// them, and shows no value.
func TestLinesThatAreReadDifferentlyAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"A=secret$x\n":              "line 1: expanded (bash, compose, rust); as it stands (docker, envparse, godotenv,",
		"A=1\nB=secret #x\n":        "line 2: up to the # (bash, compose, envparse, godotenv, gotenv, node, npm, python, rust); as it stands (docker, kubectl, systemd)",
		"A=sec\\ret\n":              `with \ as an escape (bash, systemd); as it stands (`,
		"A=sec\"ret\n":              "refused (bash, envparse, rust); as it stands (",
		"A=\"sec\\nret\"\n":         "without the quotes (bash, systemd); with \\ as an escape (compose,",
		"A=\"sec\\$ret\"\n":         "without the quotes (node, npm, python)",
		"secret\n":                  "run as a command (bash); value taken from the environment (compose, docker, kubectl)",
		"A=1\nB=2\n\nA=secret\n":    "line 4: the name of line 1 once more",
		"A='secret'x\n":             "line 1: ",
		"my.key=secret\n":           "run as a command (bash); another name (",
		"A='secret' # c\n":          "line 1: ",
		"A='x\r\nsecret'\n":         "line 1: ",
		"A='secret\x00'\n":          "line 1: ",
		"A='secret\xff'\n":          "line 1: ",
		"A='1\nB=secret\nC=3\n":     "line 1: ",
		"A= secret\n":               "run as a command (bash)",
		"A: secret\n":               "line 1: ",
		"A='${secret}'\n":           "expanded (python)",
		"A=1\n; secret\n":           "line 2: ",
		"A=a\n\nB=$x\n\nC=`date`\n": "\nline 5: run as a command (bash); ",
	} {
		got, err := Read([]byte(text), "")
		if !errors.Is(err, nebula.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "sec") {
			t.Errorf("%q: the error shows a part: %v", text, err)
		}
	}
}

// With a dialect, the lines are what that reader makes of them. If it would expand, run
// or look something up, they are an error.
func TestDialects(t *testing.T) {
	taken := func(text, dialect string, want ...Variable) {
		t.Helper()
		if got, err := Read([]byte(text), dialect); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q by %s: %q, %v", text, dialect, got, err)
		}
	}
	refused := func(text, dialect, want string) {
		t.Helper()
		got, err := Read([]byte(text), dialect)
		if !errors.Is(err, nebula.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q by %s: %q, %v", text, dialect, got, err)
		}
	}
	taken("A=a$x\n", "node", Variable{"A", "a$x"})
	taken("A=\"a\\$x\"\n", "compose", Variable{"A", "a$x"})
	taken("A=a #b\n", "systemd", Variable{"A", "a #b"})
	taken("A=a #b\n", "bash", Variable{"A", "a"})
	taken("A='a'\r\n", "docker", Variable{"A", "'a'"})
	taken("A='a'b\"c\"\r\n", "bash", Variable{"A", "abc"})
	taken("my.key=1\n", "godotenv", Variable{"my.key", "1"})
	taken("A: b\n", "npm", Variable{"A", "b"})
	taken("A\nB=1\n", "python", Variable{"B", "1"})
	taken("A=1\nA=2\n", "node", Variable{"A", "2"})
	taken("A=1\nA=2\n", "rust", Variable{"A", "1"})
	refused("A=1\nB=$x\nC=`x`\n", "bash", "line 2: expanded by bash\nline 3: run as a command by bash")
	refused("A=${x}\n", "compose", "expanded")
	refused("A\n", "docker", "value taken from the environment by docker")
	refused("A=1\nA=2\n", "kubectl", "line 2: ")
	refused("A=1\nB="+strings.Repeat("x", 1<<16)+"\nC=1\n", "kubectl", "line 2: ignored with all that follows")
	refused("A=1\nB="+strings.Repeat("x", 1<<16)+"\nC=1\n", "docker", "line 2: refused")
	refused("A=1\n", "ruby", "one of bash, compose, ")
}
