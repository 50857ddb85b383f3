package aws

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
)

// The tag of a secret below the prefix says whose it is. If others removed the
// tag, as tag policies and backup tools do, the record itself shows it.

// claim is what the reserved tag says about the owner of a secret.
type claim int

const (
	unclaimed        claim = iota // there is none, or it was changed: the value tells
	claimed                       // it names this credential
	claimedElsewhere              // it names a credential of another prefix
)

func (s secret) claim(prefix string, name nebula.Name) claim {
	return claimOf(prefix, name.String(), s.tags)
}

// claimOf reads the tag of the secret PREFIX + id. Tags of earlier releases name
// no place, and are accepted.
func claimOf(prefix, id string, tags map[string]string) claim {
	l, ok := decodeListed(tags[reservedKey])
	switch {
	case !ok:
		return unclaimed
	case l.place == "", l.place == placeOf(prefix, id):
		return claimed
	case isOtherSplit(prefix+id, l.place):
		return claimedElsewhere
	}
	return unclaimed // a copy of another secret's tags
}

// isOtherSplit reports whether a place is that of a secret's name, cut at some
// other point into prefix and id.
func isOtherSplit(secret, place string) bool {
	for i := range secret {
		if placeOf(secret[:i], secret[i:]) == place {
			return true
		}
	}
	return false
}

// placeLength is the length of a place: 48 bits in base64.
const placeLength = 8

// placeOf returns the mark of a prefix and an id in the reserved tag. A
// secret's name alone does not tell where the prefix ends: the secret
// "p/team-x" may be "x" below "p/team-", or "team-x" below "p/".
func placeOf(prefix, id string) string {
	sum := sha256.Sum256([]byte(prefix + " " + id))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:placeLength]
}

func errElsewhere() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrConflict, Message: "the secret of that name belongs to a store with another secret_prefix",
		Hint: "look at secret_prefix: that of one store should not be the beginning of another's"}
}

// recognise returns nil if a secret is a credential of this store, and why not if
// it is not.
func (d *driver) recognise(ctx context.Context, name nebula.Name, s secret) error {
	switch s.claim(d.config.SecretPrefix, name) {
	case claimed:
		return nil
	case claimedElsewhere:
		return errElsewhere()
	}
	d.writes.unsure.Note(name, struct{}{})
	if !s.live() {
		return &nebula.Error{Kind: nebula.ErrConflict,
			Message: "the secret is deleted and has lost the tag " + strings.TrimSuffix(reservedKey, "=") + ": whether it is a nebula record cannot be told",
			Hint:    "restore it first"}
	}
	return d.isRecord(ctx, name)
}

// isRecord returns nil if the secret's value is a record, of whatever version.
func (d *driver) isRecord(ctx context.Context, name nebula.Name) error {
	_, err := d.read(ctx, name, nil)
	if errors.Is(err, nebula.ErrUnsupportedVersion) {
		return nil
	}
	return err
}

// mend gives a live secret the tags that its record asks for.
func (d *driver) mend(ctx context.Context, name nebula.Name, s secret) error {
	r, err := d.read(ctx, name, nil)
	if err != nil {
		return err
	}
	tags, err := d.config.project(name, r.Envelope.Metadata())
	if err != nil {
		return nil // it was stored with a configuration that allowed them
	}
	set, _ := tagChanges(s.tags, tags)
	id := d.secretID(name)
	_, err = change(ctx, d, name, d.client().TagResource, &secretsmanager.TagResourceInput{SecretId: &id, Tags: set})
	return err
}
