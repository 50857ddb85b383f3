package aws

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// Store implements [provider.Driver]. It makes one call for a credential that is
// new or whose Previous is given, after a look where it is not, and one or two
// for tags that changed. IfVersion takes three calls, IfAbsent one.
func (d *driver) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	tags, err := d.config.project(name, envelope.Metadata())
	if err != nil {
		return "", err
	}
	w := &write{d: d, name: name, id: d.secretID(name), record: string(envelope.Bytes()), token: d.writes.begin(ctx, envelope), tags: tags, condition: options.Precondition}
	if options.Previous != nil {
		// If AWS would not keep these tags, the secret is asked for its own.
		w.before, _ = d.config.project(name, options.Previous.Metadata())
	}
	err = w.run(ctx)
	w.settle(ctx, err)
	if err != nil {
		err = d.Explain(name, err)
	}
	d.writes.end(ctx, envelope, w.token, err)
	if err != nil {
		return "", err
	}
	return nebula.Version(w.token), nil
}

// write is one write under way.
type write struct {
	d         *driver
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

// refusals counts how often in a row a secret was found live and unchanged after
// AWS refused to act on it.
type refusals struct {
	changed time.Time
	current string
	alike   int
}

// add takes what the secret is found to be; the zero secret if that failed.
func (r *refusals) add(s secret) {
	if !s.live() || s.current != r.current || !s.changed.Equal(r.changed) {
		r.alike = 0
	}
	r.alike, r.current, r.changed = r.alike+1, s.current, s.changed
}

// last reports whether another attempt would end no otherwise.
func (r *refusals) last() bool { return r.alike >= maxRefusals }

const (
	// maxRounds bounds how often others may come between.
	maxRounds = 20
	// maxRefusals bounds how often in a row AWS may refuse to act on a secret
	// that looks live, and just as it did before: then nobody came between, and
	// it is AWS that does not allow it, of replicas for example.
	maxRefusals = 6
	// maxPause is between two rounds.
	maxPause = 500 * time.Millisecond
)

func (w *write) run(ctx context.Context) error {
	for round := 1; ; round++ {
		err := w.try(ctx)
		var moved movedError
		if !errors.As(err, &moved) {
			return err
		}
		if round == maxRounds || w.refusals.last() && hasCode(moved.error, codeInvalidRequest) {
			return moved.error
		}
		// What AWS refused leaves nothing to repeat, or a version that was never
		// the current one.
		w.before, w.token = nil, newToken()
		if err := w.d.clock.Sleep(ctx, min(5*time.Millisecond<<round, maxPause)); err != nil {
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
		s, err = w.d.describe(ctx, w.name)
		w.refusals.add(s)
		if err != nil && !isMissing(err) {
			return err
		} else if err != nil {
			return w.missing(ctx)
		}
	}
	if v, ok := w.condition.Version(); ok {
		return w.replaceVersion(ctx, v, s)
	}
	switch {
	case s.ending():
		return w.awaitGone(ctx)
	case !s.live():
		return w.overDeleted(ctx, s)
	case !s.ours():
		return provider.NotARecord()
	}
	if err := w.put(ctx); err != nil {
		return asMoved(err)
	}
	return w.setTags(ctx, s.tags)
}

// asMoved returns errMoved if the state of the secret is in the way: it was
// deleted or purged since it was looked at. Whether that is so, the next look
// says, which is the end of it where it is not.
func asMoved(err error) error {
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
	return asMoved(w.create(ctx))
}

// absent writes where there is none, or a deleted one. A repetition looks first:
// AWS would say of a version that an attempt before put there that it was
// created now, whether it got to be the current one or not.
func (w *write) absent(ctx context.Context) error {
	restored, begun := w.d.writes.restored.Get(w.name)
	asksFirst := begun || provider.IsRepeat(ctx)
	var err error
	if !asksFirst {
		err = w.create(ctx)
		if !hasCode(err, codeExists) && !hasCode(err, codeInvalidRequest) {
			return err
		}
	}
	s, failed := w.d.describe(ctx, w.name)
	w.refusals.add(s)
	switch {
	case isMissing(failed) && asksFirst:
		w.d.writes.restored.Forget(w.name)
		return asMoved(w.create(ctx))
	case isMissing(failed):
		return movedError{failed}
	case failed != nil:
		return failed
	case w.wasDone(s):
		return w.setTags(ctx, s.tags)
	case s.ending():
		return w.awaitGone(ctx)
	case !s.live():
		return w.overDeleted(ctx, s)
	case begun && s.current == restored:
		return w.overRestored(ctx, s)
	case asksFirst, hasCode(err, codeExists):
		w.d.writes.restored.Forget(w.name)
		return &nebula.Error{Kind: nebula.ErrAlreadyExists, Message: "there is one already", Err: err}
	}
	return movedError{err}
}

// replaceVersion writes over that version. If the tags are known, AWS alone
// compares.
func (w *write) replaceVersion(ctx context.Context, v nebula.Version, s secret) error {
	if w.before == nil {
		switch {
		case !s.live():
			return w.condition.Check("")
		case provider.IsRepeat(ctx) && w.wasDone(s):
			w.removeStage(ctx)
			return w.setTags(ctx, s.tags)
		case s.current != string(v):
			return w.condition.Check(nebula.Version(s.current))
		}
	}
	if !isVersionID(string(v)) {
		return provider.NotCurrent(v, nil)
	}
	err := w.replace(ctx, string(v))
	if isMoved(err) {
		if now, failed := w.d.describe(ctx, w.name); failed == nil && now.live() && now.current == string(v) {
			return errors.Unwrap(err)
		}
		return provider.NotCurrent(v, errors.Unwrap(err))
	}
	if err != nil {
		return err
	}
	return w.setTags(ctx, s.tags)
}

// wasDone reports whether an earlier attempt did the write.
func (w *write) wasDone(s secret) bool {
	w.overtaken = s.has(w.token) && s.current != w.token
	return s.has(w.token)
}

// replace makes the record the current version in the place of that one, and
// returns errMoved where that is not the current one.
func (w *write) replace(ctx context.Context, expected string) error {
	if err := asMoved(w.put(ctx, pendingStage(w.token))); err != nil {
		return err
	}
	err := w.moveStage(ctx, stageCurrent, &expected, &w.token)
	if refused := asMoved(err); isMoved(refused) || hasCode(err, codeInvalidParameter) {
		if s, failed := w.d.describe(ctx, w.name); failed == nil && s.live() && w.wasDone(s) {
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
	ctx, cancel := w.d.afterwards(ctx)
	defer cancel()
	_ = w.moveStage(ctx, pendingStage(w.token), &w.token, nil)
}

// moveStage moves a stage from one version to another, or with nil takes it away.
func (w *write) moveStage(ctx context.Context, stage string, from, to *string) error {
	return change(ctx, w.d, w.name, w.d.client().UpdateSecretVersionStage, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &w.id, VersionStage: &stage, RemoveFromVersionId: from, MoveToVersionId: to})
}

// afterwards returns a context for what puts things in order after a call whose
// context may have ended.
func (d *driver) afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), d.config.Timeout)
}

