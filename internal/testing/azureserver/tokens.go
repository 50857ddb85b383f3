package azureserver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// claims are the claims that the vault checks, and some that make the token look as
// usual.
type claims struct {
	Audience string `json:"aud"`
	Issuer   string `json:"iss"`
	Tenant   string `json:"tid"`
	AppID    string `json:"appid"`
	ObjectID string `json:"oid"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	Era      int    `json:"era"` // of RevokeTokens
}

// tokenHeader is the header of every token: signed by a key that only the server has.
const tokenHeader = `{"typ":"JWT","alg":"HS256"}`

// IssueToken makes a token without the login. Its audience, tenant or lifetime can make
// the vaults refuse it.
func (s *Server) IssueToken(audience, tenant string, lifetime time.Duration) string {
	return s.logins.issue(audience, tenant, ClientID, lifetime)
}

// RevokeTokens makes the vaults refuse all tokens issued so far.
func (s *Server) RevokeTokens() {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	s.logins.era++
}

// SetTokenLifetime changes the lifetime of the tokens that are issued from now on.
func (s *Server) SetTokenLifetime(d time.Duration) {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	s.logins.lifetime = d
}

func (l *logins) issue(audience, tenant, client string, lifetime time.Duration) string {
	l.mu.Lock()
	era := l.era
	l.mu.Unlock()
	now := l.server.now()
	body, _ := json.Marshal(claims{Audience: audience, Issuer: "https://sts.windows.net/" + tenant + "/", Tenant: tenant,
		AppID: client, ObjectID: objectID, IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(), Era: era})
	text := base64.RawURLEncoding.EncodeToString([]byte(tokenHeader)) + "." + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + l.sign(text)
}

func (l *logins) sign(text string) string {
	k := key()
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// check returns nil if the request has a good token.
func (l *logins) check(r *http.Request) *apiError {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		return unauthorized("AKV10000: The request has no bearer token, nor one of the types PoP and MTLS_POP.")
	}
	c, ok := l.read(token)
	l.mu.Lock()
	era := l.era
	l.mu.Unlock()
	switch {
	case !ok || c.Era != era:
		return unauthorized("The token is not valid.")
	case c.Audience != resource && c.Audience != resourceID:
		return unauthorized("AKV10022: The audience of the token is not the expected one. Expected: " + resource + " or " + resourceID +
			", found: " + c.Audience + ".")
	case c.Tenant != TenantID:
		return unauthorized("AKV10032: The issuer of the token is not the expected one. Found: " + c.Issuer + ".")
	case !l.server.now().Before(time.Unix(c.Expires, 0)):
		return unauthorized("[TokenExpired] The lifetime of the token is over.")
	}
	return nil
}

func (l *logins) read(token string) (claims, bool) {
	var c claims
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !hmac.Equal([]byte(l.sign(token[:i])), []byte(token[i+1:])) {
		return c, false
	}
	_, body, _ := strings.Cut(token[:i], ".")
	data, err := base64.RawURLEncoding.DecodeString(body)
	return c, err == nil && json.Unmarshal(data, &c) == nil
}

func unauthorized(message string) *apiError {
	return &apiError{status: http.StatusUnauthorized, code: "Unauthorized", message: message}
}
