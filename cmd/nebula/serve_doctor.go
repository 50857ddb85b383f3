package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/service/token"
)

// renewBefore is how long before its end a certificate should be renewed.
const renewBefore = 14 * 24 * time.Hour

// examineServe looks at the configuration of nebula serve, if there is one.
func (a *app) examineServe(ctx context.Context, x *examination, s config.Serve) {
	if _, err := os.Lstat(s.Tokens); !errors.Is(err, fs.ErrNotExist) && s.Tokens != "" {
		a.examineTokens(ctx, x, s)
	}
	certificate, err := serveCertificate(s, nil)
	switch {
	case err != nil:
		x.fail("certificate", a.failureOf(err))
	case certificate != nil:
		x.take([]nebula.Finding{a.certificateFinding(s.TLSCert, certificate.Expires())})
	}
}

func (a *app) examineTokens(ctx context.Context, x *examination, s config.Serve) {
	file, err := serveTokens(ctx, s)
	var list []token.Grant
	if err == nil {
		list, err = file.List(ctx)
	}
	if err != nil {
		x.fail("tokens", a.failureOf(err))
		return
	}
	expired := 0
	for _, g := range list {
		if g.Expired(a.now()) {
			expired++
		}
	}
	x.add("tokens", nebula.SeverityOK, fmt.Sprintf("%s: %d, of which %d have expired", s.Tokens, len(list), expired), "")
}

func (a *app) certificateFinding(path string, expires time.Time) nebula.Finding {
	f := nebula.Finding{Check: "certificate", Severity: nebula.SeverityOK, Message: path + ", until " + formatTime(expires.UTC())}
	switch left := expires.Sub(a.now()); {
	case left <= 0:
		f.Severity, f.Kind, f.Message = nebula.SeverityError, nebula.ErrInvalidConfig, path+" has expired, at "+formatTime(expires.UTC())
	case left < renewBefore:
		f.Severity = nebula.SeverityWarning
	default:
		return f
	}
	f.Fix = "renew it; a service that runs reads it again by itself"
	return f
}
