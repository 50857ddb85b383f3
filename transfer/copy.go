package transfer

import (
	"context"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/many"
)

// Options goes with [Copy] and [NewPlan].
type Options struct {
	IDs    []nebula.ID   // the credentials; nil: all that Filter finds
	Filter nebula.Filter // the zero Filter finds all

	// Overwrite writes over credentials of the destination that differ, and
	// accepts those that are older than the ones that its rollback guard has
	// seen.
	Overwrite bool

	// Move deletes each credential at the source after its copy was read back.
	Move bool

	// Reseal seals each credential under the data key of the destination, which
	// must have its own. Metadata stays. Values are in memory meanwhile.
	Reseal bool

	// Drop names slots of the source's keyring that a destination without a
	// keyring does not get.
	Drop []string

	// OlderKeyring lets a destination without a keyring receive one of an
	// earlier generation than the remembered one. A person must decide that.
	OlderKeyring bool

	Jobs     int            // credentials under way at once; 0 is what the destination takes, see [nebula.Store.Jobs]
	Progress func(Progress) // may be nil; its calls come one after the other
}

// Progress says how far a plan or a copy is.
type Progress struct {
	Planning    bool // else copying
	Done, Total int  // credentials
	Bytes       int64
	LastError   error // the latest failure of a credential, nil while there is none
}

// Copy copies credentials from one store to another, and verifies each. It is
// [NewPlan] and [Plan.Run].
func Copy(ctx context.Context, from, to *nebula.Store, options Options) (Report, error) {
	plan, err := NewPlan(ctx, from, to, options)
	if err != nil {
		return newReport(), err
	}
	return plan.Run(ctx)
}

// judge says what a failure concerns.
func judge(err error) many.About {
	switch kind := nebula.KindOf(err); {
	case kind.OfBackend():
		return many.AboutBackend
	case kind == nebula.ErrClosed, kind == nebula.ErrUntrustedKey, isAboutStores(err):
		return many.AboutRun
	}
	return many.AboutItem
}
