package aws

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
)

func someName(t testing.TB) nebula.Name {
	t.Helper()
	name, err := nebula.ID("a").Name()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// Tags come back as they were, and no two are alike.
func TestProject(t *testing.T) {
	c := Config{DefaultTags: map[string]string{"team": "platform", "cost": "7"}}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for _, tags := range []map[string]string{
		nil, {"k": "v"}, {"team": "mine"}, {"a": ""}, {"a": "=", "b": "==3D", "c": "k=v=w"},
		{" a ": " b ", "  ": "   "}, {"aws:x": "aws:y", "AWS:x": "1"}, {"秘": "密", "e\u0301": "\u00e9"}, {"a,b": "c;d", "%41": "%"},
		{"nebula": "x", "@": "@"},
	} {
		m := nebula.Metadata{CreatedAt: at, CreatedBy: "a/b =c", Scope: "x/y é", Tags: tags}
		m.RotationPolicy.IntervalDays = 90
		projected, err := c.project(someName(t), m)
		if err != nil {
			t.Fatal(err)
		}
		projected["of others"] = "stays"
		got, ok := unproject(projected)
		if !ok || !got.CreatedAt.Equal(at) || got.CreatedBy != m.CreatedBy || got.Scope != m.Scope ||
			got.RotationPolicy != m.RotationPolicy || !maps.Equal(got.Tags, tags) {
			t.Errorf("%v became %v, which is %+v, %v", tags, projected, got, ok)
		}
		for key, value := range projected {
			if strings.IndexFunc(key+value, func(r rune) bool { return !isTagRune(r) }) >= 0 || strings.HasPrefix(strings.ToLower(key), "aws:") {
				t.Errorf("AWS does not accept %q: %q", key, value)
			}
		}
	}
}

// Changes touch the credential's own tags and no others.
func TestTagChanges(t *testing.T) {
	c := Config{DefaultTags: map[string]string{"team": "platform"}}
	project := func(tags map[string]string) map[string]string {
		projected, err := c.project(someName(t), nebula.Metadata{CreatedAt: time.Unix(1, 0), Tags: tags})
		if err != nil {
			t.Fatal(err)
		}
		return projected
	}
	before := project(map[string]string{"a": "1", "b": "2", "team": "mine"})
	before["of others"] = "x"
	before["aws:cloudformation:stack-name"] = "y"
	wanted := project(map[string]string{"b": "3"})
	set, unset := tagChanges(before, wanted)
	if len(unset) != 1 || unset[0] != "a" {
		t.Errorf("%v are removed, want a", unset)
	}
	if got := tagMap(set); len(got) != 3 || got["b"] != "3" || got["team"] != "platform" || got[reservedKey] == "" {
		t.Errorf("%v are set", got)
	}
	if set, unset := tagChanges(wanted, wanted); set != nil || unset != nil {
		t.Errorf("%v, %v change although nothing differs", set, unset)
	}
}

// Whatever tags contain, reading them either fails with an error or returns what
// would be written.
func FuzzTags(f *testing.F) {
	seeds := 0
	for _, text := range []string{"@2026-01-02T03:04:05.000006Z/90/scope/author/abc", "@2026-01-02T03:04:05Z/0///", "", "=41", "=zz", "=20a", "plain", "===", "=e=CC=81"} {
		f.Add(text, "key", "value")
		f.Add("@2026-01-02T03:04:05Z/0///"+markOf(text), text, text)
		seeds += 2
	}
	if seeds == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, reserved, key, value string) {
		if l, ok := decodeListed(reserved); ok && encodeListed(l) != reserved {
			t.Errorf("%q is read as %+v", reserved, l)
		}
		if m, ok := unproject(map[string]string{reservedKey: reserved, key: value}); ok {
			for k, v := range m.Tags {
				if encodeKey(k) != key || encodeText(v) != value {
					t.Errorf("%q: %q is read as %q: %q", key, value, k, v)
				}
			}
		}
		if nebula.ValidateTag(key, value) != nil {
			return
		}
		k, ok := decodeText(encodeKey(key))
		v, ok2 := decodeText(encodeText(value))
		if !ok || !ok2 || k != key || v != value {
			t.Errorf("%q: %q came back as %q: %q", key, value, k, v)
		}
	})
}

func FuzzNames(f *testing.F) {
	for _, seed := range []string{"nebula/credentials/a", "nebula/credentials/.keyring", "nebula/credentials/a/b", "other", "nebula/credentials/x-AbCdEf", ""} {
		f.Add("nebula/credentials/", seed)
		f.Add("", seed)
	}
	f.Fuzz(func(t *testing.T, prefix, secret string) {
		name, ok := parseSecretID(prefix, secret)
		if ok && (name.IsKeyring() || prefix+name.String() != secret) {
			t.Errorf("%q below %q is read as %q", secret, prefix, name)
		}
	})
}
