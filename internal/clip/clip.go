// Package clip puts a value on the clipboard of the user's session, and clears the
// clipboard if it still holds that value.
package clip

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
)

// Missing says why there is no clipboard, and what would help.
type Missing struct{ Reason, Hint string }

func (e *Missing) Error() string { return e.Reason }

// Mark recognises a value without being it: a salted hash.
type Mark struct {
	Salt []byte `json:"salt"`
	Sum  []byte `json:"sum"`
}

// MarkOf returns a mark of the value, another one each time.
func MarkOf(value []byte) Mark {
	salt := make([]byte, sha256.Size)
	_, _ = rand.Read(salt) // it never fails
	mac := hmac.New(sha256.New, salt)
	mac.Write(value)
	return Mark{Salt: salt, Sum: mac.Sum(nil)}
}

// ClearIf clears the clipboard if it holds the value of the mark.
func (c *Clipboard) ClearIf(ctx context.Context, m Mark) error {
	mac := hmac.New(sha256.New, m.Salt)
	if err := c.read(ctx, mac); err != nil {
		return err
	}
	if !hmac.Equal(mac.Sum(nil), m.Sum) {
		return nil
	}
	return c.clear(ctx)
}
