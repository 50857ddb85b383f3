package nebula_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider/memory"
)

// If a passphrase opens nothing, it is asked for again, in all at most Tries times. The
// error says where it came from.
func TestPassphraseTries(t *testing.T) {
	p, err := memory.New(memory.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	const right = "correct horse battery"
	typed := func(texts ...string) (func(context.Context) ([]byte, error), *int) {
		n := 0
		return func(context.Context) ([]byte, error) { n++; return []byte(texts[n-1]), nil }, &n
	}
	source, _ := typed(right)
	first, err := nebula.Open(t.Context(), p, nebula.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Init(t.Context(), &nebula.Passphrase{Source: source, KDF: nebula.SlotPBKDF2}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		texts []string
		tries int
		name  string
		asked int
		want  string // in the error; "" is none
	}{
		{[]string{right}, 3, "", 1, ""},
		{[]string{"wrong", "wronger", right}, 3, "", 3, ""},
		{[]string{"wrong", "wronger", "worst", right}, 3, "", 3, "the passphrase (try 3 of 3) opens no slot"},
		{[]string{"wrong", right}, 0, "NEBULA_PASSPHRASE", 1, "the passphrase of NEBULA_PASSPHRASE opens no slot"},
	} {
		source, asked := typed(test.texts...)
		s, err := nebula.Open(t.Context(), p, nebula.Options{Keys: []nebula.Key{&nebula.Passphrase{Source: source, Tries: test.tries, Name: test.name}}})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Unlock(t.Context())
		if *asked != test.asked || (err == nil) != (test.want == "") ||
			err != nil && (!errors.Is(err, nebula.ErrWrongKey) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v: asked %d times, %v", test.texts, *asked, err)
		}
	}
}
