package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
)

// mutant replaces a part of a file.
type mutant struct {
	file     string
	line     int
	function string // or "const"
	what     string
	from, to int // offsets in the file
	text     string
	part     part
}

// part is what a mutant replaces. It decides how the mutant is switched on: see guard.
// If two mutants replace the same text, the switch of the earlier kind is the outer
// one.
type part int

const (
	statement part = iota
	caseValue
	condition
	sum
	number
	constant // cannot be switched: built by itself
)

// key identifies a mutant, even if its line moves.
func (m *mutant) key() string { return m.file + ": " + m.function + ": " + m.what }

// swapped are the operators that replace each other.
var swapped = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
}

// find returns the mutants of a file, in order.
func find(name string, source []byte) ([]*mutant, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := finder{file: name, files: files, source: source}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Body != nil {
				f.within = nameOf(d)
				f.function(d.Type, d.Body)
			}
		case *ast.GenDecl:
			f.within = "const"
			f.constants(d)
		}
	}
	slices.SortStableFunc(f.found, func(a, b *mutant) int { return a.from - b.from })
	count := make(map[string]int)
	for _, m := range f.found {
		key := m.key()
		if count[key]++; count[key] > 1 {
			m.what += fmt.Sprintf(" (%d)", count[key])
		}
	}
	return f.found, nil
}

// nameOf returns a function's name, with its receiver's type.
func nameOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name + "." + d.Name.Name
	}
	return d.Name.Name
}

type finder struct {
	file   string
	within string
	files  *token.FileSet
	source []byte
	found  []*mutant
}

func (f *finder) add(n ast.Node, p part, text, what string) {
	at := f.files.Position(n.Pos())
	f.found = append(f.found, &mutant{file: f.file, line: at.Line, function: f.within, what: what,
		from: at.Offset, to: f.files.Position(n.End()).Offset, text: text, part: p})
}

// all returns the text of a part.
func (f *finder) all(from, to token.Pos) string {
	return string(f.source[f.files.Position(from).Offset:f.files.Position(to).Offset])
}

// text returns the first line of a part.
func (f *finder) text(n ast.Node) string {
	first, _, _ := bytes.Cut([]byte(f.all(n.Pos(), n.End())), []byte("\n"))
	return string(first)
}

// constants adds one to each constant of the package that is a number.
func (f *finder) constants(d *ast.GenDecl) {
	for _, s := range d.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok || d.Tok != token.CONST {
			continue
		}
		for i, v := range spec.Values {
			if !hasText(v) && !hasName(v, "iota", "true", "false") {
				f.add(v, constant, "("+f.all(v.Pos(), v.End())+") + 1", spec.Names[i].Name+" became one more")
			}
		}
	}
}

// function finds the mutants in a function of type t.
func (f *finder) function(t *ast.FuncType, body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			f.function(n.Type, n.Body)
			return false
		case *ast.GenDecl:
			f.constants(n)
			return n.Tok != token.CONST
		case *ast.KeyValueExpr: // the texts of an error
			return !hasName(n.Key, "Message", "Hint")
		case *ast.CallExpr:
			return f.call(n)
		case *ast.ReturnStmt:
			f.returned(t, n)
		case *ast.IfStmt:
			f.negate(n.Cond)
		case *ast.ForStmt:
			if n.Cond != nil {
				f.negate(n.Cond)
			}
		case *ast.BinaryExpr:
			f.swap(n)
		case *ast.Ident:
			if other := map[string]string{"true": "false", "false": "true"}[n.Name]; other != "" {
				f.add(n, condition, other, n.Name+" became "+other)
			}
		case *ast.BasicLit:
			if i, err := strconv.ParseInt(n.Value, 0, 32); n.Kind == token.INT && err == nil {
				f.add(n, number, fmt.Sprint(i+1), fmt.Sprintf("%s became %d", n.Value, i+1))
			}
		case *ast.SwitchStmt:
			f.cases(n)
		case *ast.BlockStmt:
			f.drop(n.List)
		case *ast.CaseClause:
			f.drop(n.Body)
		case *ast.CommClause:
			f.drop(n.Body)
		}
		return true
	})
}

