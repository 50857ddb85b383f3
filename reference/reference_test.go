package reference_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/reference"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("s", 64)
	for text, want := range map[string]reference.Reference{
		"nebula://db":                                   {ID: "db"},
		"nebula://work/db":                              {Store: "work", ID: "db"},
		"nebula://" + long + "/db":                      {Store: long, ID: "db"},
		"nebula://db?version=1-a.B_2":                   {ID: "db", Version: "1-a.B_2"},
		"nebula://work/db?version=3#user.name":          {Store: "work", ID: "db", Version: "3", Field: "user.name"},
		"nebula://db#/a~1b/0":                           {ID: "db", Field: "/a~1b/0"},
		"nebula://db#a?version=1#b/c d%20":              {ID: "db", Field: "a?version=1#b/c d%20"},
		"nebula://work/db#" + strings.Repeat("é", 2048): {Store: "work", ID: "db", Field: strings.Repeat("é", 2048)},
	} {
		got, err := reference.Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%s is written %s", text, got)
		}
		short, err := reference.ParseShort(strings.TrimPrefix(text, reference.Scheme))
		if (err == nil) != (want.Version == "") || err == nil && short != want {
			t.Errorf("%s in short: %+v, %v", text, short, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "db", "nebula:/db", "Nebula://db", "nebula://", "nebula://#f", "nebula://work/", "nebula:///db", "nebula://a/b/c",
		"nebula://-a/db", "nebula://" + strings.Repeat("s", 65) + "/db", "nebula://é/db", "nebula://d%62", "nebula://db#",
		"nebula://db?version=", "nebula://db?", "nebula://db?v=1", "nebula://db?version=1&x=2", "nebula://db?version=a/b", "nebula://db ",
		"nebula://db#" + strings.Repeat("f", 4097), "nebula://db#\xff", "nebula://user:pass@host/db", "nebula://-db", "nebula://con",
	} {
		_, err := reference.Parse(text)
		if kind := nebula.KindOf(err); kind != nebula.ErrUsage && kind != nebula.ErrInvalidID {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := reference.Parse("nebula://hunter2-canary:x@y/z"); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("the error shows text that may be a secret: %v", err)
	}
}

const document = `{"user":"ann","n":1.50,"yes":true,"nothing":null,"list":[1,{"x":"é\u00e9"},"c"], "o": { "a" : 1 },
 "a.b":"exact","a":{"b":"dotted"},"d":{"e.f":1},"twice":1,"twice":2,"/":"slash","":"empty","m~n":{"p/q":"r"},
 "big":12345678901234567890123,"pair":"\ud83d\ude00","half":"a\ud83dz","low":"\ude00","lines":"a\nb\"\\"}`

func TestSelect(t *testing.T) {
	for field, want := range map[string]string{
		"": document, "user": "ann", "n": "1.50", "yes": "true", "list": `[1,{"x":"é\u00e9"},"c"]`, "o": `{"a":1}`,
		"list.0": "1", "list.1.x": "éé", "/list/2": "c", "a.b": "exact", "/a/b": "dotted", "/a.b": "exact", "/d/e.f": "1",
		"/": "empty", "/~1": "slash", "/m~0n/p~1q": "r", "m~n.p/q": "r", "big": "12345678901234567890123", "pair": "😀", "lines": "a\nb\"\\",
	} {
		got, err := reference.Reference{ID: "db", Field: field}.Select([]byte(document))
		if err != nil || string(got) != want {
			t.Errorf("#%s: %q, %v, want %q", field, got, err, want)
		}
	}
	for field, want := range map[string]nebula.Kind{
		"none": nebula.ErrNotFound, "list.3": nebula.ErrNotFound, "list.01": nebula.ErrNotFound, "list.-1": nebula.ErrNotFound,
		"user.x": nebula.ErrNotFound, "/user/x": nebula.ErrNotFound, "d.e.f": nebula.ErrNotFound, "User": nebula.ErrNotFound,
		"nothing": nebula.ErrUsage, "twice": nebula.ErrUsage, "/twice": nebula.ErrUsage, "half": nebula.ErrUsage, "low": nebula.ErrUsage,
	} {
		got, err := reference.Reference{ID: "db", Field: field}.Select([]byte(document))
		var e *nebula.Error
		if !errors.As(err, &e) || e.Kind != want || e.ID != "db" || !strings.Contains(e.Message, field) {
			t.Errorf("#%s: %q, %v, want %s", field, got, err, want)
		}
	}
	for _, value := range []string{"", "{", "plain canary", "{} {}", "{\"a\":\"\xff\"}", `{"a":canary}`} {
		_, err := reference.Reference{ID: "db", Field: "a"}.Select([]byte(value))
		if nebula.KindOf(err) != nebula.ErrUsage || strings.Contains(err.Error(), "canary") {
			t.Errorf("in %q: %v", value, err)
		}
	}
}

func FuzzSelect(f *testing.F) {
	f.Add(document, "list.1.x")
	f.Add(document, "/m~0n/p~1q")
	f.Add(`[["\ud800"]]`, "/0/0")
	f.Fuzz(func(t *testing.T, value, field string) {
		got, err := reference.Reference{ID: "x", Field: field}.Select([]byte(value))
		var e *nebula.Error
		switch {
		case err != nil && (!errors.As(err, &e) || got != nil):
			t.Errorf("%q and %v", got, err)
		case err == nil && field == "" && string(got) != value:
			t.Error("without a field, Select returns another value")
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("nebula://work/db?version=3#user.name")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := reference.Parse(text)
		if err == nil && r.String() != text {
			t.Errorf("%q is written %q", text, r)
		}
	})
}
