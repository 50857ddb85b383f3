package cast

import (
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func sample() *Cast {
	c := &Cast{Width: 40, Height: 10, Title: "a <title>"}
	c.Type("one  # comment", "")
	c.Type("two", "\x1b[31mnebula:\x1b[0m no & such\r\n")
	return c
}

func TestCastRoundTrip(t *testing.T) {
	var b strings.Builder
	if _, err := sample().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(b.String(), "\n")
	if first != `{"version":2,"width":40,"height":10,"title":"a <title>"}` || !strings.Contains(b.String(), "\n[1.5,\"o\",\"$ one  # comment\\r\\n\"]\n[3,\"o\",") {
		t.Error(b.String())
	}
	back, err := Read(strings.NewReader(b.String()))
	if err != nil || back.text() != sample().text() || back.Width != 40 || back.Title != "a <title>" {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, text := range []string{"", "x", `{"version":1,"width":1,"height":1}`, `{"version":2}`,
		`{"version":2,"width":1,"height":1}` + "\n" + `[0,"i","typed"]`, `{"version":2,"width":1,"height":1}` + "\n" + `{}`} {
		if c, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

func TestSVG(t *testing.T) {
	svg, err := sample().SVG()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	within := false
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "text" {
				within, lines = true, append(lines, "")
			}
		case xml.EndElement:
			within = within && token.Name.Local != "text"
		case xml.CharData:
			if within {
				lines[len(lines)-1] += string(token)
			}
		}
	}
	if want := []string{"$ one  # comment", "$ two", "nebula: no & such"}; !reflect.DeepEqual(lines, want) {
		t.Errorf("%q", lines)
	}
	if !strings.Contains(svg, `<tspan class="red">nebula:</tspan> no &amp; such`) || !strings.Contains(svg, "prefers-color-scheme: dark") {
		t.Error(svg)
	}
}

func TestSVGRefuses(t *testing.T) {
	for _, printed := range []string{"\x1b[2J", "\x1b[99mx", "a\tb", "a\rb", strings.Repeat("x", 41)} {
		c := sample()
		c.Type("three", printed+"\r\n")
		if svg, err := c.SVG(); err == nil {
			t.Errorf("%q: %s", printed, svg)
		}
	}
}
