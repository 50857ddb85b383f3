package template_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/template"
)

// values says what references mean in these tests.
var values = map[string]string{
	"nebula://a": "value\n", "nebula://work/b?version=2#x.y": "field", "nebula://pem": "one\ntwo\r\n\nthree\r\n",
	"nebula://bin": "\xff\x00\n", "nebula://quote": `it's "q" <&> é \` + "\n", "nebula://a#x|y": "bar", "nebula://empty": "\n", "nebula://with_nul": "a\x00b",
}

func execute(text string) (string, error) {
	t, err := template.Parse([]byte(text))
	if err != nil {
		return "", err
	}
	var results []template.Result
	for _, ref := range t.References() {
		value, ok := values[ref.String()]
		r := template.Result{Value: []byte(value)}
		if !ok {
			r.Err = &nebula.Error{Kind: nebula.ErrNotFound, Message: "there is no such credential"}
		}
		results = append(results, r)
	}
	out, err := t.Execute(results)
	return string(out), err
}

func TestExecute(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "",
		"no placeholder\r\n":                  "no placeholder\r\n",
		"x={{ nebula://a }}\n":                "x=value\n",
		"{{nebula://a}}{{\tnebula://a\t}}":    "valuevalue",
		"{{{nebula://a}}}":                    "{value}",
		"{{ nebula://a | exact }}|":           "value\n|",
		"{{ nebula://work/b?version=2#x.y }}": "field",
		"{{ nebula://a#x|y }} {{ nebula://a#x|y | json }}":                                `bar "bar"`,
		"{{ nebula://quote | json }}":                                                     `"it's \"q\" <&> é \\"`,
		"{{ nebula://quote | shell }}":                                                    `'it'\''s "q" <&> é \'`,
		"{{ nebula://quote | url }}":                                                      "it%27s%20%22q%22%20%3C%26%3E%20%C3%A9%20%5C",
		"{{ nebula://bin | base64 }}":                                                     "/wA=",
		"{{ nebula://bin | exact | base64 }}{{ nebula://bin | base64 | exact }}":          "/wAK/wAK",
		"{{ nebula://a | base64 | json }}":                                                `"dmFsdWU="`,
		"k: |\n  {{ nebula://pem | indent 2 }}\n":                                         "k: |\n  one\n  two\r\n\n  three\n",
		"{{ nebula://empty }}":                                                            "",
		"{{ nebula://a }":                                                                 "{{ nebula://a }", // tested below
		"{{ .Values.x }} ${{ secrets.y }} {% z %} {{ 'nebula://a' }} nebula://a \xff\x00": "{{ .Values.x }} ${{ secrets.y }} {% z %} {{ 'nebula://a' }} nebula://a \xff\x00",
	} {
		got, err := execute(text)
		if text == "{{ nebula://a }" {
			if err == nil {
				t.Error("a placeholder without an end was accepted")
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestProblemsAreAllTold(t *testing.T) {
	text := "a\n  {{ nebula://a | upper }} é {{ nebula://x y }}\n{{ nebula:// }}\n{{ nebula://a |}}\n{{ nebula://a | indent }}{{ nebula://a | indent 201 }}\n{{ nebula://a | json 1 }}\n{{ nebula://a\n}}"
	_, err := execute(text)
	want := []string{`2:3: there is no filter "upper"; there are indent N, json, base64, shell, url, exact`, "2:31: between a reference", "3:1: ", "4:1: there is no filter after |",
		"5:1: the filter indent takes", "5:26: the filter indent takes", "6:1: the filter json takes nothing", "7:1: the placeholder does not end"}
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d problems, want %d:\n%v", len(lines), len(want), err)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("%s, want %s", line, want[i])
		}
	}
	_, err = execute("{{ nebula://missing }}\n {{ nebula://bin }} {{ nebula://bin | json | base64 }}{{ nebula://with_nul | shell }}{{ nebula://a }}")
	want = []string{"1:1: nebula://missing: there is no such credential", "2:2: nebula://bin: the value is not UTF-8 text", "2:21: nebula://bin: the value is not UTF-8", "2:55: nebula://with_nul: the value has a NUL"}
	lines = strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d problems:\n%v", len(lines), err)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, want[i]) {
			t.Errorf("%s, want %s", line, want[i])
		}
	}
	var p *template.Problem
	if !errors.As(err, &p) || nebula.KindOf(p) != nebula.ErrNotFound {
		t.Errorf("%v", err)
	}
}

// encoding/json and the shell read back what the filters write.
func TestFiltersAreReadBack(t *testing.T) {
	for _, value := range []string{"", "a", "it's", `"\$` + "`", "é\u2028\x01\x7f", "a\nb", strings.Repeat("x'", 1000), "\u0000", "<script>&amp;", "%41+ /?#"} {
		values["nebula://v"] = value + "\n"
		if text, err := execute("{{ nebula://v | json }}"); err != nil {
			t.Errorf("%q: %v", value, err)
		} else {
			var got string
			if err := json.Unmarshal([]byte(text), &got); err != nil || got != value {
				t.Errorf("json of %q: %q, %v", value, got, err)
			}
		}
		text, err := execute("{{ nebula://v | shell }}")
		if strings.Contains(value, "\x00") {
			if err == nil {
				t.Errorf("shell of %q: %q", value, text)
			}
			continue
		}
		if shell, missing := exec.LookPath("sh"); missing == nil {
			if got, err := exec.Command(shell, "-c", "printf %s "+text).Output(); err != nil || string(got) != value {
				t.Errorf("shell of %q: %q, %v", value, got, err)
			}
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"", "{{ nebula://a }}", "{{{ nebula://a#b | json | indent 3 }}x{{", "{{ nebula://a |", "a\r\n{{\tnebula://s/a?version=1#x|y\t| exact}}"} {
		f.Add([]byte(text), []byte("v\n"))
	}
	f.Fuzz(func(t *testing.T, text, value []byte) {
		before := bytes.Clone(text)
		p, err := template.Parse(text)
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		if err != nil {
			return
		}
		results := make([]template.Result, len(p.References()))
		for i := range results {
			results[i].Value = value
		}
		out, err := p.Execute(results)
		if len(results) == 0 && (err != nil || !bytes.Equal(out, text)) {
			t.Errorf("text without placeholders became %q, %v", out, err)
		}
	})
}
