package recipient_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/slotdata"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

func TestEveryKindOfIdentityOpens(t *testing.T) {
	outsideFIPS(t)
	log := installPlugin(t)
	passphrase := answer("wrong", "correct horse")
	for name, test := range map[string]struct {
		pair
		options recipient.Options
		asks    bool
	}{
		"X25519":                   {pair: newPair(t)},
		"post-quantum":             {pair: newHybrid(t)},
		"ssh-ed25519":              {pair: newSSH(t, newEd25519(t), "")},
		"ssh-rsa":                  {pair: newSSH(t, newRSA(t, 2048), "")},
		"encrypted ssh-ed25519":    {newSSH(t, newEd25519(t), "correct horse"), recipient.Options{Passphrase: passphrase}, true},
		"encrypted ssh-rsa":        {newSSH(t, newRSA(t, 2048), "correct horse"), recipient.Options{Passphrase: passphrase}, true},
		"encrypted age":            {newEncryptedAge(t, "correct horse", false), recipient.Options{Passphrase: passphrase}, true},
		"encrypted age in letters": {newEncryptedAge(t, "correct horse", true), recipient.Options{Passphrase: passphrase}, true},
		"plugin":                   {newPluginPair(t), recipient.Options{Plugins: []string{pluginName}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			options := test.options
			options.Recipient = test.recipient
			if again, err := recipient.Normalise("  " + test.recipient + " # me\r\n"); err != nil || again != test.recipient {
				t.Errorf("the recipient is normalised to %q, %v", again, err)
			}
			slot, secret := sealTo(t, options)
			options = test.options
			options.Plugins = nil // opening needs none
			options.Identities = []string{newPair(t).file, test.file}
			if got := asks(t, slot, options); got != test.asks {
				t.Errorf("the key says that it may ask somebody: %t", got)
			}
			k := recipient.New(options)
			for range 2 {
				if got, err := k.Secret(t.Context(), slot); err != nil || !bytes.Equal(got, secret) {
					t.Fatalf("opened: %x, %v; want %x", got, err, secret)
				}
			}
			if k.(nebula.Asker).Asks(slot) {
				t.Error("the key says that it may ask somebody, and the slot is open already")
			}
		})
	}
	if n := starts(t, log); n != 2 {
		t.Errorf("the plugin was started %d times, not once to seal and once to open", n)
	}
}

func TestSlotsOfOthers(t *testing.T) {
	outsideFIPS(t)
	slot, _ := sealTo(t, recipient.Options{Recipient: newPair(t).recipient})
	_, err := open(t, slot, recipient.Options{})
	wantKind(t, err, nebula.ErrUnauthenticated)
	asked := false
	ask := func(context.Context, string, int) ([]byte, error) { asked = true; return []byte("x"), nil }
	_, err = open(t, slot, recipient.Options{Passphrase: ask, Identities: []string{
		newPair(t).file, newHybrid(t).file, newSSH(t, newEd25519(t), "").file, newSSH(t, newEd25519(t), "x").file}})
	wantKind(t, err, nebula.ErrWrongKey)
	if asked {
		t.Error("it asked for a passphrase that cannot help")
	}
}

func TestPassphraseOfIdentity(t *testing.T) {
	outsideFIPS(t)
	pairs := map[string]pair{"ssh": newSSH(t, newEd25519(t), "correct horse"), "age": newEncryptedAge(t, "correct horse", true)}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, p := range pairs {
		slot, _ := sealTo(t, recipient.Options{Recipient: p.recipient})
		tries := 0
		wrong := func(_ context.Context, file string, try int) ([]byte, error) {
			if tries++; try != tries || file != p.file {
				t.Errorf("%s: try %d of %s", name, try, file)
			}
			return []byte("wrong"), nil
		}
		_, err := open(t, slot, recipient.Options{Identities: []string{p.file}, Passphrase: wrong})
		wantKind(t, err, nebula.ErrUnauthenticated)
		if tries != 3 {
			t.Errorf("%s: asked %d times", name, tries)
		}
		_, err = open(t, slot, recipient.Options{Identities: []string{p.file}})
		wantKind(t, err, nebula.ErrUnauthenticated)
		_, err = open(t, slot, recipient.Options{Identities: []string{p.file}, Passphrase: answer("")})
		wantKind(t, err, nebula.ErrUnauthenticated)
		k := recipient.New(recipient.Options{Identities: []string{p.file}, Passphrase: func(ctx context.Context, _ string, _ int) ([]byte, error) {
			return nil, ctx.Err()
		}})
		if _, err := k.Secret(cancelled, slot); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the context was cancelled, and the error is %v", name, err)
		}
	}
}

