package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// guarded is a file in which each mutant is behind a switch.
type guarded struct {
	text   []byte
	places []place
}

// place says where a mutant is in the text.
type place struct {
	from, to int
	mutant   int
}

// guard puts the mutants into a file, each behind a switch with its number. They nest:
// the text of a mutant is written beside the part that it replaces, and only that part
// is guarded further, because two mutants are never on at once.
func guard(source []byte, mutants map[int]*mutant) guarded {
	numbers := make([]int, 0, len(mutants))
	for n := range mutants {
		numbers = append(numbers, n)
	}
	slices.SortFunc(numbers, func(a, b int) int {
		x, y := mutants[a], mutants[b]
		return cmp.Or(x.from-y.from, y.to-x.to, cmp.Compare(x.part, y.part), a-b)
	})
	var g guarded
	g.write(source, 0, len(source), numbers, mutants)
	return g
}

// write writes a part of a file with its mutants.
func (g *guarded) write(source []byte, from, to int, numbers []int, mutants map[int]*mutant) {
	for len(numbers) > 0 {
		n := numbers[0]
		m := mutants[n]
		inner := 1
		for inner < len(numbers) && mutants[numbers[inner]].from < m.to {
			inner++
		}
		g.text = append(g.text, source[from:m.from]...)
		start := len(g.text)
		before, after, whole := m.guard(n)
		g.text = append(g.text, before...)
		if !whole {
			g.write(source, m.from, m.to, numbers[1:inner], mutants)
		}
		g.text = append(g.text, after...)
		g.places = append(g.places, place{start, len(g.text), n})
		from, numbers = m.to, numbers[inner:]
	}
	g.text = append(g.text, source[from:to]...)
}

// guard returns what is written before and after the part that the mutant replaces, or
// instead of it.
func (m *mutant) guard(n int) (before, after string, whole bool) {
	switch m.part {
	case condition:
		return fmt.Sprintf("(mutantOn(%d) && (%s) || !mutantOn(%d) && (", n, m.text, n), "))", false
	case statement:
		return fmt.Sprintf("if mutantOn(%d) { %s } else { ", n, m.text), " }", false
	case sum:
		return fmt.Sprintf("mutantPick(%d, %s, ", n, m.text), ")", false
	case caseValue:
		return fmt.Sprintf("mutantCase(%d, ", n), ")", false
	}
	// If a shift's count is not constant, the shift has the type that the number needs
	// in that place, which may have no numbers below 0.
	if m.text == "1" {
		return fmt.Sprintf("(1<<mutantBit(%d) - 1)", n), "", true
	}
	more, _ := strconv.Atoi(m.text)
	return fmt.Sprintf("(%d + 1<<mutantBit(%d))", more-2, n), "", true
}

// at returns the number of the innermost mutant at an offset, or 0.
func (g *guarded) at(offset int) int {
	found := place{to: len(g.text) + 1}
	for _, p := range g.places {
		if p.from <= offset && offset < p.to && p.to-p.from < found.to-found.from {
			found = p
		}
	}
	return found.mutant
}

// offset returns the offset of a line and a column, which count from 1.
func (g *guarded) offset(line, column int) int {
	offset := 0
	for range line - 1 {
		offset += strings.IndexByte(string(g.text[offset:]), '\n') + 1
	}
	return offset + column - 1
}

// switches is the file that each package with mutants receives. The environment says
// which mutant is on, or else names a file for the numbers of those that are reached.
const switches = `package %s

import (
	"os"
	"reflect"
	"strconv"
	"sync/atomic"
)

var (
	mutantActive, _ = strconv.Atoi(os.Getenv("MUTANT"))
	mutantReached   = mutantOpen(os.Getenv("MUTANT_REACHED"))
	mutantSeen      [%d]atomic.Bool
)

// mutantOpen opens the file early: some tests let calls that open files fail.
func mutantOpen(path string) *os.File {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	return f
}

func mutantOn(n int) bool {
	if mutantReached != nil && !mutantSeen[n].Swap(true) {
		mutantReached.WriteString(strconv.Itoa(n) + "\n")
	}
	return n == mutantActive
}

func mutantBit(n int) uint {
	if mutantOn(n) {
		return 1
	}
	return 0
}

func mutantPick[T any](n int, mutant, original T) T {
	if mutantOn(n) {
		return mutant
	}
	return original
}

// mutantCase returns a value that nothing is equal to, as far as there is one.
func mutantCase[T any](n int, value T) T {
	if !mutantOn(n) {
		return value
	}
	switch v := reflect.ValueOf(&value).Elem(); v.Kind() {
	case reflect.String:
		v.SetString("\x00mutant")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(-113)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(241)
	default:
		v.SetZero()
	}
	return value
}
`
