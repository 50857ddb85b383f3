package token_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/token"
)

var now = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)

func newFile(t *testing.T) *token.File {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "nebula") // made with the modes that it needs
	return token.NewFile(filepath.Join(dir, "tokens"))
}

func add(t *testing.T, f *token.File, g token.Grant) []byte {
	t.Helper()
	secret, err := f.Add(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

func grant(name string) token.Grant { return token.Grant{Name: name, Allow: []token.Verb{token.Read}} }

func fields(g token.Grant) string {
	return fmt.Sprint(g.Name, g.Allow, g.Prefix, g.Scope, g.Created, g.Expires)
}

func wantKind(t *testing.T, what string, err error, kind nebula.Kind) {
	t.Helper()
	if nebula.KindOf(err) != kind {
		t.Errorf("%s: %v, want %v", what, err, kind)
	}
}

func TestTokens(t *testing.T) {
	f := newFile(t)
	_, err := f.Check([]byte("nbt_"), now)
	wantKind(t, "no token", err, nebula.ErrUnauthenticated)
	if list, err := f.List(t.Context()); len(list) != 0 || err != nil {
		t.Errorf("before there is a file: %v, %v", list, err)
	}
	wantKind(t, "removing from no file", f.Remove(t.Context(), "ci"), nebula.ErrNotFound)
	if _, err := os.Stat(f.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Remove made a file: %v", err)
	}

	made := token.Grant{Name: "Jürgen's laptop", Allow: []token.Verb{token.Write, token.List, token.Write}, Prefix: "con", Scope: "a b", Created: now.Add(time.Millisecond), Expires: now.Add(time.Hour)}
	ci, person := add(t, f, grant("ci")), add(t, f, made)
	want := token.Grant{Name: made.Name, Allow: []token.Verb{token.List, token.Write}, Prefix: "con", Scope: "a b", Created: now, Expires: made.Expires}
	got, err := f.Check(person, now)
	if fields(got) != fields(want) || err != nil {
		t.Errorf("the token is %+v, %v, want %+v", got, err, want)
	}
	if got, err := f.Check(ci, now); got.Name != "ci" || !got.Expires.IsZero() || err != nil {
		t.Errorf("the other token is %+v, %v", got, err)
	}
	_, err = f.Add(t.Context(), grant("ci"))
	wantKind(t, "a second one of that name", err, nebula.ErrAlreadyExists)
	if _, err := f.Check(ci, now); err != nil {
		t.Errorf("after a second one was refused: %v", err)
	}
	list, err := token.NewFile(f.Path()).List(t.Context())
	if len(list) != 2 || list[0].Name != made.Name || list[1].Name != "ci" || err != nil {
		t.Errorf("the list is %+v, %v", list, err)
	}

	stands, err := f.Again(got, now)
	if fields(stands) != fields(want) || err != nil {
		t.Errorf("again it is %+v, %v", stands, err)
	}
	_, err = f.Again(got, made.Expires)
	wantKind(t, "one that expired meanwhile", err, nebula.ErrUnauthenticated)
	_, err = f.Again(token.Grant{Name: "ci"}, now)
	wantKind(t, "one that is from no file", err, nebula.ErrUnauthenticated)

	// Another process removes a token.
	if err := token.NewFile(f.Path()).Remove(t.Context(), "ci"); err != nil {
		t.Fatal(err)
	}
	_, err = f.Check(ci, now)
	wantKind(t, "a removed token", err, nebula.ErrUnauthenticated)
	wantKind(t, "removing it again", f.Remove(t.Context(), "ci"), nebula.ErrNotFound)
}

// A refusal does not show why the token is refused.
func TestRefusedTokensLookAlike(t *testing.T) {
	f := newFile(t)
	g := grant("ci")
	g.Created, g.Expires = now, now.Add(time.Minute)
	expired := add(t, f, g)
	unknown := add(t, newFile(t), grant("ci"))
	if _, err := f.Check(expired, now.Add(time.Minute-1)); err != nil {
		t.Errorf("a moment before it expires: %v", err)
	}
	wrongSum := append([]byte(nil), unknown...)
	wrongSum[10]++
	texts := map[string]bool{}
	for what, secret := range map[string][]byte{
		"expired": expired, "unknown": unknown, "wrong checksum": wrongSum, "empty": nil, "short": []byte("nbt_x"),
		"long": append(unknown[:len(unknown):len(unknown)], 'x'), "binary": []byte(strings.Repeat("\x00", len(unknown))),
	} {
		_, err := f.Check(secret, now.Add(time.Minute))
		wantKind(t, what, err, nebula.ErrUnauthenticated)
		texts[err.Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("the refusals differ: %v", texts)
	}
}

// Scanners find a token by Pattern and confirm it by its checksum.
func TestForm(t *testing.T) {
	f := newFile(t)
	secret := string(add(t, f, grant("ci")))
	text := "export TOKEN=" + secret + "; curl"
	if found := regexp.MustCompile(token.Pattern).FindString(text); found != secret {
		t.Errorf("the pattern finds %q", found)
	}
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body, sum := secret[4:47], uint64(0)
	for _, c := range secret[47:] {
		sum = sum*62 + uint64(strings.IndexRune(digits, c))
	}
	if uint64(crc32.ChecksumIEEE([]byte(body))) != sum {
		t.Errorf("the checksum of %q is %d", body, sum)
	}
	data, err := os.ReadFile(f.Path())
	if err != nil || strings.Contains(string(data), body[:8]) {
		t.Errorf("the file holds the token: %v", err)
	}
}

func TestGrantsThatAreRefused(t *testing.T) {
	long := strings.Repeat("x", 129)
	for what, c := range map[string]struct {
		change func(*token.Grant)
		kind   nebula.Kind
	}{
		"no name":                {func(g *token.Grant) { g.Name = "" }, nebula.ErrUsage},
		"long name":              {func(g *token.Grant) { g.Name = long }, nebula.ErrUsage},
		"name of two lines":      {func(g *token.Grant) { g.Name = "a\nb" }, nebula.ErrInvalidMetadata},
		"name that is no text":   {func(g *token.Grant) { g.Name = "a\xff" }, nebula.ErrInvalidMetadata},
		"scope of two lines":     {func(g *token.Grant) { g.Scope = "a\x00b" }, nebula.ErrInvalidMetadata},
		"no verb":                {func(g *token.Grant) { g.Allow = nil }, nebula.ErrUsage},
		"unknown verb":           {func(g *token.Grant) { g.Allow = []token.Verb{"all"} }, nebula.ErrUsage},
		"prefix with a slash":    {func(g *token.Grant) { g.Prefix = "a/" }, nebula.ErrUsage},
		"prefix with a dash":     {func(g *token.Grant) { g.Prefix = "-a" }, nebula.ErrUsage},
		"long prefix":            {func(g *token.Grant) { g.Prefix = long }, nebula.ErrUsage},
		"expired":                {func(g *token.Grant) { g.Expires = now }, nebula.ErrUsage},
		"expires after all time": {func(g *token.Grant) { g.Expires = now.AddDate(8000, 0, 0) }, nebula.ErrUsage},
	} {
		f := newFile(t)
		g := grant("ci")
		g.Created = now
		c.change(&g)
		_, err := f.Add(t.Context(), g)
		wantKind(t, what, err, c.kind)
		if _, err := os.Stat(f.Path()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the file was written: %v", what, err)
		}
	}
}

// The file is exactly as Add writes it, byte by byte, or no token is accepted.
func TestDamagedFile(t *testing.T) {
	f := newFile(t)
	secret := add(t, f, grant("ci"))
	good, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"another version":       strings.Replace(string(good), `"v":1`, `"v":2`, 1),
		"an unknown field":      strings.Replace(string(good), `"v":1`, `"v":1,"admin":true`, 1),
		"an unknown verb":       strings.Replace(string(good), `["read"]`, `["root"]`, 1),
		"a verb twice":          strings.Replace(string(good), `["read"]`, `["read","read"]`, 1),
		"a short hash":          strings.Replace(string(good), `"sha256":"`, `"sha256":"","x":"`, 1),
		"a cut line":            string(good[:len(good)-10]),
		"the line twice":        string(good) + string(good),
		"the token twice":       string(good) + strings.Replace(string(good), `"name":"ci"`, `"name":"cj"`, 1),
		"something else":        "tokens\n",
		"a prefix that is none": strings.Replace(string(good), `"created"`, `"prefix":"../","created"`, 1),
	} {
		if text == string(good) {
			t.Fatalf("%s: nothing was changed", what)
		}
		if err := os.WriteFile(f.Path(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := f.Check(secret, now)
		wantKind(t, what, err, nebula.ErrUnavailable)
		if err := os.WriteFile(f.Path(), good, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Check(secret, now); err != nil {
			t.Errorf("%s: after it was mended: %v", what, err)
		}
	}
	if err := os.Remove(f.Path()); err != nil {
		t.Fatal(err)
	}
	_, err = f.Check(secret, now)
	wantKind(t, "no file", err, nebula.ErrUnavailable)
}

// A change counts from the next call on, even if the size of the file is the same and
// the clock has not moved.
func TestChangesCountAtOnce(t *testing.T) {
	f := newFile(t)
	other := token.NewFile(f.Path())
	for round := range 50 {
		secret := add(t, other, grant("ci"))
		if _, err := f.Check(secret, now); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := other.Remove(t.Context(), "ci"); err != nil {
			t.Fatal(err)
		}
		again := add(t, other, grant("ci"))
		if _, err := f.Check(secret, now); nebula.KindOf(err) != nebula.ErrUnauthenticated {
			t.Fatalf("round %d: a removed token is accepted: %v", round, err)
		}
		if _, err := f.Check(again, now); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := other.Remove(t.Context(), "ci"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	f := newFile(t)
	kept := add(t, f, grant("kept"))
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			own := token.NewFile(f.Path())
			name := fmt.Sprint("n", i)
			secret, err := own.Add(context.Background(), grant(name))
			if err != nil {
				t.Error(err)
				return
			}
			for range 20 {
				for _, s := range [][]byte{secret.Reveal(), kept} {
					if _, err := f.Check(s, now); err != nil {
						t.Error(err)
					}
				}
			}
			if err := own.Remove(context.Background(), name); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if list, err := f.List(t.Context()); len(list) != 1 || err != nil {
		t.Errorf("left: %+v, %v", list, err)
	}
}

func TestPrefixAndVerbs(t *testing.T) {
	g := token.Grant{Allow: []token.Verb{token.List}, Prefix: "ci_"}
	if !g.Covers("ci_x") || g.Covers("ci") || g.Covers("xci_") || !(token.Grant{}).Covers("x") {
		t.Error("the prefix does not limit the ids")
	}
	if !g.Allows(token.List) || g.Allows(token.Read) {
		t.Error("the verbs do not limit the operations")
	}
	if _, err := token.ParseVerb("reed"); nebula.KindOf(err) != nebula.ErrUsage {
		t.Errorf("an unknown verb: %v", err)
	}
}
