package nebula_test

import (
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
	"github.com/nebula-credential/nebula/unlock/transit"
)

// newTransitKey returns a key of a real Vault.
func newTransitKey(t *testing.T) nebula.Key {
	t.Helper()
	s := livetest.Vault(t)
	c := transit.DefaultConfigIn(func(string) string { return "" })
	c.Address, c.CACert, c.MountPath, c.Key = s.Address, s.CAFile, s.Transit(t, "nebula"), "nebula"
	c.Auth.Token = nebula.NewSecret([]byte(s.RootToken))
	key, err := transit.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestLiveSlotsMovedTransit(t *testing.T) {
	checkSlotsMoved(t, nebula.SlotVaultTransit, newTransitKey(t))
}

func TestLiveStrangersKeyringTransit(t *testing.T) { checkStrangersKeyring(t, newTransitKey(t)) }