// An encrypted key of the older form does not hold its public key. The file beside it
// does.
func TestOldEncryptedSSHKey(t *testing.T) {
	outsideFIPS(t)
	private := newRSA(t, 2048)
	//lint:ignore SA1019 people still have such files
	block, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private), []byte("correct horse"), x509.PEMCipherAES128)
	if err != nil {
		t.Fatal(err)
	}
	file, public := identityFile(t, string(pem.EncodeToMemory(block))), newSSH(t, private, "").recipient
	slot, secret := sealTo(t, recipient.Options{Recipient: public})
	options := recipient.Options{Identities: []string{file}, Passphrase: answer("correct horse")}
	_, err = open(t, slot, options)
	wantKind(t, err, nebula.ErrInvalidConfig)
	for text, want := range map[string]nebula.Kind{
		public + " me\n":                       "",
		newSSH(t, newEd25519(t), "").recipient: nebula.ErrWrongKey, // so nobody is asked
		"garbage":                              nebula.ErrInvalidConfig,
	} {
		if err := os.WriteFile(file+".pub", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := open(t, slot, options)
		wantKind(t, err, want)
		if want == "" && !bytes.Equal(got, secret) {
			t.Error("got another secret")
		}
	}
}

func TestIdentityFilesRefused(t *testing.T) {
	outsideFIPS(t)
	mine := newPair(t)
	slot, _ := sealTo(t, recipient.Options{Recipient: mine.recipient})
	good, _ := os.ReadFile(mine.file)
	secret := strings.TrimSpace(string(good[strings.Index(string(good), "AGE-"):]))
	for name, path := range map[string]string{
		"missing":               filepath.Join(t.TempDir(), "none"),
		"empty":                 identityFile(t, ""),
		"comments":              identityFile(t, "# nothing\n"),
		"cut":                   identityFile(t, secret[:60]),
		"lower case mixed":      identityFile(t, secret[:20]+strings.ToLower(secret[20:])),
		"two on a line":         identityFile(t, secret+" "+secret),
		"recipient":             identityFile(t, mine.recipient),
		"public key":            identityFile(t, newSSH(t, newEd25519(t), "").recipient),
		"too long":              identityFile(t, secret+strings.Repeat("\n", 64<<10)),
		"another PEM":           identityFile(t, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		"small RSA":             identityFile(t, "-----BEGIN OPENSSH PRIVATE KEY-----\n"),
		"plugin of a bad name":  identityFile(t, "AGE-PLUGIN-../X-1QQQQ"),
		"directory":             t.TempDir(),
		"age file for somebody": identityFile(t, "age-encryption.org/v1\n"),
	} {
		_, err := open(t, slot, recipient.Options{Identities: []string{path}, Passphrase: answer("x")})
		wantKind(t, err, nebula.ErrInvalidConfig)
		if err != nil && (strings.Contains(err.Error(), secret[16:40]) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: %v", name, err)
		}
		if asks(t, slot, recipient.Options{Identities: []string{path}}) && name != "age file for somebody" {
			t.Errorf("%s: the key says that it would ask somebody", name)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	for mode, groupMay := range map[os.FileMode]bool{0o644: false, 0o640: true, 0o440: true} {
		if err := os.Chmod(mine.file, mode); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, slot, recipient.Options{Identities: []string{mine.file}})
		wantKind(t, err, nebula.ErrInvalidConfig)
		if _, err := open(t, slot, recipient.Options{Identities: []string{mine.file}, AllowGroupRead: true}); (err == nil) != groupMay {
			t.Errorf("mode %04o with AllowGroupRead gave %v", mode, err)
		}
	}
}

// Whatever byte of the age file is changed, the result is an error.
func TestDamagedSlot(t *testing.T) {
	outsideFIPS(t)
	for name, p := range map[string]pair{"X25519": newPair(t), "ssh-ed25519": newSSH(t, newEd25519(t), "")} {
		slot, _ := sealTo(t, recipient.Options{Recipient: p.recipient})
		data, err := slotdata.ParseRecipient(slot.Data)
		if err != nil {
			t.Fatal(err)
		}
		k := recipient.New(recipient.Options{Identities: []string{p.file}})
		corrupted := 0
		for i := range data.File {
			file := bytes.Clone(data.File)
			file[i] ^= 1
			damaged := slot
			damaged.Data = slotdata.Recipient{Recipient: data.Recipient, File: file}.Bytes()
			_, err := k.Secret(t.Context(), damaged)
			switch nebula.KindOf(err) {
			case nebula.ErrCorrupted:
				corrupted++
				if !strings.Contains(err.Error(), slot.ID) {
					t.Fatalf("%s, byte %d: the slot is not named: %v", name, i, err)
				}
			case nebula.ErrWrongKey: // as if it were for somebody else
			default:
				t.Fatalf("%s, byte %d: %v", name, i, err)
			}
		}
		if corrupted < len(data.File)/2 {
			t.Errorf("%s: only %d of %d changes were reported as damage", name, corrupted, len(data.File))
		}
		odd := slot
		odd.Data = []byte("x")
		_, err = k.Secret(t.Context(), odd)
		wantKind(t, err, nebula.ErrCorrupted)
		_, _, err = k.Renew(t.Context(), odd, [16]byte{})
		wantKind(t, err, nebula.ErrCorrupted)
	}
}

func TestSecretOfAnotherLength(t *testing.T) {
	outsideFIPS(t)
	p := newPair(t)
	r, err := age.ParseX25519Recipient(p.recipient)
	if err != nil {
		t.Fatal(err)
	}
	for _, plaintext := range []string{"", "short", strings.Repeat("x", 33), strings.Repeat("x", 4096)} {
		var file bytes.Buffer
		w, err := age.Encrypt(&file, r)
		if err == nil {
			_, err = w.Write([]byte(plaintext))
		}
		if err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		slot := nebula.Slot{ID: "abcdefgh", Kind: nebula.SlotRecipient, Data: slotdata.Recipient{Recipient: p.recipient, File: file.Bytes()}.Bytes()}
		_, err = open(t, slot, recipient.Options{Identities: []string{p.file}})
		wantKind(t, err, nebula.ErrCorrupted)
	}
}

func TestFIPSMode(t *testing.T) {
	slot := nebula.Slot{ID: "abcdefgh", Kind: nebula.SlotRecipient,
		Data: slotdata.Recipient{Recipient: "age1x", File: []byte("age-encryption.org/v1\n")}.Bytes()}
	k := recipient.New(recipient.Options{Recipient: "age1x", Identities: []string{"/does/not/exist"}})
	_, opening := k.Secret(t.Context(), slot)
	_, _, making := k.NewSlot(t.Context(), "abcdefgh", [16]byte{})
	_, _, renewing := k.Renew(t.Context(), slot, [16]byte{})
	for _, err := range []error{opening, making, renewing} {
		if inFIPS := nebula.KindOf(err) == nebula.ErrNotSupported; err == nil || inFIPS != isFIPS() || inFIPS && !strings.Contains(err.Error(), "FIPS") {
			t.Errorf("in FIPS mode (%t): %v", isFIPS(), err)
		}
	}
	if k.(nebula.Asker).Asks(slot) {
		t.Error("the key says that it would ask somebody")
	}
}
