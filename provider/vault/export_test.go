package vault

import (
	"context"
	"net/http"

	"github.com/nebula-credential/nebula"
)

// AcceptsTag reports whether a tag is within the limits of Vault.
func AcceptsTag(key, value string) bool {
	return len(encodeText(key)) <= maxCustomKey && len(encodeText(value)) <= maxCustomValue
}

// StoreUnchecked stores a text of any size and form.
func StoreUnchecked(ctx context.Context, p *Provider, name nebula.Name, record string) error {
	_, err := p.put(ctx, http.MethodPost, name, record, -1)
	return p.fail("store", name, err)
}
