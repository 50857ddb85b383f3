package template

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxIndent is how far a value can be indented, in spaces.
const maxIndent = 200

// filter changes the text of a value.
type filter struct {
	name  string
	apply func([]byte) ([]byte, error)
}

// The filters, beside indent, which takes a number.
func filters() []filter {
	return []filter{
		{"json", toJSON},
		{"base64", func(text []byte) ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, text), nil }},
		{"shell", toShell},
		{"url", func(text []byte) ([]byte, error) {
			return []byte(strings.ReplaceAll(url.QueryEscape(string(text)), "+", "%20")), nil
		}},
		{exact, func(text []byte) ([]byte, error) { return text, nil }},
	}
}

// exact keeps the newline at the end of a value, wherever it stands among the
// filters.
const exact = "exact"

func parseFilter(words []string) (filter, error) {
	names := []string{"indent N"}
	if len(words) == 0 {
		return filter{}, wrong("there is no filter after |")
	}
	if words[0] == "indent" {
		return parseIndent(words[1:])
	}
	for _, f := range filters() {
		names = append(names, f.name)
		if f.name != words[0] {
			continue
		}
		if len(words) > 1 {
			return filter{}, wrong("the filter " + f.name + " takes nothing")
		}
		return f, nil
	}
	return filter{}, wrong("there is no filter " + shown(words[0]) + "; there are " + strings.Join(names, ", "))
}

func shown(word string) string {
	if len(word) > 20 {
		word = word[:20] + "…"
	}
	return strconv.QuoteToASCII(word)
}

func parseIndent(words []string) (filter, error) {
	if len(words) == 1 {
		if n, err := strconv.ParseUint(words[0], 10, 8); err == nil && n <= maxIndent {
			return indent(int(n)), nil
		}
	}
	return filter{}, wrong(fmt.Sprintf("the filter indent takes a number of spaces, 0 to %d", maxIndent))
}

// indent puts n spaces before each line except the first, which is at the place
// of the placeholder. Empty lines stay empty.
func indent(n int) filter {
	spaces := bytes.Repeat([]byte(" "), n)
	return filter{"indent", func(text []byte) ([]byte, error) {
		var out bytes.Buffer
		for i, line := range bytes.SplitAfter(text, []byte("\n")) {
			if i > 0 && len(bytes.TrimRight(line, "\r\n")) > 0 {
				out.Write(spaces)
			}
			out.Write(line)
		}
		return out.Bytes(), nil
	}}
}

// toJSON returns a JSON string with its quotes.
func toJSON(text []byte) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(string(text)); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// toShell returns a word for a POSIX shell, in single quotes.
func toShell(text []byte) ([]byte, error) {
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, wrong("the value has a NUL, which no word of a shell can hold")
	}
	return []byte("'" + strings.ReplaceAll(string(text), "'", `'\''`) + "'"), nil
}

// apply returns the text of a value. Its last newline is cut: most values come from
// echo and editors.
func (p *placeholder) apply(value []byte) ([]byte, error) {
	keeps, first := false, ""
	for _, f := range p.filters {
		if f.name == exact {
			keeps = true
		} else if first == "" {
			first = f.name
		}
	}
	text := value
	if !keeps {
		text = cutNewline(value)
	}
	if !utf8.Valid(text) && first != "base64" {
		return nil, wrong("the value is not UTF-8 text: it needs the filter base64")
	}
	for _, f := range p.filters {
		var err error
		if text, err = f.apply(text); err != nil {
			return nil, err
		}
	}
	return text, nil
}

func cutNewline(text []byte) []byte {
	if cut, ok := bytes.CutSuffix(text, []byte("\n")); ok {
		return bytes.TrimSuffix(cut, []byte("\r"))
	}
	return text
}
