package aws

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/remote"
	"github.com/nebula-credential/nebula/middleware"
)

// Store implements [nebula.Provider]. It makes one call for a credential that is
// new or whose Previous is given, after a look where it is not, and one or two
// for tags that changed. IfVersion takes three calls, IfAbsent one.
func (p *Provider) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	const op = "store"
	if err := p.life.EnterFor(ctx, name); err != nil {
		return "", p.fail(op, name, err)
	}
	defer p.life.Leave()
	if err := remote.CheckSize(providerName, envelope, maxRecord); err != nil {
		return "", p.fail(op, name, err)
	}
	tags, err := p.config.project(name, envelope.Metadata())
	if err != nil {
		return "", p.fail(op, name, err)
	}
	w := &write{p: p, name: name, id: p.secretID(name), record: string(envelope.Bytes()), token: p.writes.begin(ctx, envelope), tags: tags, condition: options.Precondition}
	if options.Previous != nil {
		// Where AWS would not keep these tags, it is looked what stands there.
		w.before, _ = p.config.project(name, options.Previous.Metadata())
	}
	err = w.run(ctx)
	w.settle(ctx, err)
	err = p.fail(op, name, err)
	p.writes.end(ctx, envelope, w.token, err)
	if err != nil {
		return "", err
	}
	return nebula.Version(w.token), nil
}

// write is one write under way.
type write struct {
	p         *Provider
	name      nebula.Name
	id        string // of the secret
	record    string
	token     string // which becomes the version's id
	tags      map[string]string
	condition nebula.Precondition

	// before are the tags of the secret, where they are known without a look.
	before map[string]string

	refusals refusals

	// overtaken says that others wrote since an earlier attempt did this write:
	// the tags are theirs.
	overtaken bool

	// restored is the version that stood in a secret that was restored to be
	// written over. That is to be undone where the write fails.
	restored *string
}

// errMoved says that others changed what stood there, between a look and a call.
var errMoved = errors.New("another writer came between")

// movedError is errMoved with what AWS said.
type movedError struct{ error }

func (movedError) Is(target error) bool { return target == errMoved }
func (m movedError) Unwrap() error      { return m.error }

func isMoved(err error) bool { return errors.Is(err, errMoved) }

// refusals counts the looks in a row at a secret that is live and that nobody
// changed.
type refusals struct {
	changed time.Time
	current string
	alike   int
}

// look takes what a look showed; of one that failed, the zero secret.
func (r *refusals) look(s secret) {
	if !s.live() || s.current != r.current || !s.changed.Equal(r.changed) {
		r.alike = 0
	}
	r.alike, r.current, r.changed = r.alike+1, s.current, s.changed
}

// last reports whether another attempt would end no otherwise.
func (r *refusals) last() bool { return r.alike >= mostRefusals }

const (
	// mostRounds bounds how often others may come between.
	mostRounds = 20
	// mostRefusals bounds how often in a row AWS may refuse to act on a secret
	// that looks live, and just as it did before: then nobody came between, and
	// it is AWS that does not allow it, of replicas for example.
	mostRefusals = 6
	// longestPause is between two rounds.
	longestPause = 500 * time.Millisecond
)

func (w *write) run(ctx context.Context) error {
	for round := 1; ; round++ {
		err := w.try(ctx)
		var moved movedError
		if !errors.As(err, &moved) {
			return err
		}
		if round == mostRounds || w.refusals.last() && hasCode(moved.error, codeInvalidRequest) {
			return moved.error
		}
		// What AWS refused leaves nothing to repeat, or a version that was never
		// the current one.
		w.before, w.token = nil, newToken()
		if err := w.p.clock.Sleep(ctx, min(5*time.Millisecond<<round, longestPause)); err != nil {
			return err
		}
	}
}

