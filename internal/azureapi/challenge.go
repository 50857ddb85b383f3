package azureapi

import (
	"context"
	"strings"
)

// challenge is a vault's answer to a request without a token that it accepts.
type challenge struct {
	login, tenant string // of authorization="https://LOGIN/TENANT"
	resource      string
}

// parseChallenge reads a header WWW-Authenticate.
func parseChallenge(header string) (c challenge, ok bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return challenge{}, false
	}
	for part := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(key) {
		case "authorization", "authorization_uri":
			host, ok := strings.CutPrefix(value, "https://")
			if !ok {
				return challenge{}, false
			}
			c.login, c.tenant, _ = strings.Cut(host, "/")
		case "resource", "scope":
			c.resource = strings.TrimSuffix(strings.TrimSuffix(value, "/.default"), "/")
		}
	}
	return c, c.login != "" && isGUID(c.tenant) && c.resource != ""
}

// answer returns another token for a vault that refused one, if the vault asks
// for a token that we may give.
func (a *authenticator) answer(ctx context.Context, refused, header string) (string, error) {
	c, ok := parseChallenge(header)
	switch {
	case !ok && header != "":
		return "", a.errForeignChallenge()
	case !ok:
	case c.resource != a.cloud.resource, !a.isLogin(c.login):
		return "", a.errForeignChallenge()
	case a.config.Type == ManagedIdentity: // of the one tenant that it has
	case a.config.TenantID == "":
		a.mu.Lock()
		a.tenant = c.tenant
		a.mu.Unlock()
	case !strings.EqualFold(c.tenant, a.config.TenantID):
		return "", a.errOtherTenant(c.tenant)
	}
	return a.bearer(ctx, refused)
}

// isLogin reports whether a host is the cloud's login, by its name of today or
// the one of before 2023.
func (a *authenticator) isLogin(host string) bool {
	return strings.EqualFold(host, a.cloud.login) ||
		a.cloud.login == "login.microsoftonline.com" && strings.EqualFold(host, "login.windows.net")
}
