package dotenv

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// The table in docs/dotenv.md shows what Write writes.
func TestTableOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/dotenv.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| value | the nine | "+strings.Join(Readers(), " | ")+" |\n")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")
		if strings.HasPrefix(line, "|---") {
			continue
		}
		if len(cells) != 2+len(Readers()) {
			break
		}
		value, err := strconv.Unquote(strings.Trim(cells[0], "` "))
		if err != nil {
			t.Fatalf("%s: %v", cells[0], err)
		}
		rows++
		for i, target := range append([]string{""}, Readers()...) {
			want := "–"
			if text, _, err := Write([]Variable{{"A", value}}, target); err == nil {
				for j, form := range forms(value) {
					if text == "A="+form+"\n" {
						want = "rsdn"[j : j+1]
						break
					}
				}
			}
			if cells[i+1] != want {
				t.Errorf("%q for %q is %s, the page says %s", value, target, want, cells[i+1])
			}
		}
	}
	if rows < 20 {
		t.Errorf("the page has %d rows", rows)
	}
}
