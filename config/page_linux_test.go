package config

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The part of docs/configuration.md with every key is made from the code:
//
//	go test ./config -run TestPage -update
//
// The description of a key is the comment of its field. A new section is found by itself.
var update = flag.Bool("update", false, "write docs/configuration.md anew")

const (
	page      = "../docs/configuration.md"
	beginMark = "<!-- made by: go test ./config -run TestPage -update -->\n"
	endMark   = "<!-- end -->\n"
	someone   = "/home/USER"
	module    = "github.com/nebula-credential/nebula/"
)

func TestPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), beginMark)
	old, after, ended := strings.Cut(rest, endMark)
	if !ok || !ended {
		t.Fatalf("%s has no place for the keys", page)
	}
	p := newPageWriter(t)
	made := p.sections()
	switch {
	case made == old:
	case !*update:
		t.Errorf("%s is out of date: run go test ./config -run TestPage -update", page)
	default:
		if err := os.WriteFile(page, []byte(before+beginMark+made+endMark+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range otherVariables() {
		if !strings.Contains(before+after, "`"+name+"`") {
			t.Errorf("%s does not name %s", page, name)
		}
	}
}

// pageWriter describes the keys of a configuration with one named store.
type pageWriter struct {
	t       *testing.T
	config  *Config
	fields  *fields
	obeyed  map[string]string // the backends' own variables, by key
	structs map[reflect.Type]map[string]string
}

func newPageWriter(t *testing.T) *pageWriter {
	c, err := Load(Source{File: writeNamed(t), Environ: []string{"HOME=" + someone, "XDG_RUNTIME_DIR=/run/user/UID"}})
	if err != nil {
		t.Fatal(err)
	}
	p := &pageWriter{t: t, config: c, fields: c.fields, obeyed: make(map[string]string), structs: make(map[reflect.Type]map[string]string)}
	for _, r := range c.providers {
		p.obey("storage."+r.name, r.obeys)
	}
	for _, s := range services() {
		p.obey("key."+s.service.section, s.service.obeys)
	}
	return p
}

// writeNamed writes a configuration with a store NAME, and returns its path.
func writeNamed(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte("[stores.NAME]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (p *pageWriter) obey(section string, variables map[string]string) {
	for key, name := range variables {
		p.obeyed[section+"."+key] = name
	}
}

// sections describes all keys, below a heading for each section.
func (p *pageWriter) sections() string {
	var b strings.Builder
	bySection := make(map[string][]*field)
	var order []string
	for _, f := range p.fields.order {
		section := p.section(f.key)
		if section == "" {
			continue
		}
		if bySection[section] == nil {
			order = append(order, section)
		}
		bySection[section] = append(bySection[section], f)
	}
	for _, section := range order {
		fmt.Fprintf(&b, "\n### `[%s]`\n\n| key, variable | type | default | allowed | |\n|---|---|---|---|---|\n", section)
		for _, f := range bySection[section] {
			b.WriteString(p.row(section, f))
		}
	}
	b.WriteString("\n")
	return b.String()
}

// section returns the section that describes a key: [storage.aws] also has the sections
// below it. If a named store has the same key as the default store, it returns "".
func (p *pageWriter) section(key string) string {
	parts := strings.Split(key, ".")
	if rest, ok := strings.CutPrefix(key, "stores.NAME."); ok {
		if p.fields.byKey[rest] != nil || p.fields.byKey["storage."+rest] != nil {
			return ""
		}
		return strings.Join(parts[:len(parts)-1], ".")
	}
	return strings.Join(parts[:min(len(parts)-1, 2)], ".")
}

func (p *pageWriter) row(section string, f *field) string {
	names := []string{"`" + strings.TrimPrefix(f.key, section+".") + "`"}
	switch {
	case f.key == "key.files":
		names = append(names, "`"+variable("key.file")+"`, joined as in `PATH`")
	case f.key == "key.identities":
		names = append(names, "`"+envIdentities+"`, joined as in `PATH`")
	case hasVariable(f.key):
		names = append(names, "`"+variable(f.key)+"`")
	}
	if own := p.obeyed[f.key]; own != "" {
		names = append(names, "else `"+own+"`")
	}
	cells := []string{strings.Join(names, "<br>"), kindOf(f), defaultOf(f), p.allowed(f), p.description(f)}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func kindOf(f *field) string {
	switch {
	case f.value.Type() == durationType():
		return "duration"
	case f.isPath() && f.value.Kind() == reflect.Slice:
		return "list of paths"
	case f.isPath():
		return "path"
	case f.value.Kind() == reflect.Slice:
		return "list"
	case f.value.Kind() == reflect.Map:
		return "table"
	case f.value.Kind() == reflect.Bool:
		return "boolean"
	case f.value.CanFloat():
		return "number"
	case f.value.CanInt(), f.value.CanUint():
		return "integer"
	}
	return "string"
}

func defaultOf(f *field) string {
	var text string
	switch value := f.value.Interface().(type) {
	case time.Duration:
		text = short(value)
	case []string:
		text = strings.Join(value, ", ")
	case map[string]string:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, key+"="+value[key])
		}
		text = strings.Join(parts, ", ")
	default:
		text = fmt.Sprint(value)
	}
	if leaf(f.key) == "file" && text == "" {
		text = someone + "/.config/nebula/key"
	}
	if text == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(text, someone, "~") + "`"
}

// short writes a duration as people write it.
func short(d time.Duration) string {
	text := d.String()
	text = regexp.MustCompile(`([hm])0s$`).ReplaceAllString(text, "$1")
	return regexp.MustCompile(`h0m$`).ReplaceAllString(text, "h")
}
