package recipient_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"filippo.io/age/plugin"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

// A slot cannot start a plugin: the user has to name the plugin.
func TestPluginIsStartedOnlyIfNamed(t *testing.T) {
	outsideFIPS(t)
	log := installPlugin(t)
	p := newPluginPair(t)
	slot, _ := sealTo(t, recipient.Options{Recipient: p.recipient, Plugins: []string{"other", pluginName}})
	if starts(t, log) != 1 {
		t.Fatal("the plugin was not started")
	}
	for _, options := range []recipient.Options{
		{Recipient: p.recipient},
		{Recipient: p.recipient, Plugins: []string{"other"}, Identities: []string{newPair(t).file}},
	} {
		k := recipient.New(options)
		_, _, err := k.NewSlot(t.Context(), "abcdefgh", [16]byte{})
		wantKind(t, err, nebula.ErrNotSupported)
		_, _, err = k.Renew(t.Context(), slot, [16]byte{})
		wantKind(t, err, nebula.ErrNotSupported)
		if err == nil || !strings.Contains(err.Error(), pluginName) || !strings.Contains(err.Error(), "plugins") {
			t.Errorf("the error does not say what to do: %v", err)
		}
		if _, err := k.Secret(t.Context(), slot); err == nil {
			t.Error("the slot was opened")
		}
	}
	if n := starts(t, log); n != 1 {
		t.Errorf("the plugin was started %d times", n-1)
	}
}

func TestPluginThatIsMissingHindersNoOther(t *testing.T) {
	outsideFIPS(t)
	t.Setenv("PATH", t.TempDir())
	missing, mine := newPluginPair(t), newSSH(t, newEd25519(t), "")
	slot, secret := sealTo(t, recipient.Options{Recipient: mine.recipient})
	if got, err := open(t, slot, recipient.Options{Identities: []string{missing.file, mine.file}}); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("the slot did not open: %v", err)
	}
	_, err := open(t, slot, recipient.Options{Identities: []string{missing.file, newPair(t).file}})
	wantKind(t, err, nebula.ErrNotSupported)
	if err == nil || !strings.Contains(err.Error(), "age-plugin-"+pluginName) {
		t.Errorf("the program is not named: %v", err)
	}
	_, _, err = recipient.New(recipient.Options{Recipient: missing.recipient, Plugins: []string{pluginName}}).NewSlot(t.Context(), "abcdefgh", [16]byte{})
	wantKind(t, err, nebula.ErrNotSupported)
}

func TestPluginThatFails(t *testing.T) {
	outsideFIPS(t)
	installPlugin(t)
	slot, _ := sealTo(t, recipient.Options{Recipient: newPair(t).recipient})
	failing := identityFile(t, plugin.EncodeIdentity(pluginName, []byte("fail")))
	_, err := open(t, slot, recipient.Options{Identities: []string{failing}})
	wantKind(t, err, nebula.ErrUnavailable)
	if err == nil || strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 400 {
		t.Errorf("the plugin's text is shown uncut or unescaped: %v", err)
	}
	// This identity has nothing to do with the slot.
	other := newPluginPair(t)
	_, err = open(t, slot, recipient.Options{Identities: []string{other.file}})
	wantKind(t, err, nebula.ErrWrongKey)
}

// With AGEDEBUG, age prints the keys that it exchanges with a plugin.
func TestPluginIsNotStartedIfKeysWouldBePrinted(t *testing.T) {
	outsideFIPS(t)
	log := installPlugin(t)
	t.Setenv("AGEDEBUG", "plugin")
	p := newPluginPair(t)
	_, _, err := recipient.New(recipient.Options{Recipient: p.recipient, Plugins: []string{pluginName}}).NewSlot(t.Context(), "abcdefgh", [16]byte{})
	wantKind(t, err, nebula.ErrInvalidConfig)
	if _, err := os.Stat(log); err == nil {
		t.Error("the plugin was started")
	}
}
