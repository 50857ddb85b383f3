package nebula

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nebula-credential/nebula/internal/seal"
)

// unlocking is one try of the keys at hand on the slots of a keyring.
type unlocking struct {
	slots   []slotRecord
	tried   []Key  // that opened nothing
	hint    string // of the first of them that has one
	absent  error  // why a key could not be tried
	lacks   bool   // the key that is tried was not at hand for a slot
	refused error  // the first refusal or failure of a service
}

// unwrap returns the data key, and the first slot that one of the keys opens.
// Keys that ask a person come last. If a service refused a key that asks nobody,
// unwrap does not try them, because the user must learn of the refusal.
func unwrap(ctx context.Context, slots []slotRecord, keys []Key) (*seal.Key, Slot, error) {
	u := &unlocking{slots: slots}
	for _, asking := range []bool{false, true} {
		if asking && u.refused != nil {
			break
		}
		for _, key := range keys {
			dataKey, slot, err := u.try(ctx, key, asking)
			if dataKey != nil || err != nil {
				return dataKey, slot, err
			}
		}
	}
	return nil, Slot{}, u.failure()
}

// try tries one key, either on the slots for which it asks a person or on the
// others.
func (u *unlocking) try(ctx context.Context, key Key, asking bool) (*seal.Key, Slot, error) {
	u.lacks = false
	for {
		var closed []Slot // that it was tried on and does not open
		for _, s := range u.slots {
			if !key.Opens(s.Kind) || asks(key, s.Slot) != asking {
				continue
			}
			dataKey, tried, err := u.open(ctx, key, s)
			if dataKey != nil || err != nil {
				return dataKey, s.Slot, err
			}
			if tried {
				closed = append(closed, s.Slot)
			}
		}
		if closed == nil {
			return nil, Slot{}, nil
		}
		if p, ok := key.(*Passphrase); !ok || !p.again(closed) {
			if !u.lacks { // else that is why it opens nothing
				u.tried = append(u.tried, key)
			}
			return nil, Slot{}, nil
		}
	}
}

// open returns the data key in a slot, or reports whether the key was tried at
// all. After an error no other key is tried.
func (u *unlocking) open(ctx context.Context, key Key, s slotRecord) (dataKey *seal.Key, tried bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err // deriving a secret cannot be stopped
	}
	secret, err := key.Secret(ctx, s.Slot)
	if err != nil {
		tried, err = u.note(ctx, err)
		return nil, tried, err
	}
	dataKey, err = seal.NewKEK(s.seal(), secret).Unwrap(s.seal(), s.wrapped)
	if errors.Is(err, seal.ErrCommitment) {
		return nil, true, nil
	}
	if err != nil {
		return nil, true, damagedKeyring("slot "+s.ID+" was damaged or edited", err)
	}
	return dataKey, true, nil
}

// note records why a key gives no secret, or returns an error that ends
// everything.
func (u *unlocking) note(ctx context.Context, err error) (tried bool, _ error) {
	if ctx.Err() != nil {
		return false, err
	}
	switch KindOf(err) {
	case ErrWrongKey:
		u.hint = cmp.Or(u.hint, hintOf(err))
		return true, nil
	case ErrUnauthenticated:
		u.lacks = true
		if u.absent == nil || errors.Is(u.absent, errNoDefaultFile) {
			u.absent = err
		}
	case ErrNotSupported: // in FIPS mode; other kinds work there
		u.absent = err
	case ErrPermissionDenied, ErrUnavailable, ErrTimeout:
		if u.refused == nil {
			u.refused = err
		}
	default:
		return false, err
	}
	return false, nil
}

// failure returns the error that says why nothing opened the keyring.
func (u *unlocking) failure() error {
	switch {
	case u.refused != nil:
		return u.refused
	case u.tried != nil:
		message := describeKeys(u.tried) + " opens no slot of this store's keyring"
		if errors.Is(u.absent, ErrNotSupported) {
			message += ", of which some cannot be tried here: " + messageOf(u.absent)
		}
		return &Error{Kind: ErrWrongKey, Message: message, Hint: cmp.Or(u.hint, "look at the slots with: nebula key list")}
	case u.absent != nil:
		return u.absent
	}
	return &Error{Kind: ErrUnauthenticated, Message: "no key is at hand for this store, whose slots are " + kinds(u.slots)}
}

// messageOf returns the message of an error, without its hint.
func messageOf(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

func hintOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// describeKeys names keys in a message.
func describeKeys(keys []Key) string {
	var names []string
	for _, key := range keys {
		name := "a key"
		if s, ok := key.(fmt.Stringer); ok {
			name = s.String()
		}
		names = append(names, name)
	}
	return strings.Join(names, ", and ")
}

func kinds(slots []slotRecord) string {
	text := ""
	for i, s := range slots {
		if i > 0 {
			text += ", "
		}
		text += shown(s.Kind)
	}
	return text
}
