package recipient_test

import (
	"crypto/fips140"
	"strings"
	"testing"

	"filippo.io/age/plugin"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/unlock/recipient"
)

func isFIPS() bool { return fips140.Enforced() }

func TestNormalise(t *testing.T) {
	outsideFIPS(t)
	native, hybrid := newPair(t).recipient, newHybrid(t).recipient
	key := newSSH(t, newEd25519(t), "").recipient
	for line, want := range map[string]string{
		native:                          native,
		"\t " + native + " \r\n":        native,
		native + " # Zoë's laptop":      native,
		hybrid:                          hybrid,
		key:                             key,
		key + " zoe@example.com laptop": key,
		strings.Replace(key, " ", " \t ", 1) + "\n": key,
	} {
		if got, err := recipient.Normalise(line); err != nil || got != want {
			t.Errorf("%q became %q, %v", line, got, err)
		}
	}
	secret := "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQSUJLAP"
	for _, line := range []string{
		"", " ", "#", "age1", "age1qqqq", native[:len(native)-1], native + "q", strings.ToUpper(native), native + " zoe",
		"ssh-ed25519", "ssh-ed25519 AAAA", "ssh-dss AAAAB3NzaC1kc3MAAACBAA==", "ssh-rsa " + strings.Fields(key)[1],
		`command="x" ` + key, "ecdsa-sha2-nistp256 AAAA", "github:zoe", secret, "AGE-PLUGIN-YUBIKEY-1QQQ", "-----BEGIN OPENSSH PRIVATE KEY-----",
		"age1yubikey1qqqq", "age1../evil1qqqq", plugin.EncodeRecipient(strings.Repeat("p", 33), []byte("x")),
		newSSH(t, newRSA(t, 1024), "").recipient, "age1" + strings.Repeat("q", 3000), native + "\x00",
	} {
		got, err := recipient.Normalise(line)
		wantKind(t, err, nebula.ErrUsage)
		if got != "" && err == nil || err != nil && len(line) > 20 && strings.Contains(err.Error(), line[4:20]) {
			t.Errorf("%q became %q, %v", line, got, err)
		}
	}
}

func TestPluginOf(t *testing.T) {
	for text, want := range map[string]string{
		"age1yubikey1qqqq": "yubikey", "age1a1b1qqqq": "a1b", "age1qqqq": "", "age1pq1qqqq": "", "age1tag1qqqq": "", "age1tagpq1qqqq": "",
		"ssh-ed25519 AAAA1B1": "", "": "", "x1y1": "",
	} {
		if got := recipient.PluginOf(text); got != want {
			t.Errorf("%q needs %q, not %q", text, got, want)
		}
	}
}

func TestReadList(t *testing.T) {
	outsideFIPS(t)
	a, b := newPair(t).recipient, newSSH(t, newEd25519(t), "").recipient
	got, err := recipient.ReadList(strings.NewReader("# team\n\n" + a + "\n  " + b + " zoe@example.com\n"))
	if err != nil || len(got) != 2 || got[0] != a || got[1] != b {
		t.Errorf("the list is %q, %v", got, err)
	}
	_, err = recipient.ReadList(strings.NewReader(a + "\nsecret words\n"))
	wantKind(t, err, nebula.ErrUsage)
	if !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error is %v", err)
	}
	_, err = recipient.ReadList(strings.NewReader(strings.Repeat("#\n", 1<<20)))
	wantKind(t, err, nebula.ErrUsage)
	_, err = recipient.ReadList(strings.NewReader(strings.Repeat("a", 1<<17)))
	wantKind(t, err, nebula.ErrUsage)
}
