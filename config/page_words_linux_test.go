package config

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// allowed returns the bounds of a number. It finds them by trying, except for those that
// are not one range.
func (p *pageWriter) allowed(f *field) string {
	var low, high string
	switch {
	case leaf(f.key) == "max_delay_ms":
		return "more than `base_delay_ms`"
	case leaf(f.key) == "expires_after":
		return "0s, or at least 1h"
	case !hasVariable(f.key):
	case f.value.Type() == durationType():
		seconds := func(n int64) string { return short(time.Duration(n) * time.Second) }
		low, high = bounds(f.value.Int()/int64(time.Second), func(n int64) bool { return p.takes(f, seconds(n)) }, seconds)
	case f.value.CanInt():
		low, high = bounds(f.value.Int(), func(n int64) bool { return p.takes(f, strconv.FormatInt(n, 10)) }, grouped)
	case f.value.CanFloat():
		hundredths := func(n int64) string { return strconv.FormatFloat(float64(n)/100, 'f', -1, 64) }
		low, high = bounds(int64(f.value.Float()*100), func(n int64) bool { return p.takes(f, hundredths(n)) }, hundredths)
	}
	switch {
	case low != "" && high != "":
		return low + " to " + high
	case low != "":
		return "at least " + low
	}
	return ""
}

// grouped writes a number with commas.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// bounds looks for the least and the greatest number that is accepted, beginning at the
// default. "" means no bound.
func bounds(good int64, takes func(int64) bool, show func(int64) string) (low, high string) {
	search := func(bad int64) string {
		if takes(bad) {
			return ""
		}
		last := good
		for max(last, bad)-min(last, bad) > 1 {
			if middle := (last + bad) / 2; takes(middle) {
				last = middle
			} else {
				bad = middle
			}
		}
		return show(last)
	}
	return search(-1), search(math.MaxInt32)
}

// takes reports whether a value causes no problem that the default does not cause.
func (p *pageWriter) takes(f *field, text string) bool {
	environ := []string{"HOME=" + someone}
	provider := "local"
	if parts := strings.Split(f.key, "."); len(parts) > 2 && parts[0] == "storage" {
		provider = parts[1]
	}
	environ = append(environ, "NEBULA_STORAGE_PROVIDER="+provider)
	problems := func(environ []string) string {
		_, err := Load(Source{File: os.DevNull, Environ: environ})
		return fmt.Sprint(err)
	}
	return problems(environ) == problems(append(environ, variable(f.key)+"="+text))
}

// description returns the comment of a field in the code, with keys instead of the names
// of fields.
func (p *pageWriter) description(f *field) string {
	described, ok := p.structs[f.owner]
	if !ok {
		described = p.describe(f.owner)
		p.structs[f.owner] = described
	}
	text := described[f.name]
	if text == "" {
		p.t.Errorf("%s: %s.%s has no comment", f.key, f.owner, f.name)
	}
	for i := range f.owner.NumField() {
		name := f.owner.Field(i).Name
		word := regexp.MustCompile(`\b` + name + `\b`)
		key, _, _ := strings.Cut(f.owner.Field(i).Tag.Get("toml"), ",")
		if key == "" && word.MatchString(text) {
			p.t.Errorf("%s: the text of %s.%s names %s, which is not a key", f.key, f.owner, f.name, name)
		}
		text = word.ReplaceAllString(text, "`"+key+"`")
	}
	text = regexp.MustCompile("^`"+leaf(f.key)+"` (is|are) ").ReplaceAllString(text, "")
	text = strings.ReplaceAll(strings.ReplaceAll(text, `""`, "`\"\"`"), "|", `\|`)
	if regexp.MustCompile(`^[a-z]+ `).MatchString(text) { // neither a value nor an address
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return strings.TrimSuffix(text, ".") + "."
}

// describe reads the comments of a struct's fields from the source.
func (p *pageWriter) describe(owner reflect.Type) map[string]string {
	dir := "../" + strings.TrimPrefix(owner.PkgPath(), module)
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		p.t.Fatal(err)
	}
	texts := make(map[string]string)
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			p.t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != owner.Name() {
				return true
			}
			for _, f := range spec.Type.(*ast.StructType).Fields.List {
				for _, name := range f.Names {
					texts[name.Name] = strings.Join(strings.Fields(cmp.Or(f.Doc.Text(), f.Comment.Text())), " ")
				}
			}
			return false
		})
	}
	return texts
}
