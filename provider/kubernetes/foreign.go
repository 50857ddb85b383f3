package kubernetes

import (
	"context"
	"regexp"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// ForeignNames implements [provider.ForeignReader]. It makes no call: a list of
// Secrets needs a right of its own, and contains their values.
func (d *driver) ForeignNames(_ context.Context, secret string) ([]string, error) {
	if len(secret) > maxName || !isObjectName(secret) {
		return nil, &nebula.Error{Kind: nebula.ErrUsage, Message: "that is not the name of a Secret", Hint: "kubectl -n " + d.names.namespace + " get secrets"}
	}
	return []string{secret}, nil
}

// Foreign implements [provider.ForeignReader]. It makes one call.
func (d *driver) Foreign(ctx context.Context, secret string) (provider.Foreign, error) {
	s, err := d.read(ctx, secret, acceptJSON, kindSecret)
	if err == nil && s.Data == nil {
		s.Data = map[string][]byte{}
	}
	return provider.Foreign{Keys: s.Data}, err
}

// isObjectName reports whether a text is a name of a host by RFC 1123.
func isObjectName(text string) bool {
	matched, err := regexp.MatchString(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`, text)
	return err == nil && matched
}
