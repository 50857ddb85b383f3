package provider_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// ParseRecord tells a value of somebody else from a damaged record.
func TestParseRecord(t *testing.T) {
	name, err := nebula.ID("a").Name()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1, 0)
	whole, err := nebula.SealRecord([32]byte{1}, name, nebula.NewSecret([]byte("v")), nebula.Metadata{CreatedAt: at, LastModified: at})
	if err != nil {
		t.Fatal(err)
	}
	raw := string(whole.Bytes())
	for what, c := range map[string]struct {
		name    nebula.Name
		data    string
		kind    nebula.Kind
		foreign bool
	}{
		"a record":         {name, raw, "", false},
		"cut short":        {name, raw[:len(raw)-3], nebula.ErrCorrupted, false},
		"without its head": {name, raw[13:], nebula.ErrCorrupted, false},
		"plain text":       {name, "secret", nebula.ErrCorrupted, true},
		"other JSON":       {name, `{"username":"u"}`, nebula.ErrCorrupted, true},
		"nothing":          {name, "", nebula.ErrCorrupted, true},
		"as the keyring":   {nebula.KeyringName(), "secret", nebula.ErrCorrupted, false},
	} {
		_, err := provider.ParseRecord(c.name, []byte(c.data))
		if nebula.KindOf(err) != c.kind || errors.Is(err, nebula.ErrNotARecord) != c.foreign {
			t.Errorf("%s: %v", what, err)
		}
	}
}
