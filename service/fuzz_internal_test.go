package service

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/service/token"
)

// FuzzGiven: the body of a write is read like encoding/json reads it, or refused.
func FuzzGiven(f *testing.F) {
	for _, s := range []string{"", "{}", "null", `{"value":"x"}`, `{"value":"eA==","encoding":"base64","tags":{"a":"b"},"interval_days":90}`, `{"value":"x","value":"y"}`,
		`{"value":"\ud800"}`, `{"value":"x","tags":{"a":1}}`, `{"value":"x","interval_days":4294967296}`, `{"value":"eA","encoding":"base64"}`, `{"value":"x"} {}`, "{\"value\":\"\xff\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		g, err := parseGiven(body)
		if err != nil {
			if kind := nebula.KindOf(err); kind == "" || g.secret.Reveal() != nil {
				t.Fatalf("%q: %v of kind %q, and a value", body, err, kind)
			}
			return
		}
		var want struct {
			Value    *string
			Encoding string
			Tags     map[string]string
			Days     *uint32 `json:"interval_days"`
		}
		if err := json.Unmarshal(body, &want); err != nil || want.Value == nil {
			t.Fatalf("%q is taken, and is not JSON: %v", body, err)
		}
		if want.Encoding != "base64" && string(g.secret.Reveal()) != *want.Value || len(g.tags) != len(want.Tags) ||
			(g.policy == nil) != (want.Days == nil) || g.policy != nil && g.policy.IntervalDays != *want.Days {
			t.Fatalf("%q was read as %q, %v, %+v", body, g.secret.Reveal(), g.tags, g.policy)
		}
	})
}

// FuzzList: whatever a list asks for, a token sees only what it covers, and the limit
// and the cursor are within their bounds.
func FuzzList(f *testing.F) {
	for _, s := range []string{"", "prefix=team-a", "prefix=other", "cursor=dGVhbS1h", "cursor=00", "cursor=%2e%2e", "limit=1000&details=true", "limit=-1", "tag=a=b&tag=", "tag==", "prefix=t%00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		a, err := (&call{query: query, grant: token.Grant{Prefix: "team-"}}).asked()
		if err != nil {
			if kind := nebula.KindOf(err); kind != nebula.ErrUsage && kind != nebula.ErrInvalidMetadata { // of a tag
				t.Fatal(err)
			}
			return
		}
		if !a.none && !strings.HasPrefix(a.filter.Prefix, "team-") || a.limit < 1 || a.limit > maxItems {
			t.Fatalf("%q asks for %+v", text, a)
		}
		// A cursor may be any id. It only moves the beginning of the page.
		own := []nebula.Entry{{ID: "team-a"}, {ID: "team-b"}}
		if page, _ := pageOf(own, a); len(page) > len(own) || len(page) > 0 && a.paged && page[0].ID <= a.after {
			t.Fatalf("%q begins after %q with %v", text, a.after, page)
		}
	})
}
