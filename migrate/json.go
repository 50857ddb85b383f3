package migrate

import (
	"slices"

	"github.com/nebula-credential/nebula/internal/jsonread"
)

// reader reads JSON into known fields as the parser of the records' writer does.
type reader struct{ *jsonread.Reader }

// field is a known field of an object.
type field struct {
	name     string
	optional bool // may be missing
	read     func()
}

// fields reads an object with known fields, each once. It skips the values of
// unknown fields. It also accepts an array of all known fields in their order.
func (r reader) fields(known []field) {
	seen := make([]bool, len(known))
	read := func(i int) {
		if i < 0 || i >= len(known) || seen[i] {
			r.Fail()
			return
		}
		seen[i] = true
		known[i].read()
	}
	if r.Peek() == '[' {
		r.Array(read)
		if slices.Contains(seen, false) {
			r.Fail()
		}
		return
	}
	r.Object(func(key string) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == key })
		if i < 0 {
			r.Skip()
			return
		}
		read(i)
	})
	for i, f := range known {
		if !seen[i] && !f.optional {
			r.Fail()
		}
	}
}

// option reads a value that may be null.
func (r reader) option(read func()) {
	if r.Peek() == 'n' {
		r.Literal("null")
		return
	}
	read()
}

// bytes reads an array of numbers from 0 to 255.
func (r reader) bytes() []byte {
	b := []byte{}
	r.Array(func(int) { b = append(b, byte(r.Uint(255))) })
	return b
}

// fixed reads an array of exactly len(dst) bytes.
func (r reader) fixed(dst []byte) {
	if b := r.bytes(); copy(dst, b) != len(dst) || len(b) != len(dst) {
		r.Fail()
	}
}