// overDeleted writes over a deleted secret. AWS lets nobody write to one: it is
// restored first.
func (w *write) overDeleted(ctx context.Context, s secret) error {
	if !s.ours() {
		return provider.NotARecord()
	}
	w.restored = &s.current
	w.d.writes.restored.Note(w.name, s.current)
	if err := w.d.unschedule(ctx, w.name); err != nil {
		return asMoved(err)
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
		err = asMoved(w.put(ctx))
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
		ctx, cancel := w.d.afterwards(ctx)
		defer cancel()
		s, failed := w.d.describe(ctx, w.name)
		if failed == nil && s.live() && s.current == *w.restored {
			failed = w.d.schedule(ctx, w.name)
		}
		if failed != nil && !isMissing(failed) {
			return
		}
	}
	w.d.writes.restored.Forget(w.name)
}

// awaitGone waits until the name is free, to look again then.
func (w *write) awaitGone(ctx context.Context) error {
	if err := w.d.awaitGone(ctx, w.name); err != nil {
		return err
	}
	return movedError{provider.NotFound()}
}

// create makes the secret, with all tags at once.
func (w *write) create(ctx context.Context) error {
	in := &secretsmanager.CreateSecretInput{Name: &w.id, SecretString: &w.record, ClientRequestToken: &w.token, Tags: newTags(w.tags)}
	if w.d.config.KMSKeyID != "" {
		in.KmsKeyId = &w.d.config.KMSKeyID
	}
	return change(ctx, w.d, w.name, w.d.client().CreateSecret, in)
}

// put adds a version: without stages the current one.
func (w *write) put(ctx context.Context, stages ...string) error {
	return change(ctx, w.d, w.name, w.d.client().PutSecretValue, &secretsmanager.PutSecretValueInput{
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
		err = change(ctx, w.d, w.name, w.d.client().UntagResource, &secretsmanager.UntagResourceInput{SecretId: &w.id, TagKeys: unset})
	}
	if err == nil && len(set) > 0 {
		err = change(ctx, w.d, w.name, w.d.client().TagResource, &secretsmanager.TagResourceInput{SecretId: &w.id, Tags: set})
	}
	if err == nil {
		return nil
	}
	if err = w.d.ofDeleted(ctx, w.name, err, &w.refusals); isMissing(err) {
		return nil // the value was stored, and deleted since
	}
	said := *w.d.Explain(w.name, err)
	said.Message = "the value was stored, its tags for lists were not: " + said.Message
	return &said
}
