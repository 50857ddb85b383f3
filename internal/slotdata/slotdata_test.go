package slotdata

import (
	"bytes"
	"strings"
	"testing"
)

const (
	slotID  = "abcdefgh"
	version = "0123456789abcdef0123456789abcdef"
)

// join returns L(x) of each field.
func join(fields ...string) []byte {
	var data []byte
	for _, f := range fields {
		data = appendField(data, f)
	}
	return data
}

func valid() map[string][][]byte {
	return map[string][][]byte{
		KindRecipient: {
			Recipient{"age1qqqqq", []byte(ageHeader + "rest")}.Bytes(),
			Recipient{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", []byte(ageHeader)}.Bytes(),
		},
		KindAWSKMS: {
			AWSKMS{"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", []byte("b")}.Bytes(),
			AWSKMS{"arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd", bytes.Repeat([]byte("b"), MaxKMSBlob)}.Bytes(),
		},
		KindVaultTransit: {
			VaultTransit{"transit", "team", "vault:v1:AAAA"}.Bytes(),
			VaultTransit{"a/b", "team.key_1", "vault:v120:AAA="}.Bytes(),
		},
		KindAzureKey: {
			AzureKey{AzureURL{"team.vault.azure.net", "key-1", version}, make([]byte, minAzureWrapped)}.Bytes(),
			AzureKey{AzureURL{"127.0.0.1:8443", "K", version}, make([]byte, maxAzureWrapped)}.Bytes(),
		},
		KindKeychain: {Keychain(slotID)},
	}
}

func TestCheckAcceptsWhatIsMade(t *testing.T) {
	for kind, all := range valid() {
		if !Known(kind) {
			t.Errorf("%s is not known", kind)
		}
		for _, data := range all {
			if err := Check(kind, slotID, data); err != nil {
				t.Errorf("%s: %q: %v", kind, data, err)
			}
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	arn := "arn:aws:kms:eu-central-1:123456789012:key/1234"
	url := "https://team.vault.azure.net/keys/key/" + version
	wrapped := strings.Repeat("w", minAzureWrapped)
	for kind, all := range map[string][][]byte{
		KindRecipient: {
			join("", ageHeader), join("age1 q", ageHeader), join("age1\n", ageHeader), join("agé", ageHeader),
			join(strings.Repeat("a", MaxRecipient+1), ageHeader), join("age1q", ""), join("age1q", "age-encryption.org/v2\n"),
			join("ssh-rsa AAAA comment", ageHeader), join("ssh-rsa  AAAA", ageHeader), join("ssh-rsa AAA", ageHeader),
			join("ssh-rsa ", ageHeader), join("ssh-rsa AAAB\n", ageHeader), join("-i AAAA", ageHeader), join("age1q"),
		},
		KindAWSKMS: {
			join("arn:aws:kms:eu-central-1:123456789012:alias/a", "b"), join("alias/a", "b"), join(arn, ""),
			join(arn, strings.Repeat("b", MaxKMSBlob+1)), join("arn:aws:s3:eu-central-1:123456789012:key/1234", "b"),
			join("arn:aws:kms:eu-central-1:1234:key/1234", "b"), join("arn:aws:kms::123456789012:key/1234", "b"),
			join("arn::kms:r:123456789012:key/1234", "b"), join(arn+"/x", "b"), join(arn+":x", "b"), join("arn:aws:kms:R:123456789012:key/1", "b"),
			join("arn:aws:kms:r:123456789012:key/"+strings.Repeat("a", 129), "b"), join(arn),
		},
		KindVaultTransit: {
			join("transit", "vault:v1:AAAA"), join("/transit/k", "vault:v1:AAAA"), join("transit/k/", "vault:v1:AAAA"),
			join("a//k", "vault:v1:AAAA"), join("a b/k", "vault:v1:AAAA"), join(strings.Repeat("a", maxTransitKey)+"/k", "vault:v1:AAAA"),
			join("t/k", "vault:v0:AAAA"), join("t/k", "vault:v01:AAAA"), join("t/k", "vault:v:AAAA"), join("t/k", "vault:v1:"),
			join("t/k", "vault:v1:AAA"), join("t/k", "vault:v1:AAB="), join("t/k", "vault:v1:AA\nAA"), join("t/k", "vault:v1:AA-_"),
			join("t/k", "vault:v1"), join("t/k", "hcp:v1:AAAA"), join("t/k"),
		},
		KindAzureKey: {
			join("http"+url[5:], wrapped), join("https://Team.vault.azure.net"+url[28:], wrapped), join(url+"/", wrapped),
			join(url[:len(url)-1], wrapped), join(strings.ToUpper(url), wrapped), join(url+"?x", wrapped),
			join("https:///keys/key/"+version, wrapped), join("https://u@h/keys/key/"+version, wrapped),
			join("https://h:/keys/key/"+version, wrapped), join("https://h:1:2/keys/key/"+version, wrapped),
			join("https://h/secrets/key/"+version, wrapped), join("https://h/keys/k_y/"+version, wrapped), join("https://h/keys//"+version, wrapped),
			join(url, wrapped[1:]), join(url, strings.Repeat("w", maxAzureWrapped+1)), join(url),
		},
		KindKeychain: {join("abcdefgi"), join(""), join("abcdefgh ")},
		"unknown":    {join("x")},
	} {
		for _, data := range all {
			if Check(kind, slotID, data) == nil {
				t.Errorf("%s: %q is accepted", kind, data)
			}
		}
	}
}

// No byte can be missing, and none can be added.
func TestCheckOfCutData(t *testing.T) {
	for kind, all := range valid() {
		for _, data := range append(all, nil) {
			for n := range data {
				if Check(kind, slotID, data[:n]) == nil {
					t.Fatalf("%s: %d of %d bytes are accepted", kind, n, len(data))
				}
			}
			if Check(kind, slotID, append(bytes.Clone(data), 0)) == nil {
				t.Errorf("%s: one byte more is accepted", kind)
			}
			if Check(kind, slotID, append(bytes.Clone(data), make([]byte, MaxSize)...)) == nil {
				t.Errorf("%s: data over MaxSize is accepted", kind)
			}
		}
		if Check(kind, slotID, []byte{0xff, 0xff, 0xff, 0xff}) == nil {
			t.Errorf("%s: a length beyond the end is accepted", kind)
		}
	}
}

// Data that is accepted has one encoding.
func FuzzCheck(f *testing.F) {
	for kind, all := range valid() {
		for _, data := range all {
			f.Add(kind, data)
		}
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		if Check(kind, slotID, data) != nil {
			return
		}
		var again []byte
		switch kind {
		case KindRecipient:
			r, _ := ParseRecipient(data)
			again = r.Bytes()
		case KindAWSKMS:
			k, _ := ParseAWSKMS(data)
			again = k.Bytes()
		case KindVaultTransit:
			v, _ := ParseVaultTransit(data)
			again = v.Bytes()
		case KindAzureKey:
			k, _ := ParseAzureKey(data)
			again = k.Bytes()
		case KindKeychain:
			again = Keychain(slotID)
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%s: %x is written as %x", kind, data, again)
		}
	})
}
