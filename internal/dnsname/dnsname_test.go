package dnsname

import (
	"regexp"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
)

func nameOf(t testing.TB, id string) nebula.Name {
	t.Helper()
	name, err := nebula.ID(id).Name()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestEncode(t *testing.T) {
	for id, want := range map[string]string{
		"github":       "github",
		"github_token": "github-5ftoken",
		"github-token": "github-2dtoken",
		"GitHub-Token": "-47it-48ub-2d-54oken",
		"keyring":      "keyring",
		"a5f":          "a5f",
	} {
		if got := Encode(nameOf(t, id), 127); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	if got := Encode(nebula.KeyringName(), 127); got != "--keyring" {
		t.Errorf("the keyring is %s", got)
	}
}

// The longest ids fit, whatever they consist of. Their encodings differ even if only
// their ends or their case differ.
func TestEncodeLong(t *testing.T) {
	const max = 100
	seen := map[string]string{}
	for _, id := range []string{
		strings.Repeat("a", 128), strings.Repeat("a", 127) + "b", strings.Repeat("A", 128),
		strings.Repeat("_", 128), strings.Repeat("_", 127) + "-", strings.Repeat("a_", 64),
		strings.Repeat("a", 46) + strings.Repeat("_", 30), strings.Repeat("a", 45) + strings.Repeat("_", 30),
		strings.Repeat("a", 44) + strings.Repeat("_", 30), strings.Repeat("a", 43) + strings.Repeat("_", 30),
		strings.Repeat("a", max), strings.Repeat("a", max+1),
	} {
		got := Encode(nameOf(t, id), max)
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s are both %s", id, other, got)
		}
		seen[got] = id
		if len(got) > max {
			t.Errorf("%s has %d characters", got, len(got))
		}
	}
}

var allowed = regexp.MustCompile(`^(-[0-9a-f]{2}|[a-z0-9])*(--([a-z2-7]{52}|keyring))?$`)

// What allowed matches is unambiguous, so two names with one encoding would have to
// share a digest.
func FuzzEncode(f *testing.F) {
	f.Add("github_token", 60)
	f.Add(strings.Repeat("A", 128), MinLength)
	f.Fuzz(func(t *testing.T, id string, max int) {
		name, err := nebula.ID(id).Name()
		if err != nil || max < MinLength || max > 1000 {
			t.Skip()
		}
		got := Encode(name, max)
		if len(got) > max || got == "" || !allowed.MatchString(got) {
			t.Errorf("%q in %d characters is %q", id, max, got)
		}
		back, ok := Decode(got)
		if hashed := strings.Contains(got, mark); IsHashed(got) != hashed || ok == hashed || ok && back != name {
			t.Errorf("%q came back as %q, %v", got, back, ok)
		}
	})
}

// FuzzDecode: a text that can be decoded is what Encode writes for that id, and nothing
// else is.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"github-5ftoken", "-47it", "a-", "a-5", "a-5F", "a-61", "--keyring", "-2d-2dkeyring", "", "a--" + strings.Repeat("a", 52), "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, ok := Decode(s); ok && (Encode(name, max(len(s), MinLength)) != s || name.IsKeyring() || IsHashed(s)) {
			t.Errorf("%q is decoded as %q", s, name)
		}
	})
}
