package recipient

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/nebula-credential/nebula"
)

// FuzzIdentities: an identity file holds identities, or it is refused by an error that
// shows nothing of it.
func FuzzIdentities(f *testing.F) {
	const canary = "CANARY-OF-THE-FILE"
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "# comment\n" + id.String(), id.String() + "\n" + id.String() + "\r\n", id.Recipient().String(), "AGE-PLUGIN-X-1QQ",
		"AGE-SECRET-KEY-1", "age-encryption.org/v1\n", "-----BEGIN AGE ENCRYPTED FILE-----\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var ids identities
		err := ids.read("FILE", text)
		if found := len(ids.native) + len(ids.plugin) + len(ids.ssh) + len(ids.locked); err == nil && found == 0 {
			t.Fatalf("%q holds no identity, and is accepted", text)
		}
		err = new(identities).read("FILE", append(bytes.Clone(text), "\n"+canary...))
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Fatalf("the error shows the file: %v", err)
		}
	})
}

// FuzzList: the recipients that a list is read as are read again unchanged.
func FuzzList(f *testing.F) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "# x\n\n" + id.Recipient().String(), "age1", "ssh-ed25519 AAAA me", "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ReadList(bytes.NewReader(text))
		if err != nil {
			if nebula.KindOf(err) == "" {
				t.Fatalf("%v has no kind", err)
			}
			return
		}
		again, err := ReadList(strings.NewReader(strings.Join(list, "\n")))
		if err != nil || !slices.Equal(list, again) {
			t.Fatalf("%q became %q, %v", list, again, err)
		}
	})
}
