package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nebula-credential/nebula"
)

// errStores marks failures that concern the stores, not a credential. The
// others mark those that concern the keyring of one store.
var (
	errStores      = errors.New("about the stores")
	errSource      = errors.New("about the source")
	errDestination = errors.New("about the destination")
)

// AtSource reports whether the failure of a copy concerns the source's keyring.
func AtSource(err error) bool { return errors.Is(err, errSource) }

// AtDestination reports whether the failure of a copy concerns the destination's
// keyring.
func AtDestination(err error) bool { return errors.Is(err, errDestination) }

// at says which store an error concerns.
func at(side, err error) error {
	var e *nebula.Error
	if !errors.As(err, &e) {
		return err
	}
	located := *e
	located.Err = errors.Join(e.Err, errStores, side)
	return &located
}

func isAboutStores(err error) bool {
	return errors.Is(err, errStores) || errors.Is(err, nebula.ErrNotInitialised)
}

// checkStores makes sure that there are two stores, that both are trusted, and
// that the destination can hold the records of the source.
func (p *Plan) checkStores(ctx context.Context) error {
	if err := p.checkApart(ctx); err != nil {
		return err
	}
	var err error
	if p.source, err = trusted(ctx, p.from); err != nil {
		return at(errSource, err)
	}
	made, err := p.to.HasKeyring(ctx)
	switch {
	case err != nil:
		return at(errDestination, err)
	case !made && p.options.Reseal:
		return p.noKeyOfItsOwn()
	case !made:
		return p.planKeyring(ctx)
	}
	return p.checkKey(ctx)
}

// trusted returns the keyring of a store after it was opened and compared with
// the pin.
func trusted(ctx context.Context, s *nebula.Store) (nebula.KeyInfo, error) {
	info, err := s.Keys(ctx)
	if err == nil && !info.Authentic {
		err = info.Problem
	}
	return info, err
}

// checkKey compares the data keys of two stores.
func (p *Plan) checkKey(ctx context.Context) error {
	there, err := trusted(ctx, p.to)
	if err != nil || p.options.Reseal || there.ID == p.source.ID {
		return at(errDestination, err)
	}
	why := ""
	switch {
	case slices.Contains(there.Retired, p.source.ID):
		why = ", which took its place there in a rotation"
	case slices.Contains(p.source.Retired, there.ID):
		why = ", which was replaced at the source in a rotation"
	}
	return &nebula.Error{Kind: nebula.ErrWrongKey, Op: "copy", Provider: p.to.Describe().Provider, Err: errStores,
		Message: fmt.Sprintf("the source has the data key %v, and the destination another one, %v%s: the destination cannot read what the source has sealed",
			p.source.ID, there.ID, why),
		Hint: "to have each credential sealed anew under the key of the destination: --reseal"}
}

// noKeyOfItsOwn refuses to reseal into a store that would get the source's key.
func (p *Plan) noKeyOfItsOwn() error {
	return &nebula.Error{Kind: nebula.ErrNotFound, Op: "copy", Provider: p.to.Describe().Provider, Err: errors.Join(nebula.ErrNotInitialised, errStores, errDestination),
		Message: "the destination has no keyring, and --reseal is for one that has a data key of its own",
		Hint:    "make it first, with: nebula init\nor leave out --reseal, and it receives the source's keyring"}
}

// planKeyring plans that the destination receives the source's keyring, and makes
// sure that it may.
func (p *Plan) planKeyring(ctx context.Context) error {
	k := &Keyring{KeyID: p.source.ID, Notes: p.source.Notes, Rotating: p.source.Rotating}
	for _, slot := range p.source.Slots {
		if !slices.Contains(p.options.Drop, slot.ID) {
			k.Slots = append(k.Slots, slot)
		}
	}
	for _, id := range p.options.Drop {
		if !slices.ContainsFunc(p.source.Slots, func(s nebula.Slot) bool { return s.ID == id }) {
			return &nebula.Error{Kind: nebula.ErrNotFound, Op: "copy", Err: errStores,
				Message: fmt.Sprintf("the keyring of the source has no slot %.40q", id), Hint: "to see them: nebula key list"}
		}
	}
	if len(k.Slots) == 0 {
		return &nebula.Error{Kind: nebula.ErrUsage, Op: "copy", Err: errStores,
			Message: "no slot would be left: nothing would open the destination"}
	}
	p.Keyring = k
	return p.giveKeyring(ctx, true)
}

func (p *Plan) giveKeyring(ctx context.Context, dryRun bool) error {
	keyring, _, err := p.from.SealedKeyring(ctx)
	if err != nil {
		return at(errSource, err)
	}
	_, err = p.to.InitSealed(ctx, keyring.Envelope, nebula.InitSealedOptions{
		TrustedKey: &p.Keyring.KeyID, Older: p.options.OlderKeyring, Drop: p.options.Drop, DryRun: dryRun})
	return at(errDestination, err)
}

// checkApart fails if both are one store, by their addresses or by the answer
// of the backend.
func (p *Plan) checkApart(ctx context.Context) error {
	here, there := p.from.Describe(), p.to.Describe()
	if here.Provider != there.Provider {
		return nil
	}
	if here.Address != "" && here.Address == there.Address {
		return oneStore(there, "")
	}
	a, err := identity(ctx, p.from)
	if err != nil || a == "" {
		return err
	}
	b, err := identity(ctx, p.to)
	if err == nil && a == b {
		err = oneStore(there, ", though their addresses differ")
	}
	return err
}

// identity asks a store for its identity. If it may not ask, it concludes
// nothing: a move looks again after its first deletion.
func identity(ctx context.Context, s *nebula.Store) (string, error) {
	text, err := s.Identity(ctx)
	switch nebula.KindOf(err) {
	case nebula.ErrPermissionDenied, nebula.ErrInvalidConfig, nebula.ErrNotSupported:
		return "", nil
	}
	return text, err
}

func oneStore(d nebula.Description, how string) error {
	return &nebula.Error{Kind: nebula.ErrUsage, Op: "copy", Provider: d.Provider, Err: errStores,
		Message: "source and destination are one store" + how,
		Hint:    "within a store, a credential is copied with nebula cp and renamed with nebula mv"}
}
