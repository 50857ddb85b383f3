package vault

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// written is what Vault says of a version that was written.
type written struct {
	Version        int64             `json:"version"`
	CreatedTime    string            `json:"created_time"`
	DeletionTime   string            `json:"deletion_time"`
	CustomMetadata map[string]string `json:"custom_metadata"`
}

// Store implements [nebula.Provider]. It makes one call for the value, and one
// for the custom metadata where the answer shows that it changes.
func (p *Provider) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	const op = "store"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return "", p.fail(op, name, err)
	}
	defer p.life.Leave()
	if err := remote.CheckSize(providerName, envelope, maxRecord); err != nil {
		return "", p.fail(op, name, err)
	}
	custom, err := project(name, envelope.Metadata())
	if err != nil {
		return "", p.fail(op, name, err)
	}
	w, err := p.write(ctx, name, string(envelope.Bytes()), options.Precondition)
	if err != nil {
		return "", p.fail(op, name, err)
	}
	p.noteSchedule(w.DeletionTime)
	if !maps.Equal(w.CustomMetadata, custom) {
		if err := p.writeMetadata(ctx, name, custom); err != nil {
			return "", p.fail(op, name, halfStored(p.explain(err)))
		}
	}
	v := formatVersion(w.Version, w.CreatedTime)
	p.sights.note(name, v, p.clock.Now())
	return v, nil
}

// halfStored says which of the two calls failed.
func halfStored(e *nebula.Error) error {
	said := *e
	said.Message = "the value was stored, its tags for lists were not: " + e.Message
	return &said
}

func (p *Provider) write(ctx context.Context, name nebula.Name, record string, condition nebula.Precondition) (written, error) {
	if condition.IsAbsent() {
		return p.writeAbsent(ctx, name, record)
	}
	if version, ok := condition.Version(); ok {
		return p.writeOver(ctx, name, record, version, condition)
	}
	return p.writeAnyway(ctx, name, record)
}

// put writes a version. A cas of -1 asks for nothing, 0 that there is none.
func (p *Provider) put(ctx context.Context, method string, name nebula.Name, record string, cas int64) (written, error) {
	body := struct {
		Data    map[string]string `json:"data"`
		Options map[string]int64  `json:"options,omitempty"`
	}{Data: map[string]string{recordKey: record}}
	if cas >= 0 {
		body.Options = map[string]int64{"cas": cas}
	}
	a, err := p.change(ctx, name, request{method: method, path: p.paths.secret("data", name), body: body})
	if err != nil {
		return written{}, err
	}
	if len(a.body) == 0 { // KV version 1 says nothing
		return written{}, p.errMount()
	}
	w, err := decode[written](a)
	if err == nil && w.Version == 0 {
		err = p.errMount()
	}
	return w, err
}

// mostRounds bounds how often others may come between a look and a write.
const mostRounds = 100

// writeAnyway writes whatever stands there.
func (p *Provider) writeAnyway(ctx context.Context, name nebula.Name, record string) (written, error) {
	if middleware.IsRepeat(ctx) {
		// The earlier attempt may have written it: not twice.
		if w, done, err := p.wrote(ctx, name, record, 0); done || err != nil {
			return w, err
		}
	}
	w, err := p.put(ctx, http.MethodPost, name, record, -1)
	// Where the engine asks for a condition, it gets the one that holds.
	for round := 0; isConditionRequired(err) || round > 0 && round < mostRounds && isMismatch(err); round++ {
		m, failed := p.readMetadata(ctx, name)
		if failed != nil && !isMissing(failed) {
			return written{}, failed
		}
		w, err = p.put(ctx, http.MethodPost, name, record, m.CurrentVersion)
	}
	return w, err
}

