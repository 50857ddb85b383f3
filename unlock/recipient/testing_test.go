package recipient_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

const (
	pluginName = "nebula-test"
	pluginLog  = "NEBULA_TEST_PLUGIN_LOG"
)

// TestMain turns the test's own program into a plugin if it has the name of one.
func TestMain(m *testing.M) {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "age-plugin-") {
		os.Exit(runPlugin())
	}
	goleak.VerifyTestMain(m)
}

// runPlugin seals and opens with the X25519 keys that its recipients and
// identities hold, and notes that it was started.
func runPlugin() int {
	log, err := os.OpenFile(os.Getenv(pluginLog), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 1
	}
	fmt.Fprintln(log, strings.Join(os.Args[1:], " "))
	p, err := plugin.New(pluginName)
	if err != nil {
		return 1
	}
	p.HandleRecipient(func(data []byte) (age.Recipient, error) { return age.ParseX25519Recipient(string(data)) })
	p.HandleIdentity(func(data []byte) (age.Identity, error) {
		if string(data) == "fail" {
			return nil, fmt.Errorf("no device \x1b[31m%s", strings.Repeat("!", 500))
		}
		return age.ParseX25519Identity(string(data))
	})
	return p.Main()
}

// installPlugin puts the plugin into PATH and returns the file in which it notes its
// starts.
func installPlugin(t *testing.T) (log string) {
	t.Helper()
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name := "age-plugin-" + pluginName
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if err := os.WriteFile(filepath.Join(dir, name), self, 0o700); err != nil {
		t.Fatal(err)
	}
	log = filepath.Join(dir, "log")
	t.Setenv("PATH", dir)
	t.Setenv(pluginLog, log)
	return log
}

// starts returns how often the plugin was started.
func starts(t *testing.T, log string) int {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// pair is an identity file and its recipient.
type pair struct{ recipient, file string }

func outsideFIPS(t *testing.T) {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("age is not called in FIPS mode")
	}
}

func identityFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "identity")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newPair(t *testing.T) pair {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return pair{id.Recipient().String(), identityFile(t, "# created: today\n\n"+id.String()+"\n")}
}

func newHybrid(t *testing.T) pair {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return pair{id.Recipient().String(), identityFile(t, id.String())}
}

func newPluginPair(t *testing.T) pair {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return pair{plugin.EncodeRecipient(pluginName, []byte(id.Recipient().String())),
		identityFile(t, plugin.EncodeIdentity(pluginName, []byte(id.String()))+"\n")}
}

func newEncryptedAge(t *testing.T, passphrase string, armored bool) pair {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	scrypt, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	scrypt.SetWorkFactor(10)
	var file bytes.Buffer
	var out io.WriteCloser = struct {
		io.Writer
		io.Closer
	}{&file, io.NopCloser(nil)}
	if armored {
		out = armor.NewWriter(&file)
	}
	w, err := age.Encrypt(out, scrypt)
	if err == nil {
		_, err = io.WriteString(w, id.String()+"\n")
	}
	if err != nil || w.Close() != nil || out.Close() != nil {
		t.Fatal(err)
	}
	return pair{id.Recipient().String(), identityFile(t, file.String())}
}

// newSSH returns an SSH key, encrypted if there is a passphrase.
func newSSH(t *testing.T, private any, passphrase string) pair {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(private, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	return pair{public, identityFile(t, string(pem.EncodeToMemory(block)))}
}

func newEd25519(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func newRSA(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// sealTo returns a slot for a recipient, and its secret.
func sealTo(t *testing.T, options recipient.Options) (nebula.Slot, []byte) {
	t.Helper()
	slot, secret, err := recipient.New(options).NewSlot(t.Context(), "abcdefgh", [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	if slot.ID != "abcdefgh" || slot.Kind != nebula.SlotRecipient || slot.Salt != [16]byte{1} || len(secret) != 32 {
		t.Fatalf("the slot is %+v", slot)
	}
	return slot, secret
}

func open(t *testing.T, slot nebula.Slot, options recipient.Options) ([]byte, error) {
	t.Helper()
	return recipient.New(options).Secret(t.Context(), slot)
}

func asks(t *testing.T, slot nebula.Slot, options recipient.Options) bool {
	t.Helper()
	return recipient.New(options).(nebula.Asker).Asks(slot)
}

// answer types a passphrase at every try.
func answer(passphrases ...string) func(context.Context, string, int) ([]byte, error) {
	return func(_ context.Context, _ string, try int) ([]byte, error) {
		return []byte(passphrases[min(try, len(passphrases))-1]), nil
	}
}

func wantKind(t *testing.T, err error, want nebula.Kind) {
	t.Helper()
	if nebula.KindOf(err) != want {
		t.Errorf("got %v (%s), want %s", err, nebula.KindOf(err), want)
	}
}
