package awsserver

import (
	"fmt"
	"net/http"
	"regexp"
	"time"
)

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=[0-9a-f]{64}$`)

// maxSkew is how far the time of a signature may be from the server's time.
const maxSkew = 5 * time.Minute

// signer is what a signature is checked against.
type signer struct {
	service string
	region  string    // empty: any
	keyID   string    // empty: any
	now     time.Time // the server's
}

// check examines everything in a signature except the hash.
func (want signer) check(r *http.Request) (keyID string, failure *Error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", fail("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	parts := authorization.FindStringSubmatch(header)
	if parts == nil {
		return "", fail("IncompleteSignatureException", "Authorization header is not of the form of Signature Version 4")
	}
	if want.keyID != "" && parts[1] != want.keyID {
		return "", UnrecognizedClient
	}
	if parts[4] != want.service {
		return "", fail("InvalidSignatureException", fmt.Sprintf("Credential should be scoped to correct service: '%s'.", want.service))
	}
	if want.region != "" && parts[3] != want.region {
		return "", fail("InvalidSignatureException", fmt.Sprintf("Credential should be scoped to a valid region, not '%s'.", parts[3]))
	}
	signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || signed.Format("20060102") != parts[2] {
		return "", fail("IncompleteSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
	}
	switch now := want.now; {
	case now.Sub(signed) > maxSkew:
		return "", skewed("Signature expired", "earlier", signed, now.Add(-maxSkew), now, '-')
	case signed.Sub(now) > maxSkew:
		return "", skewed("Signature not yet current", "later", signed, now.Add(maxSkew), now, '+')
	}
	return parts[1], nil
}

func skewed(what, order string, signed, limit, now time.Time, sign rune) *Error {
	form := func(t time.Time) string { return t.UTC().Format("20060102T150405Z") }
	return fail("InvalidSignatureException", fmt.Sprintf("%s: %s is now %s than %s (%s %c 5 min.)", what, form(signed), order, form(limit), form(now), sign))
}
