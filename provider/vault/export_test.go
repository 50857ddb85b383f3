package vault

import (
	"context"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// AcceptsTag reports whether a tag is within Vault's limits.
func AcceptsTag(key, value string) bool {
	return len(encodeText(key)) <= maxCustomKey && len(encodeText(value)) <= maxCustomValue
}

// StoreUnchecked stores a text of any size and form.
func StoreUnchecked(ctx context.Context, c Config, name nebula.Name, record string) error {
	d, err := newDriver(c, provider.NewOptions(provider.OneShot()))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Open(ctx); err != nil {
		return err
	}
	if _, err = d.put(ctx, http.MethodPost, sealed{name: name, record: record}, -1); err != nil {
		return d.Explain(name, err)
	}
	return nil
}
