package testreaders

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nebula-credential/nebula/internal/dotenv"
)

// readAll returns what a reader reads from each text, nil if it refuses the text.
type readAll func(t *testing.T, texts []string) []map[string]string

func allReaders(t *testing.T) map[string]readAll {
	t.Helper()
	all := make(map[string]readAll)
	for name, read := range goReaders() {
		all[name] = func(t *testing.T, texts []string) []map[string]string {
			files := write(t, texts)
			result := make([]map[string]string, len(files))
			for i, file := range files {
				if got, err := read(file); err == nil {
					result[i] = got
				}
			}
			return result
		}
	}
	found, missing := programReaders()
	for name, p := range found {
		all[name] = func(t *testing.T, texts []string) []map[string]string { return p.read(t, t.TempDir(), write(t, texts)) }
	}
	for name, err := range missing {
		report := t.Logf
		if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
			report = t.Errorf
		}
		report("%s is not tested: %v", name, err)
	}
	if len(found)+len(missing)+len(goReaders()) != len(dotenv.Readers()) {
		t.Errorf("there are %d readers", len(dotenv.Readers()))
	}
	return all
}

func write(t *testing.T, texts []string) []string {
	t.Helper()
	dir := t.TempDir()
	files := make([]string, len(texts))
	for i, text := range texts {
		files[i] = filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(files[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// source returns a random source, and the number of cases. The cases are always the same:
// NEBULA_READERS_SEED chooses others, and NEBULA_READERS_CASES their number.
func source() (*rand.Rand, int) {
	number := func(name string, otherwise uint64) uint64 {
		if n, err := strconv.ParseUint(os.Getenv(name), 10, 32); err == nil {
			return n
		}
		return otherwise
	}
	return rand.New(rand.NewPCG(number("NEBULA_READERS_SEED", 1), 0)), int(number("NEBULA_READERS_CASES", 250))
}

// pieces have a special meaning for some reader.
var pieces = strings.Split(`a|b|A|n|r|t|0|1|x41| |  |=|'|"|\|\\|$|$a|$A|${A}|${|}|$(|)|#| #|;|:|: |~|~/|*|!|&|%|,|export |`+
	"`|\n|\n\n|\r|\r\n|\t|\v|\f|\x01|\x1c|\x7f|é|\u0085|\u00a0|\u2003|\u2028|\ufeff|😀|\xff|\\\n|\n#|\n'|\nA=|'\n|\"\n", "|")

func soup(random *rand.Rand, most int) string {
	var b strings.Builder
	for range random.IntN(most + 1) {
		b.WriteString(pieces[random.IntN(len(pieces))])
	}
	return b.String()
}

// values returns the values of the table, and others.
func values(t *testing.T) []string {
	t.Helper()
	matrix, err := os.ReadFile("../internal/dotenv/testdata/matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(matrix)) {
		fields := strings.Fields(line)
		if fields[1] != "sq" {
			continue
		}
		literal, _, _ := strings.Cut(strings.TrimLeft(strings.TrimLeft(line, fields[0]+" "), "sq "), " WRONG:")
		value, err := strconv.Unquote(`"` + strings.ReplaceAll(strings.ReplaceAll(literal[1:len(literal)-1], `"`, `\"`), `\'`, `'`) + `"`)
		if err != nil {
			t.Fatalf("%s: %v", literal, err)
		}
		all = append(all, value)
	}
	if len(all) != 32 || !slices.Contains(all, "crlf\r\n") && !slices.Contains(all, "a\r\nb") {
		t.Fatalf("%d values: %q", len(all), all)
	}
	for _, n := range []int{4096, 65531, 65532, 65533, 65534, 65535, 65536, 70000} {
		all = append(all, strings.Repeat("x", n), strings.Repeat("x", n/2)+" #"+strings.Repeat("y", n/2-2))
	}
	random, cases := source()
	for range cases {
		all = append(all, soup(random, 6))
	}
	return all
}

// If Write writes a value for a reader, the reader reads the same value.
func TestWhatIsWrittenForAReaderIsRead(t *testing.T) {
	all := values(t)
	for name, read := range allReaders(t) {
		t.Run(name, func(t *testing.T) {
			var files [][]dotenv.Variable
			var texts []string
			for i, value := range all {
				// The neighbours, which may be without quotes, show where a value ends.
				vars := []dotenv.Variable{{Name: "A", Value: value}, {Name: "B", Value: ""}, {Name: "C", Value: all[(i+1)%len(all)]}}
				text, _, err := dotenv.Write(vars, name)
				if err != nil {
					vars = vars[:2]
					text, _, err = dotenv.Write(vars, name)
				}
				if err == nil {
					files, texts = append(files, vars), append(texts, text)
				}
			}
			for i, got := range read(t, texts) {
				if want := asMap(files[i]); !maps.Equal(got, want) {
					t.Errorf("%.200q is read as %.200q, want %.200q", texts[i], got, want)
				}
			}
			t.Logf("%d of %d values can be written", len(texts), len(all))
			if len(texts) < len(all)/5 {
				t.Error("that is too few")
			}
		})
	}
}

func asMap(vars []dotenv.Variable) map[string]string {
	all := make(map[string]string, len(vars))
	for _, v := range vars {
		all[v.Name] = v.Value
	}
	return all
}

// Nine readers read correctly what Write writes for no reader in particular. Write says
// which of the other three misread it.
func TestWhatIsWrittenForAllIsRead(t *testing.T) {
	var written [][]dotenv.Variable
	var texts []string
	var misread [][]dotenv.Misread
	for _, value := range values(t) {
		vars := []dotenv.Variable{{Name: "A", Value: value}, {Name: "B", Value: ""}}
		if text, wrong, err := dotenv.Write(vars, ""); err == nil {
			written, texts, misread = append(written, vars), append(texts, text), append(misread, wrong)
		}
	}
	t.Logf("%d values can be written for the nine", len(texts))
	for name, read := range allReaders(t) {
		t.Run(name, func(t *testing.T) {
			for i, got := range read(t, texts) {
				want := asMap(written[i])
				wrong := slices.ContainsFunc(misread[i], func(m dotenv.Misread) bool { return m.Reader == name })
				if right := maps.Equal(got, want); right == wrong {
					t.Errorf("%.200q is read as %.200q, and Write says that it is misread: %v", texts[i], got, wrong)
				}
			}
		})
	}
}

// If Read accepts a file, the reader of the dialect reads the same values. Without a
// dialect, each of the nine does.
func TestWhatIsReadIsWhatTheReadersRead(t *testing.T) {
	random, cases := source()
	texts := make([]string, 5*cases)
	for i := range texts {
		texts[i] = file(random)
	}
	apart := []string{"docker", "envparse", "kubectl"}
	for name, read := range allReaders(t) {
		for _, dialect := range []string{name, ""} {
			if dialect == "" && slices.Contains(apart, name) {
				continue
			}
			t.Run(fmt.Sprintf("%s/dialect=%s", name, dialect), func(t *testing.T) {
				var taken []string
				var want []map[string]string
				for _, text := range texts {
					vars, err := dotenv.Read([]byte(text), dialect)
					if err == nil && !ours(name, text, dialect) {
						taken, want = append(taken, text), append(want, asMap(vars))
					}
				}
				for i, got := range read(t, taken) {
					if !maps.Equal(got, want[i]) {
						t.Errorf("%q is read as %q, and Read reads %q", taken[i], got, want[i])
					}
				}
				t.Logf("%d of %d files are accepted", len(taken), len(texts))
				if len(taken) < len(texts)/50 {
					t.Error("that is too few")
				}
			})
		}
	}
}

// ours reports whether Read differs from a reader on purpose: \r\n ends lines in bash's
// dialect, too, comments and empty lines may be indented, and export is accepted, which
// systemd does not know.
func ours(reader, text, dialect string) bool {
	switch reader {
	case "bash":
		return strings.Contains(text, "\r")
	case "node":
		for line := range strings.Lines(text) {
			rest := strings.TrimSpace(line)
			if line[0] != '\n' && line[0] != '#' && (rest == "" || rest[0] == '#') {
				return true
			}
		}
	case "systemd":
		return strings.Contains(text, "#") && strings.Contains(text, "\\\n") || dialect == "" && strings.Contains(text, "export")
	}
	return false
}

// file returns a few lines that somebody could have written.
func file(random *rand.Rand) string {
	pick := func(all ...string) string { return all[random.IntN(len(all))] }
	var b strings.Builder
	for i := range 1 + random.IntN(3) {
		b.WriteString(pick("", "", "", "", "", " ", "# it's\n", "export ", "\n"))
		b.WriteString(pick("A", "B", "C", "D"))
		if i > 0 {
			b.WriteString(strconv.Itoa(i))
		}
		b.WriteString(pick("=", "=", "=", "=", "=", "=", "=", "= ", " = ", ": ", ""))
		value := soup(random, 4)
		if !utf8.ValidString(value) && random.IntN(4) > 0 {
			value = "plain"
		}
		quote := pick("", "'", `"`, "`")
		b.WriteString(quote + value + quote)
		b.WriteString(pick("", "", "", " ", " # it's", "#c"))
		b.WriteString(pick("\n", "\n", "\n", "\r\n"))
	}
	return b.String()
}
