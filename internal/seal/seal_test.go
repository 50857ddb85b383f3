package seal

import (
	"bufio"
	"bytes"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"testing"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readLines decodes each line of a file of test data.
func readLines[T any](t testing.TB, path string, want int) []T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		var one T
		if err := d.Decode(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(all) != want {
		t.Fatalf("%s has %d lines, want %d", path, len(all), want)
	}
	return all
}

type aeadCase struct {
	TCID                       int
	Comment, Result            string
	Key, IV, AAD, Msg, CT, Tag hexBytes
}

// Wycheproof's cases for AES-GCM go through our own open. If a nonce or tag has another
// length than ours, it is refused, whatever another library does.
func TestWycheproofOpen(t *testing.T) {
	opened, refused, otherNonce := 0, 0, 0
	for _, c := range readLines[aeadCase](t, "testdata/wycheproof_aes_gcm.jsonl", 105) {
		box := append(append(bytes.Clone(c.IV), c.CT...), c.Tag...)
		plaintext, err := open([KeySize]byte(c.Key), box, c.AAD)
		switch {
		case len(c.IV) != NonceSize:
			otherNonce++
			if !errors.Is(err, ErrTag) {
				t.Errorf("%d: a nonce of %d bytes: %v", c.TCID, len(c.IV), err)
			}
			continue
		case c.Result == "valid":
			opened++
			if err != nil || !bytes.Equal(plaintext, c.Msg) {
				t.Errorf("%d %s: %x, %v", c.TCID, c.Comment, plaintext, err)
			}
		default:
			refused++
			if !errors.Is(err, ErrTag) || plaintext != nil {
				t.Errorf("%d %s: %x, %v", c.TCID, c.Comment, plaintext, err)
			}
			continue
		}
		for cut := 1; cut <= TagSize; cut++ {
			if _, err := open([KeySize]byte(c.Key), box[:len(box)-cut], c.AAD); !errors.Is(err, ErrTag) {
				t.Errorf("%d: a tag of %d bytes: %v", c.TCID, TagSize-cut, err)
			}
		}
		if _, err := open([KeySize]byte(c.Key), append(bytes.Clone(box), 0), c.AAD); !errors.Is(err, ErrTag) {
			t.Errorf("%d: a tag of %d bytes: %v", c.TCID, TagSize+1, err)
		}
	}
	if opened != 39 || refused != 27 || otherNonce != 39 {
		t.Errorf("opened %d, refused %d, other nonces %d", opened, refused, otherNonce)
	}
}

func TestOpenRefusesShortBoxes(t *testing.T) {
	for n := range NonceSize + TagSize {
		if _, err := open([KeySize]byte{}, make([]byte, n), nil); !errors.Is(err, ErrTag) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

type hkdfCase struct {
	TCID                 int
	Comment, Result      string
	IKM, Salt, Info, OKM hexBytes
	Size                 int
}

// minFIPSKey is the length of an HMAC key below which FIPS mode panics. Our HMAC keys
// are salts of 16 bytes and keys of 32.
const minFIPSKey = 14

func TestWycheproofHKDF(t *testing.T) {
	const maxOutput = 255 * sha256.Size
	tooLong := 0
	for _, c := range readLines[hkdfCase](t, "testdata/wycheproof_hkdf_sha256.jsonl", 86) {
		if c.Result != "valid" {
			// HKDF cannot give that many bytes. We ask for 16 and 64 only.
			if c.Size <= maxOutput {
				t.Errorf("%d: %d bytes are said to be invalid", c.TCID, c.Size)
			}
			tooLong++
			continue
		}
		if fips140.Enforced() && len(c.Salt) < minFIPSKey {
			continue
		}
		okm := make([]byte, c.Size)
		expand(hmac.New(sha256.New, extract(c.Salt, c.IKM)), c.Info, okm)
		if !bytes.Equal(okm, c.OKM) {
			t.Errorf("%d %s: %x, want %x", c.TCID, c.Comment, okm, c.OKM)
		}
	}
	if tooLong != 3 {
		t.Errorf("%d cases ask for too much, want 3", tooLong)
	}
}

// RFC 5869, appendix A.1 to A.3: the cases with SHA-256.
func TestRFC5869(t *testing.T) {
	for name, c := range map[string]struct{ ikm, salt, info, prk, okm string }{
		"A.1": {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
			"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
		"A.2": {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
			"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
			"b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
			"06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
			"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
		"A.3": {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
			"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	} {
		if fips140.Enforced() && len(unhex(t, c.salt)) < minFIPSKey {
			continue
		}
		prk := extract(unhex(t, c.salt), unhex(t, c.ikm))
		if !bytes.Equal(prk, unhex(t, c.prk)) {
			t.Errorf("%s: PRK %x", name, prk)
		}
		okm := make([]byte, len(c.okm)/2)
		expand(hmac.New(sha256.New, prk), unhex(t, c.info), okm)
		if !bytes.Equal(okm, unhex(t, c.okm)) {
			t.Errorf("%s: OKM %x", name, okm)
		}
	}
}

// For each length, the output is that of Go's own HKDF.
func TestExpandOfEachLength(t *testing.T) {
	prk := bytes.Repeat([]byte{7}, KeySize)
	for n := range 4 * sha256.Size {
		want, err := hkdf.Expand(sha256.New, prk, "info", n)
		okm := make([]byte, n)
		expand(hmac.New(sha256.New, prk), []byte("info"), okm)
		if err != nil || !bytes.Equal(okm, want) {
			t.Errorf("%d bytes: %x, want %x, %v", n, okm, want, err)
		}
	}
}

// A MAC depends on the key and on the purpose.
func TestMAC(t *testing.T) {
	secret := [KeySize]byte{1, 2, 3}
	for _, purpose := range []string{"one", "another"} {
		derived, err := hkdf.Expand(sha256.New, secret[:], purpose, KeySize)
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, derived)
		mac.Write([]byte("message"))
		if got := NewKey(secret).MAC(purpose, []byte("message")); !bytes.Equal(got[:], mac.Sum(nil)) {
			t.Errorf("for the purpose %q: %x, want %x", purpose, got, mac.Sum(nil))
		}
	}
}

type derivedCase struct {
	What            string
	DataKey         hexBytes `json:"data_key"`
	KeyID           hexBytes `json:"key_id"`
	Name, Kind, ID  string
	Passphrase      string
	M, T, P         uint32
	Salt, Secret    hexBytes
	Key, Commitment hexBytes
}

func TestDerivedKeys(t *testing.T) {
	count := make(map[string]int)
	for _, c := range readLines[derivedCase](t, "testdata/derived.jsonl", 30) {
		count[c.What]++
		slot := Slot{Params: Params{Kind: c.Kind, Salt: [SaltSize]byte(c.Salt), M: c.M, T: c.T, P: c.P}, ID: c.ID}
		switch c.What {
		case "record":
			key := NewKey([KeySize]byte(c.DataKey))
			id := key.ID()
			recordKey, commitment := key.derive(c.Name, [SaltSize]byte(c.Salt))
			if !bytes.Equal(id[:], c.KeyID) || !bytes.Equal(recordKey[:], c.Key) || !bytes.Equal(commitment[:], c.Commitment) {
				t.Errorf("%+v: %x, %x, %x", c, id, recordKey, commitment)
			}
		case "slot":
			kek := NewKEK(slot, c.Secret)
			if !bytes.Equal(kek.key[:], c.Key) || !bytes.Equal(kek.commitment[:], c.Commitment) {
				t.Errorf("%+v: %x, %x", c, kek.key, kek.commitment)
			}
		case "secret":
			secret, err := DeriveSecret(slot.Params, []byte(c.Passphrase))
			if c.Kind == KindArgon2id && fips140.Enforced() {
				if err != ErrFIPS {
					t.Errorf("in FIPS mode Argon2id gave %v", err)
				}
				continue
			}
			if err != nil || !bytes.Equal(secret, c.Secret) {
				t.Errorf("%+v: %x, %v", c, secret, err)
			}
		}
	}
	if count["record"] != 15 || count["slot"] != 10 || count["secret"] != 5 {
		t.Errorf("%v", count)
	}
}

// The derivation agrees with the Rust crate argon2: these values come from records that
// the Rust implementation of this store's specification wrote.
func TestArgon2idOfAnotherLibrary(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("Argon2id is refused in FIPS mode")
	}
	for _, c := range []struct{ passphrase, salt, secret string }{
		{"hunter2", "ad0357e085342b17332cb21412d1a7ff", "00f63ff4292a5add8185730bf9f6561f322d5acf9ce808ac499467ae6fb38cb6"},
		{"caf\u00e9 \U0001f511", "d0dac89ec4e2044e26d6ecc33c6d59dc", "b046533058ec04f8384b46513a855f1ada658c368cc39a264f0fe3e02279a8ad"},
		{"", "1386601c95b7e6861ea3df518a4935ec", "0cb70a7144dea00d3615c63c541fa6a59adc70a306d969e28c58aba0b391bc93"},
	} {
		secret, err := DeriveSecret(Params{Kind: KindArgon2id, Salt: [SaltSize]byte(unhex(t, c.salt)), M: 19456, T: 2, P: 1}, []byte(c.passphrase))
		if err != nil || !bytes.Equal(secret, unhex(t, c.secret)) {
			t.Errorf("%q: %x, %v", c.passphrase, secret, err)
		}
	}
}

// Several goroutines can use one key: they do not share the HMACs that it keeps.
func TestKeyIsSafeForGoroutines(t *testing.T) {
	key := GenerateKey()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			name := string(rune('a' + i))
			for range 200 {
				s := key.Seal(name, []byte(name), nil)
				if plaintext, err := key.Open(name, s, nil); err != nil || string(plaintext) != name || !key.Fits(name, s) {
					t.Errorf("%s: %q, %v", name, plaintext, err)
				}
			}
		})
	}
	group.Wait()
}

// Salt, nonce and therefore the record key are new for every seal, and no byte of a
// seal can be changed.
func TestSealIsFreshAndWhole(t *testing.T) {
	key := NewKey([KeySize]byte{1})
	a, b := key.Seal("name", []byte("text"), []byte("more")), key.Seal("name", []byte("text"), []byte("more"))
	if a.Salt == b.Salt || a.Commitment == b.Commitment || bytes.Equal(a.Box[:NonceSize], b.Box[:NonceSize]) {
		t.Error("two seals share salt, commitment or nonce")
	}
	check := func(what string, name string, s Sealed, more string, want error) {
		if plaintext, err := key.Open(name, s, []byte(more)); !errors.Is(err, want) || plaintext != nil {
			t.Errorf("%s: %q, %v", what, plaintext, err)
		}
	}
	check("name", "nama", a, "more", ErrCommitment)
	check("additional data", "name", a, "mora", ErrTag)
	for i := range a.Salt {
		s := a
		s.Salt[i] ^= 1
		check("salt", "name", s, "more", ErrCommitment)
	}
	for i := range a.Commitment {
		s := a
		s.Commitment[i] ^= 0x80
		check("commitment", "name", s, "more", ErrCommitment)
	}
	for i := range a.Box {
		s := a
		s.Box = bytes.Clone(a.Box)
		s.Box[i] ^= 4
		check("box", "name", s, "more", ErrTag)
	}
}

// The bounds of docs/format.md, each at its limit and one beyond it.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		p    Params
		good bool
	}{
		{Params{Kind: KindArgon2id, M: 19456, T: 2, P: 1}, true},
		{Params{Kind: KindArgon2id, M: 19455, T: 2, P: 1}, false},
		{Params{Kind: KindArgon2id, M: 19456, T: 1, P: 1}, false},
		{Params{Kind: KindArgon2id, M: 19456, T: 2, P: 0}, false},
		{Params{Kind: KindArgon2id, M: 1048576, T: 4, P: 16}, true}, // the most work that is allowed
		{Params{Kind: KindArgon2id, M: 1048576, T: 5, P: 16}, false},
		{Params{Kind: KindArgon2id, M: 1048577, T: 2, P: 16}, false},
		{Params{Kind: KindArgon2id, M: 1048576, T: 4, P: 17}, false},
		{Params{Kind: KindArgon2id, M: 262144, T: 16, P: 1}, true},
		{Params{Kind: KindArgon2id, M: 262145, T: 16, P: 1}, false},
		{Params{Kind: KindArgon2id, M: 838861, T: 5, P: 1}, false}, // 4,194,305 KiB × passes
		{Params{Kind: KindArgon2id, M: 19456, T: 17, P: 1}, false},
		{Params{Kind: KindPBKDF2, T: 600_000}, true},
		{Params{Kind: KindPBKDF2, T: 599_999}, false},
		{Params{Kind: KindPBKDF2, T: 10_000_000}, true},
		{Params{Kind: KindPBKDF2, T: 10_000_001}, false},
		{Params{Kind: KindPBKDF2, M: 1, T: 600_000}, false},
		{Params{Kind: KindPBKDF2, T: 600_000, P: 1}, false},
		{Params{Kind: KindKeyFile}, true},
		{Params{Kind: KindKeyFile, M: 1}, false},
		{Params{Kind: KindKeyFile, T: 1}, false},
		{Params{Kind: KindKeyFile, P: 1}, false},
		{Params{Kind: "another", M: 1, T: 1, P: 1}, true}, // kinds that are not known pass
	} {
		if err := c.p.Check(); (err == nil) != c.good {
			t.Errorf("%+v: %v", c.p, err)
		}
	}
}

