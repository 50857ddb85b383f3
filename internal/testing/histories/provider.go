package histories

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/nebula-credential/nebula"
)

// Provider calls a provider for one name, and records the calls.
type Provider struct {
	client   *Client
	provider nebula.Provider
	name     nebula.Name
}

// Provider returns a new Provider. Like every client, it makes one call after another.
func (h *History) Provider(p nebula.Provider, name nebula.Name) *Provider {
	return &Provider{client: h.Client(), provider: p, name: name}
}

// Store records a Put. Its value is the digest of the record.
func (p *Provider) Store(ctx context.Context, e *nebula.Envelope, o nebula.StoreOptions) (nebula.Version, error) {
	call := Call{Kind: Put, Value: Digest(e), IfAbsent: o.Precondition.IsAbsent()}
	if v, ok := o.Precondition.Version(); ok {
		call.IfVersion = string(v)
	}
	end := p.client.Begin(call)
	version, err := p.provider.Store(ctx, p.name, e, o)
	end(OutcomeOf(Put, err), "", string(version))
	return version, err
}

// Retrieve records a Get.
func (p *Provider) Retrieve(ctx context.Context) (nebula.Record, error) {
	end := p.client.Begin(Call{Kind: Get})
	record, err := p.provider.Retrieve(ctx, p.name)
	if err != nil {
		end(OutcomeOf(Get, err), "", "")
		return record, err
	}
	end(Done, Digest(record.Envelope), string(record.Version))
	return record, nil
}

// Delete records a Delete.
func (p *Provider) Delete(ctx context.Context, condition nebula.Precondition) (existed bool, err error) {
	call := Call{Kind: Delete}
	if v, ok := condition.Version(); ok {
		call.IfVersion = string(v)
	}
	end := p.client.Begin(call)
	existed, err = p.provider.Delete(ctx, p.name, condition)
	outcome := OutcomeOf(Delete, err)
	if outcome == Done && !existed {
		outcome = Absent
	}
	end(outcome, "", "")
	return existed, err
}

// Digest returns the value that stands for a record in a [Call].
func Digest(e *nebula.Envelope) string {
	sum := sha256.Sum256(e.Bytes())
	return hex.EncodeToString(sum[:8])
}

// OutcomeOf returns what the error of a call on a provider, or on a store, says about
// its effect. If an effect is possible, the outcome is unclear.
func OutcomeOf(kind Kind, err error) Outcome {
	switch {
	case err == nil:
		return Done
	case kind == Get && errors.Is(err, nebula.ErrNotFound):
		return Absent
	case kind != Get && errors.Is(err, nebula.ErrConflict), kind == Put && errors.Is(err, nebula.ErrAlreadyExists):
		return Refused
	}
	return Unclear
}
