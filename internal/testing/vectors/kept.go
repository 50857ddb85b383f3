package main

import (
	"fmt"
	"strings"
)

// slotSecret is the secret that the other side keeps for the slots of these vectors.
func slotSecret() []byte { return random("slot secret", 32) }

const keptID = "kept2345"

const (
	keptARN     = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	keptVersion = "0123456789abcdef0123456789abcdef"
	keptURL     = "https://team.vault.azure.net/keys/nebula/" + keptVersion
	keptSSH     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	ageHeader   = "age-encryption.org/v1\n"
)

func text(n int) string { return string(random("text", n)) }

// keptSlots adds slots whose secret something else keeps.
func (s *suite) keptSlots() {
	first := sealedValue{Generation: 1, State: "steady", Retired: []string{}}
	ok := func(kind, name, data string) *vector {
		spec := slotSpec{id: keptID, kind: kind, data: &data, secret: slotSecret()}
		r := ringOf("kept "+kind+name, spec)
		s.ring("kept", kind+": "+name, r.object().text(), "ok", having{}, &first)
		v := &s.vectors[len(s.vectors)-1]
		v.SlotSecret = hexed(slotSecret())
		return v
	}
	recipient, identity := agePair("reader")
	ok("recipient", "X25519", l(recipient)+l(ageFile("reader", slotSecret()))).Identity = identity
	ok("recipient", "SSH key", l(keptSSH)+l(ageHeader+"-> X25519 a\n"))
	ok("recipient", "one character", l("a")+l(ageHeader))
	ok("recipient", "as long as there may be", l(strings.Repeat("~", 2048))+l(ageHeader+text(8192-2048-8-len(ageHeader))))
	ok("aws-kms", "a key", l(keptARN)+l(text(184)))
	ok("aws-kms", "a key of several regions", l("arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab")+l("x"))
	ok("aws-kms", "the largest blob", l(keptARN)+l(text(6144)))
	ok("vault-transit", "a key", l("transit/nebula")+l("vault:v1:AAAA"))
	ok("vault-transit", "a mount of two parts, version 120", l("team/transit/neb.ula_1")+l("vault:v120:AAA="))
	ok("azure-key", "RSA of 2048 bits", l(keptURL)+l(text(256)))
	ok("azure-key", "RSA of 4096 bits, with a port", l("https://127.0.0.1:8443/keys/K-1/"+keptVersion)+l(text(512)))
	ok("keychain", "its own id", l(keptID))

	s.keptElsewhere()
	for _, b := range badData() {
		s.badKept(b.kind, b.name, &b.data, 0, 0, 0)
	}
	for _, kind := range []string{"recipient", "aws-kms", "vault-transit", "azure-key", "keychain"} {
		good := goodData(kind)
		s.badKept(kind, "m is 1", &good, 1, 0, 0)
		s.badKept(kind, "t is 1", &good, 0, 1, 0)
		s.badKept(kind, "p is 1", &good, 0, 0, 1)
		more, less, beyond := good+"\x00", good[:len(good)-1], "\xff\xff\xff\xff"+good
		s.badKept(kind, "no data", nil, 0, 0, 0)
		s.badKept(kind, "empty data", new(""), 0, 0, 0)
		s.badKept(kind, "a byte left over", &more, 0, 0, 0)
		s.badKept(kind, "a byte missing", &less, 0, 0, 0)
		s.badKept(kind, "a field beyond the end", &beyond, 0, 0, 0)
		s.badKept(kind, "a field more", new(good+l("")), 0, 0, 0)
	}
}

func goodData(kind string) string {
	return map[string]string{
		"recipient": l("age1x") + l(ageHeader), "aws-kms": l(keptARN) + l("x"), "vault-transit": l("transit/nebula") + l("vault:v1:AAAA"),
		"azure-key": l(keptURL) + l(text(256)), "keychain": l(keptID),
	}[kind]
}

// badKept adds a keyring with a bad slot. The key file would open it.
func (s *suite) badKept(kind, name string, data *string, m, t, p uint64) {
	spec := slotSpec{id: keptID, kind: kind, m: m, t: t, p: p, data: data, secret: slotSecret()}
	s.badRing("kept form", kind+": "+name, ringOf("bad kept "+kind+name, fileSlot(), spec).object().text())
}

