package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// When two others have come after a version, AWS no longer shows whether it was
// ever the current one. So the id of a version that was written on a condition
// ends with a link to the version before it. If the answer to a write was lost,
// going back from the current version shows whether the write was done.

// linkLength is the length of a link, in characters: 48 bits in hex, the last
// group of a UUID.
const linkLength = 12

// linkTo returns the link to a version, for the ids of versions that replace
// it. The link to "" is for versions without a predecessor.
func linkTo(version string) string {
	sum := sha256.Sum256([]byte(version))
	return hex.EncodeToString(sum[:linkLength/2])
}

// newTokenAfter is newToken for a write on condition of a version, or of none,
// which is "".
func newTokenAfter(version byte, predecessor string) string {
	token := newToken(version)
	return token[:len(token)-linkLength] + linkTo(predecessor)
}

func linkOf(version string) string {
	if len(version) < linkLength {
		return ""
	}
	return version[len(version)-linkLength:]
}

// fate is the outcome of a write whose answer was lost.
type fate int

const (
	unknown fate = iota
	done         // it was the current version, and others came after it
	lost         // others came in its place
)

// fate goes back from the current version to this write's, or to the one that it
// was to replace, which is "" for none. It makes a call.
func (w *write) fate(ctx context.Context, current, expected string) (fate, error) {
	versions, err := w.d.versions(ctx, w.name)
	if err != nil {
		return unknown, err
	}
	byLink := make(map[string]string, len(versions))
	added := false
	for _, v := range versions {
		byLink[linkTo(*v.VersionId)] = *v.VersionId
		added = added || *v.VersionId == w.token
	}
	if !added {
		return lost, nil
	}
	at := current
	for range len(versions) + 1 {
		switch {
		case at == w.token:
			return done, nil
		case at == expected, linkOf(at) == linkTo(""):
			return lost, nil
		}
		before, ok := byLink[linkOf(at)]
		if !ok {
			break // it was written without a condition, or by others
		}
		at = before
	}
	return unknown, nil
}

// settleRepeat is called if a repetition finds another version than the expected
// one. refused is the error of the write if the earlier attempt did not do it.
func (w *write) settleRepeat(ctx context.Context, s secret, expected string, refused error) error {
	if !provider.IsRepeat(ctx) || w.token == "" {
		return refused
	}
	f, err := w.fate(ctx, s.current, expected)
	switch {
	case err != nil:
		return w.unfinished(err)
	case f == done:
		w.overtaken = true
		return nil
	case f == lost:
		return refused
	}
	return &nebula.Error{Kind: nebula.ErrUnavailable, Err: provider.ErrUnclear,
		Message: "an answer was lost, and others wrote since: whether the credential was stored in between cannot be told", Hint: "look at its history"}
}
