package azureapi

import (
	"strings"
	"testing"
)

// FuzzForeign: whatever a server sends or a person types, the worst result is a
// refusal.
func FuzzForeign(f *testing.F) {
	seeds := []string{"", `{"error":{"innererror":{"code":"SecretDisabled"}}}`, `{"error":null}`, "https://team.vault.azure.net", "https://.vault.azure.net",
		`Bearer authorization="https://login.microsoftonline.com/3f2a7c1e-5b0d-4e8a-9c46-7d1b2e3f4a50", resource="https://vault.azure.net"`,
		"Bearer authorization", "Bearer =,=,", `bearer authorization=https:///, resource=`}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, ok := parseChallenge(s); ok && (!isGUID(c.tenant) || c.login == "" || c.resource == "") {
			t.Fatalf("%q was read as %+v", s, c)
		}
		_ = parseInnerCode([]byte(s))
		if host, _, err := parseURL(s); err == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(s)), "https://"+host) {
			t.Fatalf("%q leads to %q", s, host)
		}
	})
}