// keptElsewhere adds slots that the other side does not open, or not as they are.
func (s *suite) keptElsewhere() {
	good := goodData("vault-transit")
	spec := slotSpec{id: keptID, kind: "vault-transit", data: &good, secret: random("another secret", 32)}
	add := func(name, expect string, has having, slots ...slotSpec) {
		s.ring("kept", name, ringOf("kept "+name, slots...).object().text(), expect, has, nil)
	}
	add("another secret", wrongKey, having{}, spec)
	s.vectors[len(s.vectors)-1].SlotSecret = hexed(slotSecret())
	add("nobody to ask", "unauthenticated", having{}, spec)
	spec.secret = slotSecret()
	r := ringOf("kept data edited", spec)
	slot := makeSlot(dataKey(), spec, "kept data edited").object.with("data", b64([]byte(l("transit/nebulb")+l("vault:v1:AAAA"))))
	s.ring("kept", "data edited, and the hash made right", rehashed(r.object(), []object{slot}).text(), corrupted, having{}, nil)
	s.vectors[len(s.vectors)-1].SlotSecret = hexed(slotSecret())
}

type badDatum struct{ kind, name, data string }

// badData returns data with one field each whose form is wrong.
func badData() []badDatum {
	var all []badDatum
	add := func(kind string, data ...string) {
		for i, d := range data {
			all = append(all, badDatum{kind, fmt.Sprint("field out of form ", i+1), d})
		}
	}
	file := l(ageHeader)
	add("recipient", l("")+file, l("age1 x")+file, l("age1\n")+file, l("ag\u00e9")+file, l(strings.Repeat("a", 2049))+file, l("a")+l(""), l("a")+l("age-encryption.org/v2\n"),
		l("a")+l("-----BEGIN AGE ENCRYPTED FILE-----\n"), l(keptSSH+" comment")+file, l("ssh-ed25519  AAAA")+file, l("ssh-ed25519 AAA")+file, l("ssh-ed25519 AAB=")+file,
		l("ssh-ed25519 ")+file, l("SSH-ed25519 AAAA")+file, l(" a")+file, l("a\x7f")+file)
	add("aws-kms", l("")+l("x"), l("alias/nebula")+l("x"), l("arn:aws:kms:eu-central-1:123456789012:alias/nebula")+l("x"), l(strings.Replace(keptARN, "kms", "s3", 1))+l("x"),
		l(strings.Replace(keptARN, "123456789012", "12345678901", 1))+l("x"), l(strings.Replace(keptARN, "eu-central-1", "", 1))+l("x"), l(strings.Replace(keptARN, "aws", "", 1))+l("x"),
		l(strings.Replace(keptARN, "eu-central-1", "EU-CENTRAL-1", 1))+l("x"), l(keptARN+"/x")+l("x"), l(keptARN+":x")+l("x"), l(keptARN+" ")+l("x"), l(keptARN)+l(""), l(keptARN)+l(text(6145)),
		l("arn:aws:kms:r:123456789012:key/"+strings.Repeat("a", 129))+l("x"), l("arn:aws:kms:r:123456789012:key/")+l("x"))
	add("vault-transit", l("")+l("vault:v1:AAAA"), l("transit")+l("vault:v1:AAAA"), l("/transit/k")+l("vault:v1:AAAA"), l("transit/k/")+l("vault:v1:AAAA"), l("a//k")+l("vault:v1:AAAA"),
		l("a b/k")+l("vault:v1:AAAA"), l("a/\u00e9")+l("vault:v1:AAAA"), l(strings.Repeat("a", 1023)+"/k")+l("vault:v1:AAAA"), l("t/k")+l("vault:v0:AAAA"), l("t/k")+l("vault:v01:AAAA"),
		l("t/k")+l("vault:v:AAAA"), l("t/k")+l("vault:v1:"), l("t/k")+l("vault:v1:AAA"), l("t/k")+l("vault:v1:AAB="), l("t/k")+l("vault:v1:AA\nAA"), l("t/k")+l("vault:v1:AA-_"),
		l("t/k")+l("vault:v1"), l("t/k")+l("Vault:v1:AAAA"), l("t/k")+l(""))
	wrapped := l(text(256))
	add("azure-key", l("")+wrapped, l(strings.Replace(keptURL, "https", "http", 1))+wrapped, l(strings.Replace(keptURL, "team", "Team", 1))+wrapped, l(keptURL+"/")+wrapped,
		l(keptURL[:len(keptURL)-1])+wrapped, l(strings.Replace(keptURL, keptVersion, strings.ToUpper(keptVersion), 1))+wrapped, l(keptURL+"?x")+wrapped,
		l("https:///keys/k/"+keptVersion)+wrapped, l("https://u@h/keys/k/"+keptVersion)+wrapped, l("https://h:/keys/k/"+keptVersion)+wrapped, l("https://h/secrets/k/"+keptVersion)+wrapped,
		l("https://h/keys/k_y/"+keptVersion)+wrapped, l("https://h/keys//"+keptVersion)+wrapped, l("https://h:123456/keys/k/"+keptVersion)+wrapped, l(keptURL)+l(text(255)), l(keptURL)+l(text(513)), l(keptURL)+l(""))
	add("keychain", l(""), l("abcd2345"), l(keptID+" "), l(strings.ToUpper(keptID)))
	return all
}
