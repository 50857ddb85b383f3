package nebula_test

import (
	"go/ast"
	"go/build"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const modulePath = "github.com/nebula-credential/nebula"

// source is a package's files, without tests.
type source struct {
	path  string
	files []*ast.File
	set   *token.FileSet
}

// readSource reads the package in a directory. If there is none, it has no files.
func readSource(t *testing.T, dir, importPath string) source {
	t.Helper()
	s := source{path: importPath, set: token.NewFileSet()}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(s.set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, f)
	}
	return s
}

// sources returns the packages of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); name == "testdata" || name != "." && strings.HasPrefix(name, ".") {
			return filepath.SkipDir
		}
		if nested, _ := filepath.Glob(filepath.Join(dir, "go.mod")); dir != "." && nested != nil {
			return filepath.SkipDir
		}
		if s := readSource(t, dir, path.Join(modulePath, filepath.ToSlash(dir))); s.files != nil {
			all = append(all, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// symbols returns the names that are declared at the top level; methods and fields
// are Type.Name.
func (s source) symbols() map[string]bool {
	found := make(map[string]bool)
	for _, f := range s.files {
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					found[d.Name.Name] = true
				} else {
					found[baseName(d.Recv.List[0].Type)+"."+d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					note(found, spec)
				}
			}
		}
	}
	return found
}

func note(found map[string]bool, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			found[name.Name] = true
		}
	case *ast.TypeSpec:
		found[spec.Name.Name] = true
		var members *ast.FieldList
		switch kind := spec.Type.(type) {
		case *ast.StructType:
			members = kind.Fields
		case *ast.InterfaceType:
			members = kind.Methods
		default:
			return
		}
		for _, field := range members.List {
			for _, name := range field.Names {
				found[spec.Name.Name+"."+name.Name] = true
			}
		}
	}
}

// baseName returns the name of a receiver's type.
func baseName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return baseName(e.X)
	case *ast.IndexExpr:
		return baseName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// imports returns the paths of a package's imports by the names they have there.
func (s source) imports() map[string]string {
	byName := make(map[string]string)
	for _, f := range s.files {
		for _, i := range f.Imports {
			at := strings.Trim(i.Path.Value, `"`)
			name := path.Base(at)
			if i.Name != nil {
				name = i.Name.Name
			}
			byName[name] = at
		}
	}
	return byName
}

// links calls visit with each doc link in a comment.
func links(text string, imports map[string]string, visit func(*comment.DocLink)) {
	p := comment.Parser{
		LookupSym: func(_, _ string) bool { return true },
		LookupPackage: func(name string) (string, bool) {
			if at, ok := imports[name]; ok {
				return at, true
			}
			if at, ok := comment.DefaultLookupPackage(name); ok {
				return at, true
			}
			return "no import " + name, true
		},
	}
	var inText func([]comment.Text)
	inText = func(texts []comment.Text) {
		for _, t := range texts {
			switch t := t.(type) {
			case *comment.DocLink:
				visit(t)
			case *comment.Link:
				inText(t.Text)
			}
		}
	}
	var inBlocks func([]comment.Block)
	inBlocks = func(blocks []comment.Block) {
		for _, b := range blocks {
			switch b := b.(type) {
			case *comment.Paragraph:
				inText(b.Text)
			case *comment.Heading:
				inText(b.Text)
			case *comment.List:
				for _, item := range b.Items {
					inBlocks(item.Content)
				}
			}
		}
	}
	inBlocks(p.Parse(text).Content)
}

// Every [Name], [pkg.Name] and [Type.Method] in a comment names something.
func TestDocLinksResolve(t *testing.T) {
	all := sources(t)
	known := make(map[string]map[string]bool)
	for _, s := range all {
		known[s.path] = s.symbols()
	}
	symbolsOf := func(importPath string) map[string]bool {
		if known[importPath] == nil {
			known[importPath] = make(map[string]bool)
			if p, err := build.Import(importPath, ".", build.FindOnly); err == nil {
				known[importPath] = readSource(t, p.Dir, importPath).symbols()
			}
		}
		return known[importPath]
	}
	found := 0
	for _, s := range all {
		imports := s.imports()
		for _, f := range s.files {
			if imports[f.Name.Name] == "" { // an import of the package's own name wins
				imports[f.Name.Name] = s.path
			}
			for _, group := range f.Comments {
				links(group.Text(), imports, func(l *comment.DocLink) {
					found++
					in, name := l.ImportPath, strings.TrimPrefix(l.Recv+"."+l.Name, ".")
					if in == "" {
						in = s.path
					}
					// Not a link: a section of a configuration, or a placeholder.
					if name == strings.ToUpper(name) {
						return
					}
					if !symbolsOf(in)[name] {
						t.Errorf("%v: [%s] names nothing in %s", s.set.Position(group.Pos()), name, in)
					}
				})
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d links were found", found)
	}
}

// Users of a public package need not look into an internal one.
func TestPublicSignaturesNameNothingInternal(t *testing.T) {
	for _, s := range sources(t) {
		if strings.Contains(s.path, "/internal/") || strings.Contains(s.path, "/cmd/") {
			continue
		}
		imports := s.imports()
		for _, f := range s.files {
			ast.FileExports(f)
			for _, decl := range f.Decls {
				if d, ok := decl.(*ast.FuncDecl); ok {
					d.Body = nil
				}
				ast.Inspect(decl, func(n ast.Node) bool {
					selector, ok := n.(*ast.SelectorExpr)
					if !ok {
						return true
					}
					if x, ok := selector.X.(*ast.Ident); ok && strings.Contains(imports[x.Name], "/internal/") {
						t.Errorf("%v: a public signature has the internal type %s.%s", s.set.Position(n.Pos()), x.Name, selector.Sel.Name)
					}
					return true
				})
			}
		}
	}
}
