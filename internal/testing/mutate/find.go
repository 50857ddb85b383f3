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
	from, to int // offsets
	text     string
	line     int
	what     string
}

func (m mutant) apply(source []byte) []byte {
	return slices.Concat(source[:m.from], []byte(m.text), source[m.to:])
}

// swapped are the operators that are exchanged.
var swapped = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
}

// find returns the mutants of a file, in its order.
func find(name string, source []byte) ([]mutant, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := finder{files: files, source: source}
	for _, d := range file.Decls {
		if function, ok := d.(*ast.FuncDecl); ok && function.Body != nil {
			f.function(function.Type, function.Body)
		}
	}
	slices.SortStableFunc(f.found, func(a, b mutant) int { return a.from - b.from })
	return f.found, nil
}

type finder struct {
	files  *token.FileSet
	source []byte
	found  []mutant
}

func (f *finder) add(from, to token.Pos, text, what string) {
	at := f.files.Position(from)
	f.found = append(f.found, mutant{at.Offset, f.files.Position(to).Offset, text, at.Line, what})
}

// text returns the first line of a part.
func (f *finder) text(n ast.Node) string {
	whole := f.source[f.files.Position(n.Pos()).Offset:f.files.Position(n.End()).Offset]
	first, _, _ := bytes.Cut(whole, []byte("\n"))
	return string(first)
}

// function looks at a function that returns what t says.
func (f *finder) function(t *ast.FuncType, body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			f.function(n.Type, n.Body)
			return false
		case *ast.ReturnStmt:
			f.returned(t, n)
		case *ast.IfStmt:
			f.negate(n.Cond)
		case *ast.ForStmt:
			if n.Cond != nil {
				f.negate(n.Cond)
			}
		case *ast.BinaryExpr:
			if other, ok := swapped[n.Op]; ok {
				f.add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other.String(), fmt.Sprintf("%s became %s in %s", n.Op, other, f.text(n)))
			}
		case *ast.Ident:
			if other := map[string]string{"true": "false", "false": "true"}[n.Name]; other != "" {
				f.add(n.Pos(), n.End(), other, n.Name+" became "+other)
			}
		case *ast.BasicLit:
			if number, err := strconv.ParseInt(n.Value, 0, 32); n.Kind == token.INT && err == nil {
				f.add(n.Pos(), n.End(), fmt.Sprint(number+1), fmt.Sprintf("%s became %d", n.Value, number+1))
			}
		case *ast.BlockStmt:
			f.drop(n.List)
		case *ast.CaseClause:
			f.cases(n)
			f.drop(n.Body)
		case *ast.CommClause:
			f.drop(n.Body)
		}
		return true
	})
}

// negate turns a condition around. A comparison is left to its operator, unless
// that only moves a limit.
func (f *finder) negate(condition ast.Expr) {
	if c, ok := condition.(*ast.BinaryExpr); ok && (c.Op == token.EQL || c.Op == token.NEQ) {
		return
	}
	f.add(condition.Pos(), condition.End(), "!("+string(f.source[f.files.Position(condition.Pos()).Offset:f.files.Position(condition.End()).Offset])+")",
		"turned around: "+f.text(condition))
}

// cases takes the conditions of a switch without a value out, one at a time. A case
// with a value is dropped alike: no value is equal to it any more.
func (f *finder) cases(c *ast.CaseClause) {
	for _, e := range c.List {
		if b, ok := e.(*ast.BinaryExpr); ok && (b.Op == token.EQL || b.Op == token.NEQ || b.Op == token.LAND || b.Op == token.LOR) {
			f.add(e.Pos(), e.End(), "false && ("+string(f.source[f.files.Position(e.Pos()).Offset:f.files.Position(e.End()).Offset])+")", "case dropped: "+f.text(e))
		}
		if call, ok := e.(*ast.CallExpr); ok {
			f.add(e.Pos(), e.End(), "false && "+string(f.source[f.files.Position(e.Pos()).Offset:f.files.Position(e.End()).Offset]), "case dropped: "+f.text(call))
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
		case *ast.ExprStmt, *ast.DeferStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt, *ast.BranchStmt:
		default:
			continue
		}
		f.add(s.Pos(), s.End(), "", "dropped: "+f.text(s))
	}
}

// returned reports success instead of an error.
func (f *finder) returned(t *ast.FuncType, s *ast.ReturnStmt) {
	if t.Results == nil || len(s.Results) == 0 {
		return
	}
	kind, ok := t.Results.List[len(t.Results.List)-1].Type.(*ast.Ident)
	last := s.Results[len(s.Results)-1]
	if text := f.text(last); ok && kind.Name == "error" && text != "nil" && len(s.Results) == t.Results.NumFields() {
		f.add(last.Pos(), last.End(), "nil", "nil instead of "+text)
	}
}