// writeAbsent writes where there is none, or a deleted one: then on condition
// that nothing was written since.
func (p *Provider) writeAbsent(ctx context.Context, name nebula.Name, record string) (written, error) {
	w, err := p.put(ctx, http.MethodPost, name, record, 0)
	for round := 0; round < mostRounds && isMismatch(err); round++ {
		m, failed := p.readMetadata(ctx, name)
		if failed != nil && !isMissing(failed) {
			return written{}, failed
		}
		if current := m.current(); current != "" {
			if middleware.IsRepeat(ctx) {
				if w, done, failed := p.wrote(ctx, name, record, m.CurrentVersion); done || failed != nil {
					return w, failed
				}
			}
			return written{}, nebula.IfAbsent().Check(current)
		}
		w, err = p.put(ctx, http.MethodPost, name, record, m.CurrentVersion)
	}
	return w, err
}

// writeOver writes over that version. Vault compares its number. Whether the
// number is of the same secret is looked at before, unless it was a moment ago.
// A patch is refused where the version was deleted, which a plain write is not:
// who may not patch looks each time.
func (p *Provider) writeOver(ctx context.Context, name nebula.Name, record string, v nebula.Version, condition nebula.Precondition) (written, error) {
	cas, ok := parseVersion(v)
	if !ok {
		return written{}, &nebula.Error{Kind: nebula.ErrConflict, Message: "there is no version " + shortened(v)}
	}
	var w written
	var err error
	patches, looked := !p.unpatched.Load(), false
	if !patches || !p.sights.has(name, v, p.clock.Now()) {
		err, looked = p.look(ctx, name, cas, condition), true
	}
	if err == nil && patches {
		w, err = p.put(ctx, http.MethodPatch, name, record, cas)
		if patches = !hasStatus(err, http.StatusForbidden) || isInvalidToken(err); !patches {
			err = nil
			if !looked {
				err = p.look(ctx, name, cas, condition)
			}
		}
	}
	if err == nil && !patches {
		if w, err = p.put(ctx, http.MethodPost, name, record, cas); err == nil {
			p.unpatched.Store(true)
		}
	}
	if !isMissing(err) && !isMismatch(err) {
		return w, err
	}
	if middleware.IsRepeat(ctx) {
		// What the earlier attempt wrote is the version after.
		if w, done, failed := p.wrote(ctx, name, record, cas+1); done || failed != nil {
			return w, failed
		}
	}
	return written{}, remote.ErrExpected(v, err)
}

// look looks whether the current version is the one of the condition. In a
// repetition it may be the one after, which was written before.
func (p *Provider) look(ctx context.Context, name nebula.Name, cas int64, condition nebula.Precondition) error {
	m, err := p.readMetadata(ctx, name)
	if isMissing(err) {
		return nil // the write finds out, or that this is KV version 1
	}
	if err != nil || middleware.IsRepeat(ctx) && m.CurrentVersion != cas {
		return err
	}
	return condition.Check(m.current())
}

// wrote reports whether the version of that number, or with 0 the current one, holds the
// record: no two seals are alike, so an earlier attempt wrote it.
func (p *Provider) wrote(ctx context.Context, name nebula.Name, record string, number int64) (w written, done bool, err error) {
	s, err := p.read(ctx, name, number)
	switch {
	case isMissing(err):
		return written{}, false, nil
	case err != nil:
		return written{}, false, err
	}
	if stored, ok := s.Data[recordKey].(string); !ok || stored != record {
		return written{}, false, nil
	}
	return written{Version: s.Metadata.Version, CreatedTime: s.Metadata.CreatedTime, CustomMetadata: s.Metadata.CustomMetadata}, true, nil
}

// writeMetadata replaces the custom metadata and leaves the rest.
func (p *Provider) writeMetadata(ctx context.Context, name nebula.Name, custom map[string]string) error {
	_, err := p.change(ctx, name, request{method: http.MethodPost, path: p.paths.secret("metadata", name),
		body: map[string]any{"custom_metadata": custom}})
	return err
}

func shortened(v nebula.Version) string {
	const most = 20
	return fmt.Sprintf("%.*q", most, string(v))
}
