package providertest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// TestRulesAreComplete: a function that has a rule's shape and is never called would
// look like a check.
func TestRulesAreComplete(t *testing.T) {
	listed := make(map[string]bool)
	for _, rule := range rules() {
		if listed[rule.name] {
			t.Errorf("%s is listed twice", rule.name)
		}
		listed[rule.name] = true
	}
	found := 0
	for name, doc := range ruleFunctions(t) {
		found++
		if !listed[name] {
			t.Errorf("%s is not listed in rules.go", name)
		}
		if !strings.HasPrefix(doc, name+": ") {
			t.Errorf("%s has no comment that begins with its name and states the rule", name)
		}
		delete(listed, name)
	}
	for name := range listed {
		t.Errorf("%s is listed, but there is no such function", name)
	}
	// Raise it with each new rule, so that this test notices if a rule and its line
	// in rules.go are removed.
	const known = 120
	if found < known {
		t.Errorf("%d rules were found, want at least %d", found, known)
	}
}

// ruleFunctions returns the comments of the functions that have a rule's shape.
func ruleFunctions(t *testing.T) map[string]string {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && isRule(f) {
				found[f.Name.Name] = f.Doc.Text()
			}
		}
	}
	return found
}

func isRule(f *ast.FuncDecl) bool {
	if f.Recv != nil || f.Type.Results != nil || len(f.Type.Params.List) != 1 {
		return false
	}
	star, ok := f.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	name, ok := star.X.(*ast.Ident)
	return ok && name.Name == "rig"
}

// TestRuleNames: a subtest has the name of its function.
func TestRuleNames(t *testing.T) {
	source, err := os.ReadFile("rules.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules() {
		if !strings.Contains(string(source), `{"`+rule.name+`", `+rule.name+`}`) {
			t.Errorf("%s is not the name of its function", rule.name)
		}
	}
}

func TestKeyrings(t *testing.T) {
	first, second := keyrings()
	if first.KeyID() != second.KeyID() || string(first.Bytes()) == string(second.Bytes()) {
		t.Error("the keyrings should be two of one key")
	}
	r := &rig{T: t, private: &privateTexts{}}
	if r.record("id").KeyID() != first.KeyID() {
		t.Error("DataKey does not fit the keyring")
	}
	if a, b := r.record("id"), r.record("id"); string(a.Bytes()) == string(b.Bytes()) {
		t.Error("two records are the same")
	}
	for size := 600; size < 620; size++ {
		if got := len(r.sized("id", size).Bytes()); got != size {
			t.Errorf("a record of %d bytes, want %d", got, size)
		}
	}
}
