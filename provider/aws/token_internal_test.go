package aws

import (
	"maps"
	"regexp"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

// The ids of versions are UUIDs with all their random bits, no two of which go
// together, and say which of the two kinds they are.
func TestTokens(t *testing.T) {
	seen := make(map[int]map[byte]bool)
	differ := make(map[[2]int]bool)
	for range 2000 {
		for version, form := range map[byte]string{uuidRandom: "4", uuidTags: "8"} {
			token := newToken(version)
			if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-` + form + `[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(token) {
				t.Fatalf("version %d: %s", version, token)
			}
			if changesTags(token) != (version == uuidTags) {
				t.Errorf("%s changes tags: %v", token, changesTags(token))
			}
			for i := range len(token) {
				if seen[i] == nil {
					seen[i] = make(map[byte]bool)
				}
				seen[i][token[i]] = true
				for j := range i {
					differ[[2]int{i, j}] = differ[[2]int{i, j}] || token[i] != token[j]
				}
			}
		}
	}
	for i, digits := range seen {
		want := map[int]int{8: 1, 13: 1, 14: 2, 18: 1, 19: 4, 23: 1}[i]
		if want == 0 {
			want = 16
		}
		if len(digits) != want {
			t.Errorf("at %d there are %d digits, want %d", i, len(digits), want)
		}
	}
	for pair, some := range differ {
		if !some && len(seen[pair[0]]) > 1 {
			t.Errorf("at %v there are always the same digits", pair)
		}
	}
	for _, version := range []string{"", "8", "01234567-0123-", "01234567-0123-4", "00000000000000000000000000000008"} {
		if changesTags(version) {
			t.Errorf("%q changes tags", version)
		}
	}
}

// A version whose tags differ from those before in any way is of the kind that says
// so, whether tags are set, removed, or both.
func TestVersionsTellOfTags(t *testing.T) {
	current, err := new(Config).project(someName(t), nebula.Metadata{CreatedAt: time.Unix(1, 0), Tags: map[string]string{"a": "1", "b": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change func(wanted map[string]string)
		kind   byte
	}{
		"nothing":           {func(map[string]string) {}, '4'},
		"one set":           {func(wanted map[string]string) { wanted["c"] = "3" }, '8'},
		"one removed":       {func(wanted map[string]string) { delete(wanted, "a") }, '8'},
		"one set, one gone": {func(wanted map[string]string) { delete(wanted, "a"); wanted["c"] = "3" }, '8'},
	} {
		wanted := maps.Clone(current)
		c.change(wanted)
		for _, predecessor := range []*string{nil, new("another")} {
			w := &write{tags: wanted}
			w.choose(current, predecessor)
			if w.token[uuidVersionAt] != c.kind {
				t.Errorf("%s: %s, want kind %c", what, w.token, c.kind)
			}
			chosen := w.token
			if w.choose(nil, predecessor); w.token != chosen {
				t.Errorf("%s: a token was chosen again", what)
			}
		}
	}
}
