package atomicfile

import (
	"errors"
	"io"
	"testing"
)

// TestShortWrites: if a write takes a part, the rest is written next. If it takes
// nothing, that is an error, not an endless loop.
func TestShortWrites(t *testing.T) {
	const text = "0123456789"
	failed := errors.New("failed")
	for _, test := range []struct {
		name  string
		takes []int // bytes that each write takes
		err   error // the error of the write after them
		want  string
		fails error
	}{
		{"whole", []int{10}, failed, text, nil},
		{"parts", []int{3, 1, 6}, failed, text, nil},
		{"nothing", []int{4, 0}, failed, text[:4], io.ErrShortWrite},
		{"less than nothing", []int{4, -1}, failed, text[:4], io.ErrShortWrite},
		{"failure", []int{4, 2}, failed, text[:6], failed},
	} {
		var got []byte
		calls := 0
		err := writeAll(func(data []byte) (int, error) {
			if calls == len(test.takes) {
				return 0, test.err
			}
			n := test.takes[calls]
			calls++
			got = append(got, data[:max(n, 0)]...)
			return n, nil
		}, []byte(text))
		if string(got) != test.want || err != test.fails {
			t.Errorf("%s: wrote %q, %v; want %q, %v", test.name, got, err, test.want, test.fails)
		}
	}
	if err := writeAll(nil, nil); err != nil {
		t.Errorf("nothing to write: %v", err)
	}
}