// call reports whether to look for mutants in a call. The text of an error, the size of
// a map and the capacity of a slice do not change what a program does. The length of a
// slice does.
func (f *finder) call(n *ast.CallExpr) bool {
	switch {
	case hasName(n.Fun, "Sprintf", "Errorf"):
		return false
	case hasName(n.Fun, "make") && len(n.Args) == 3:
		ast.Inspect(n.Args[1], func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.INT && l.Value == "0" {
				f.add(l, number, "1", "0 became 1")
			}
			return true
		})
		return false
	case hasName(n.Fun, "make") && len(n.Args) == 2:
		_, isMap := n.Args[0].(*ast.MapType)
		return !isMap
	}
	return true
}

func (f *finder) swap(n *ast.BinaryExpr) {
	other, ok := swapped[n.Op]
	if !ok || hasText(n) && n.Op == token.ADD {
		return
	}
	p := condition
	switch n.Op {
	case token.ADD, token.SUB:
		p = sum
	case token.MUL, token.QUO:
		p = constant // both operands are evaluated: a division by zero would panic even if it is switched off
	}
	end := n.OpPos + token.Pos(len(n.Op.String()))
	f.add(n, p, f.all(n.Pos(), n.OpPos)+other.String()+f.all(end, n.End()), fmt.Sprintf("%s became %s in %s", n.Op, other, f.text(n)))
}

// negate inverts a condition. It leaves == and != to swap, which inverts them.
func (f *finder) negate(n ast.Expr) {
	if c, ok := n.(*ast.BinaryExpr); ok && (c.Op == token.EQL || c.Op == token.NEQ) {
		return
	}
	f.add(n, condition, "!("+f.all(n.Pos(), n.End())+")", "turned around: "+f.text(n))
}

// cases drops conditions and values of a switch, one at a time.
func (f *finder) cases(s *ast.SwitchStmt) {
	for _, c := range s.Body.List {
		for _, e := range c.(*ast.CaseClause).List {
			if s.Tag == nil {
				f.add(e, condition, "false", "case dropped: "+f.text(e))
			} else {
				f.add(e, caseValue, "", "case dropped: "+f.text(e))
			}
		}
	}
}

// drop leaves statements out, one at a time.
func (f *finder) drop(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && hasName(call.Fun, "panic") {
				continue
			}
		case *ast.BranchStmt:
			if s.Tok == token.FALLTHROUGH {
				continue
			}
		case *ast.DeferStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt:
		default:
			continue
		}
		f.add(s, statement, "", "dropped: "+f.text(s))
	}
}

// returned returns nil instead of an error.
func (f *finder) returned(t *ast.FuncType, s *ast.ReturnStmt) {
	if t.Results == nil || len(s.Results) == 0 {
		return
	}
	kind, ok := t.Results.List[len(t.Results.List)-1].Type.(*ast.Ident)
	last := s.Results[len(s.Results)-1]
	if text := f.text(last); ok && kind.Name == "error" && text != "nil" && len(s.Results) == t.Results.NumFields() {
		f.add(s, statement, f.all(s.Pos(), last.Pos())+"nil", "nil instead of "+text)
	}
}

// hasText reports whether there is a string in an expression.
func hasText(e ast.Expr) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		l, ok := n.(*ast.BasicLit)
		found = found || ok && (l.Kind == token.STRING || l.Kind == token.CHAR)
		return true
	})
	return found
}

// hasName reports whether an expression is one of these names, of this package or of
// another one.
func hasName(e ast.Expr, names ...string) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return slices.Contains(names, e.Name)
	case *ast.SelectorExpr:
		return slices.Contains(names, e.Sel.Name)
	}
	return false
}