// DeriveSecret checks parameters too, before it spends memory or time.
func TestDeriveSecretRefuses(t *testing.T) {
	for _, p := range []Params{
		{Kind: KindArgon2id, M: minMemory, T: minPasses, P: maxLanes + 1},
		{Kind: KindPBKDF2, T: minRounds - 1},
		{Kind: KindKeyFile},
		{Kind: "age"},
	} {
		if secret, err := DeriveSecret(p, []byte("passphrase")); secret != nil || err == nil {
			t.Errorf("%+v gave %x, %v", p, secret, err)
		}
	}
}

func TestUnwrap(t *testing.T) {
	slot := Slot{Params: Params{Kind: KindKeyFile}, ID: "abcd2345"}
	key := GenerateKey()
	kek := NewKEK(slot, []byte("secret"))
	wrapped := kek.Wrap(slot, key)
	if got, err := kek.Unwrap(slot, wrapped); err != nil || got.Secret() != key.Secret() || got.ID() != key.ID() {
		t.Fatalf("%v", err)
	}
	for what, change := range map[string]func(*Slot){
		"m": func(s *Slot) { s.M = 1 }, "t": func(s *Slot) { s.T = 1 }, "p": func(s *Slot) { s.P = 1 },
		"kind": func(s *Slot) { s.Kind = "age" }, "id": func(s *Slot) { s.ID = "abcd2346" },
		"empty data": func(s *Slot) { s.Data = []byte{} }, "data": func(s *Slot) { s.Data = []byte{0} },
	} {
		other := slot
		change(&other)
		if _, err := kek.Unwrap(other, wrapped); !errors.Is(err, ErrTag) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := NewKEK(slot, []byte("another")).Unwrap(slot, wrapped); !errors.Is(err, ErrCommitment) {
		t.Errorf("another secret: %v", err)
	}
	if again := kek.Wrap(slot, key); again.Nonce == wrapped.Nonce || again.Commitment != wrapped.Commitment {
		t.Error("wrapping again keeps the nonce, or changes the commitment")
	}
}

func FuzzParseKeyFile(f *testing.F) {
	good := FormatKeyFile([KeySize]byte{1, 2, 3})
	seeds := [][]byte{good, bytes.TrimSuffix(good, []byte("\n")), append(bytes.TrimSuffix(bytes.Clone(good), []byte("\n")), "\r\n"...),
		{}, []byte("nebula-key-1:"), append(bytes.Clone(good), '\n'), bytes.ToUpper(good), good[1:], good[:50]}
	if len(seeds) < 9 || len(good) != KeyFileSize-1 {
		f.Fatal("the corpus has changed")
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		secret, err := ParseKeyFile(text)
		if err != nil {
			if err != ErrKeyFile || secret != [KeySize]byte{} {
				t.Fatalf("%x, %v", secret, err)
			}
			return
		}
		line := bytes.TrimSuffix(FormatKeyFile(secret), []byte("\n"))
		if rest, ok := bytes.CutPrefix(text, line); !ok || len(rest) > 0 && string(rest) != "\n" && string(rest) != "\r\n" {
			t.Fatalf("%q is taken for %q", text, line)
		}
	})
}
