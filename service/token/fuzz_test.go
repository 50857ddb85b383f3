package token_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula/service/token"
)

// FuzzFile: whatever the file of tokens holds, only tokens that it names are accepted.
// It is refused as a whole, or works.
func FuzzFile(f *testing.F) {
	made := token.NewFile(filepath.Join(f.TempDir(), "nebula", "tokens"))
	good, err := made.Add(f.Context(), grant("good"))
	if err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(made.Path())
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(whole), string(whole) + string(whole), "", "x", "{}\n", `{"v":1}` + "\n", string(whole[:len(whole)/2])} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tokens := newFile(t)
		if err := errors.Join(os.Mkdir(filepath.Dir(tokens.Path()), 0o700), os.WriteFile(tokens.Path(), data, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Check([]byte("nbt_another"), now); err == nil {
			t.Fatalf("with the file %q, any token is accepted", data)
		}
		list, err := tokens.List(t.Context())
		g, checked := tokens.Check(good.Reveal(), now)
		if checked == nil && (err != nil || len(list) == 0 || g.Name == "") {
			t.Fatalf("%q lets %q in, and lists %v, %v", data, g.Name, list, err)
		}
	})
}