func (w *write) try(ctx context.Context) error {
	if w.condition.IsAbsent() {
		return w.absent(ctx)
	}
	s := secret{tags: w.before}
	if w.before == nil {
		var err error
		s, err = w.p.describe(ctx, w.name)
		w.refusals.look(s)
		if err != nil && !isMissing(err) {
			return err
		} else if err != nil {
			return w.missing(ctx)
		}
	}
	if v, ok := w.condition.Version(); ok {
		return w.over(ctx, v, s)
	}
	switch {
	case s.ending():
		return w.awaitGone(ctx)
	case !s.live():
		return w.overDeleted(ctx, s)
	case !s.ours():
		return remote.ErrForeign()
	}
	if err := w.put(ctx); err != nil {
		return ofState(err)
	}
	return w.setTags(ctx, s.tags)
}

// ofState returns errMoved where the state of the secret is in the way: it was
// deleted or purged since it was looked at. Whether that is so, the next look
// says, which is the end of it where it is not.
func ofState(err error) error {
	if isMissing(err) || hasCode(err, codeInvalidRequest) || hasCode(err, codeExists) {
		return movedError{err}
	}
	return err
}

// missing writes where there was no secret.
func (w *write) missing(ctx context.Context) error {
	if !w.condition.IsZero() {
		return w.condition.Check("")
	}
	return ofState(w.create(ctx))
}

// absent writes where there is none, or a deleted one. A repetition looks first:
// AWS would say of a version that an attempt before put there that it was
// created now, whether it got to be the current one or not.
func (w *write) absent(ctx context.Context) error {
	restored, begun := w.p.writes.restoredVersion(w.name)
	looksFirst := begun || middleware.IsRepeat(ctx)
	var err error
	if !looksFirst {
		err = w.create(ctx)
		if !hasCode(err, codeExists) && !hasCode(err, codeInvalidRequest) {
			return err
		}
	}
	s, failed := w.p.describe(ctx, w.name)
	w.refusals.look(s)
	switch {
	case isMissing(failed) && looksFirst:
		w.p.writes.settled(w.name)
		return ofState(w.create(ctx))
	case isMissing(failed):
		return movedError{failed}
	case failed != nil:
		return failed
	case w.did(s):
		return w.setTags(ctx, s.tags)
	case s.ending():
		return w.awaitGone(ctx)
	case !s.live():
		return w.overDeleted(ctx, s)
	case begun && s.current == restored:
		return w.overRestored(ctx, s)
	case looksFirst, hasCode(err, codeExists):
		w.p.writes.settled(w.name)
		return &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is one already", Err: err}
	}
	return movedError{err}
}

// over writes over that version. Without a look, AWS alone compares.
func (w *write) over(ctx context.Context, v nebula.Version, s secret) error {
	if looked := w.before == nil; looked {
		switch {
		case !s.live():
			return w.condition.Check("")
		case middleware.IsRepeat(ctx) && w.did(s):
			w.removeStage(ctx)
			return w.setTags(ctx, s.tags)
		case s.current != string(v):
			return w.condition.Check(nebula.Version(s.current))
		}
	}
	if !isVersionID(string(v)) {
		return remote.ErrExpected(v, nil)
	}
	err := w.replace(ctx, string(v))
	if isMoved(err) {
		if now, failed := w.p.describe(ctx, w.name); failed == nil && now.live() && now.current == string(v) {
			return errors.Unwrap(err)
		}
		return remote.ErrExpected(v, errors.Unwrap(err))
	}
	if err != nil {
		return err
	}
	return w.setTags(ctx, s.tags)
}

// did reports whether an earlier attempt did the write.
func (w *write) did(s secret) bool {
	w.overtaken = s.has(w.token) && s.current != w.token
	return s.has(w.token)
}

// replace makes the record the current version in the place of that one, and
// returns errMoved where that is not the current one.
func (w *write) replace(ctx context.Context, expected string) error {
	if err := ofState(w.put(ctx, pendingStage(w.token))); err != nil {
		return err
	}
	err := w.moveStage(ctx, stageCurrent, &expected, &w.token)
	if refused := ofState(err); isMoved(refused) || hasCode(err, codeInvalidParameter) {
		if s, failed := w.p.describe(ctx, w.name); failed == nil && s.live() && w.did(s) {
			err = nil
		} else {
			err = movedError{err}
		}
	}
	w.removeStage(ctx)
	return err
}

