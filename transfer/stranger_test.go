package transfer_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/transfer"
)

// A stranger makes a backup that has a slot for our recipient. It does not become our
// store, and nothing of it gets into one, unless somebody names its data key.
func TestImportOfAStrangersBackup(t *testing.T) {
	key := teamKey(t)
	anyone := nebula.Options{Keys: []nebula.Key{key}}
	theirs := inMemory(t, anyone)
	id, err := theirs.Init(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	named := nebula.Options{Keys: anyone.Keys, TrustedKey: &id}
	put(t, theirs.open(named), "x", "theirs", nebula.PutOptions{})
	data, _ := export(t, theirs.Store, transfer.ExportOptions{})
	b := mustOpen(t, data)

	ours := newStore(t)
	ours.put(t, "x", "ours")
	_, ourID, err := ours.SealedKeyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := nebula.Options{Keys: anyone.Keys, TrustedKey: &ourID}
	made := ours.contents(t)
	for what, c := range map[string]struct {
		options nebula.Options // of an empty store
		into    *testStore     // instead of it
		o       transfer.ImportOptions
		want    nebula.Kind
	}{
		"nothing named":                     {anyone, nil, transfer.ImportOptions{}, nebula.ErrUntrustedKey},
		"a dry run":                         {anyone, nil, transfer.ImportOptions{DryRun: true}, nebula.ErrUntrustedKey},
		"an older one accepted":             {anyone, nil, transfer.ImportOptions{Older: true}, nebula.ErrUntrustedKey},
		"another pinned":                    {other, nil, transfer.ImportOptions{}, nebula.ErrUntrustedKey},
		"another pinned, theirs named":      {other, nil, transfer.ImportOptions{TrustedKey: &id}, nebula.ErrUntrustedKey},
		"another named":                     {anyone, nil, transfer.ImportOptions{TrustedKey: &ourID}, nebula.ErrUntrustedKey},
		"into ours":                         {anyone, ours, transfer.ImportOptions{Overwrite: true}, nebula.ErrWrongKey},
		"into ours, sealed anew":            {anyone, ours, transfer.ImportOptions{Overwrite: true, Reseal: true}, nebula.ErrUntrustedKey},
		"into ours, sealed anew, one named": {other, ours, transfer.ImportOptions{Overwrite: true, Reseal: true}, nebula.ErrUntrustedKey},
		"named":                             {anyone, nil, transfer.ImportOptions{TrustedKey: &id}, ""},
		"configured":                        {named, nil, transfer.ImportOptions{}, ""},
	} {
		to := c.into
		if to == nil {
			to = emptyStore(t, c.options)
		}
		c.o.Source = source(t, b, key)
		r, err := transfer.Import(t.Context(), to.Store, b, c.o)
		wantKind(t, err, c.want)
		if c.want == nebula.ErrUntrustedKey && strings.Contains(err.Error(), id.String()) {
			t.Errorf("%s: the id of the stranger's key is shown: %v", what, err)
		}
		if err == nil && len(r.Imported) != 1 {
			t.Errorf("%s: %s", what, summary(r))
		}
		keyring, failed := to.provider.Exists(t.Context(), nebula.KeyringName())
		if failed != nil || c.into == nil && keyring != (c.want == "") {
			t.Errorf("%s: a keyring is there: %v, %v", what, keyring, failed)
		}
		if !maps.Equal(ours.contents(t), made) {
			t.Fatalf("%s: our store was changed", what)
		}
	}
}