// removeStage takes the stage away that a version had until it was the current
// one, also where the caller no longer waits.
func (w *write) removeStage(ctx context.Context) {
	ctx, cancel := w.p.afterwards(ctx)
	defer cancel()
	_ = w.moveStage(ctx, pendingStage(w.token), &w.token, nil)
}

// moveStage moves a stage from one version to another, or with nil takes it away.
func (w *write) moveStage(ctx context.Context, stage string, from, to *string) error {
	return change(ctx, w.p, w.name, w.p.client().UpdateSecretVersionStage, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &w.id, VersionStage: &stage, RemoveFromVersionId: from, MoveToVersionId: to})
}

// afterwards returns a context for what puts things in order after a call whose
// context may have ended.
func (p *Provider) afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), p.config.Timeout)
}

// overDeleted writes over a deleted secret. AWS lets nobody write to one: it is
// restored first.
func (w *write) overDeleted(ctx context.Context, s secret) error {
	if !s.ours() {
		return remote.ErrForeign()
	}
	w.restored = &s.current
	w.p.writes.restoring(w.name, s.current)
	if err := w.p.unschedule(ctx, w.name); err != nil {
		return ofState(err)
	}
	return w.overRestored(ctx, s)
}

// overRestored writes over the version of a secret that was restored for it.
func (w *write) overRestored(ctx context.Context, s secret) error {
	w.restored = &s.current
	var err error
	if w.condition.IsAbsent() && s.current != "" {
		err = w.replace(ctx, s.current)
	} else {
		err = ofState(w.put(ctx))
	}
	if err != nil {
		return err
	}
	return w.setTags(ctx, s.tags)
}

// settle ends what a write that restored a secret began. Where it failed and
// nobody else wrote since, the secret is deleted again: the old value does not
// stay. Where that fails too, a repetition of the write goes on from there.
func (w *write) settle(ctx context.Context, err error) {
	if w.restored == nil {
		return
	}
	if err != nil {
		ctx, cancel := w.p.afterwards(ctx)
		defer cancel()
		s, failed := w.p.describe(ctx, w.name)
		if failed == nil && s.live() && s.current == *w.restored {
			failed = w.p.schedule(ctx, w.name)
		}
		if failed != nil && !isMissing(failed) {
			return
		}
	}
	w.p.writes.settled(w.name)
}

// create makes the secret, with all tags at once.
func (w *write) create(ctx context.Context) error {
	in := &secretsmanager.CreateSecretInput{Name: &w.id, SecretString: &w.record, ClientRequestToken: &w.token, Tags: newTags(w.tags)}
	if w.p.config.KMSKeyID != "" {
		in.KmsKeyId = &w.p.config.KMSKeyID
	}
	return change(ctx, w.p, w.name, w.p.client().CreateSecret, in)
}

// put adds a version: without stages the current one.
func (w *write) put(ctx context.Context, stages ...string) error {
	return change(ctx, w.p, w.name, w.p.client().PutSecretValue, &secretsmanager.PutSecretValueInput{
		SecretId: &w.id, SecretString: &w.record, ClientRequestToken: &w.token, VersionStages: stages})
}

// setTags makes the tags of the secret the wanted ones. Those that go, go first:
// both together may be more than AWS keeps.
func (w *write) setTags(ctx context.Context, current map[string]string) error {
	if w.overtaken {
		return nil
	}
	set, unset := tagChanges(current, w.tags)
	var err error
	if len(unset) > 0 {
		err = change(ctx, w.p, w.name, w.p.client().UntagResource, &secretsmanager.UntagResourceInput{SecretId: &w.id, TagKeys: unset})
	}
	if err == nil && len(set) > 0 {
		err = change(ctx, w.p, w.name, w.p.client().TagResource, &secretsmanager.TagResourceInput{SecretId: &w.id, Tags: set})
	}
	if err == nil {
		return nil
	}
	if err = w.p.ofDeleted(ctx, w.name, err, &w.refusals); isMissing(err) {
		return nil // the value was stored, and deleted since
	}
	said := *w.p.explain(w.name, err)
	said.Message = "the value was stored, its tags for lists were not: " + said.Message
	return &said
}
