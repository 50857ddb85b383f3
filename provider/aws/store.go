package aws

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

// Store implements [provider.Driver]. It makes one call if the credential is new
// or Previous is set. Otherwise it asks for the secret's tags first. It makes one
// or two more calls for tags that changed. IfVersion takes two calls, IfAbsent
// one.
func (d *driver) Store(ctx context.Context, name nebula.Name, envelope *nebula.Envelope, options nebula.StoreOptions) (nebula.Version, error) {
	tags, err := d.config.project(name, envelope.Metadata())
	if err != nil {
		return "", err
	}
	w := &write{d: d, name: name, id: d.secretID(name), record: string(envelope.Bytes()),
		token: d.writes.begin(ctx, envelope), tags: tags, condition: options.Precondition}
	if !provider.IsRepeat(ctx) && d.hasTagsOf(name, options) {
		// If AWS would not keep these tags, the secret is asked for its own.
		w.before, _ = d.config.project(name, options.Previous.Metadata())
	}
	err = w.inTurn(ctx)
	if err = w.undo(ctx, err); err != nil {
		err = d.Explain(name, err)
	}
	d.writes.end(ctx, envelope, w.token, err)
	if err != nil {
		return "", err
	}
	return nebula.Version(w.token), nil
}

// hasTagsOf reports whether the secret can be assumed to have the tags of the
// previous record, so that they need not be read.
func (d *driver) hasTagsOf(name nebula.Name, o nebula.StoreOptions) bool {
	if _, unsure := d.writes.unsure.Get(name); o.Previous == nil || unsure {
		return false
	}
	v, _ := o.Precondition.Version()
	tagged, _ := d.writes.tagged.Get(name)
	return !changesTags(string(v)) || tagged == string(v)
}

// write is one write under way.
type write struct {
	d         *driver
	name      nebula.Name
	id        string // of the secret
	record    string
	token     string // which becomes the version's id; "" if none was sent yet
	tags      map[string]string
	condition nebula.Precondition

	// before are the tags of the secret, if they are known without asking.
	before map[string]string

	refusals refusals

	// overtaken says that others wrote since an earlier attempt did this write:
	// the tags are theirs.
	overtaken bool

	// restored is the version of a secret that was restored to be written over.
	// If the write fails, that must be undone.
	restored *string
}

// errMoved says that others changed the secret between a look at it and a call.
var errMoved = errors.New("another writer came between")

// movedError is errMoved with what AWS said.
type movedError struct{ error }

func (movedError) Is(target error) bool { return target == errMoved }
func (m movedError) Unwrap() error      { return m.error }

func isMoved(err error) bool { return errors.Is(err, errMoved) }

const (
	// maxRounds bounds how often others may come between.
	maxRounds = 20
	// maxPause is between two rounds.
	maxPause = 500 * time.Millisecond
)

// inTurn is run for conditional writes, which take turns in this process. If
// another one ended a moment ago, the version has probably changed. So inTurn
// reads it first, since a write that loses leaves a version.
func (w *write) inTurn(ctx context.Context) error {
	if _, conditional := w.condition.Version(); conditional {
		waited, done, err := w.d.turns.take(ctx, w.name)
		if err != nil {
			return err
		}
		defer done()
		if waited {
			w.before = nil
		}
	}
	return w.run(ctx)
}

func (w *write) run(ctx context.Context) error {
	for round := 1; ; round++ {
		err := w.try(ctx)
		var moved movedError
		if !errors.As(err, &moved) {
			return err
		}
		if round == maxRounds || w.refusals.last() && awsapi.HasCode(moved.error, codeInvalidRequest) {
			return moved.error
		}
		// After a refusal there is nothing to repeat, or only a version that was
		// never the current one.
		w.before, w.token = nil, ""
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
	return w.replaceAny(ctx, s)
}

// replaceAny writes over whatever version is current.
func (w *write) replaceAny(ctx context.Context, s secret) error {
	if w.before == nil {
		switch {
		case s.ending():
			return w.awaitGone(ctx)
		case !s.live():
			return w.overDeleted(ctx, s)
		case provider.IsRepeat(ctx) && w.wasDone(s):
			return w.setTags(ctx, s.tags)
		}
		if err := w.d.recognise(ctx, w.name, s); err != nil {
			return err
		}
	}
	w.choose(s.tags, nil)
	if err := w.put(ctx); err != nil {
		return asMoved(err)
	}
	return w.setTags(ctx, s.tags)
}

// choose makes the token, unless an earlier attempt did. predecessor is the version
// that, as AWS ensures, is replaced, or nil if AWS does not ensure it.
func (w *write) choose(current map[string]string, predecessor *string) {
	if w.token != "" {
		return
	}
	version := byte(uuidRandom)
	if set, unset := tagChanges(current, w.tags); len(set)+len(unset) > 0 {
		version = uuidTags
	}
	if predecessor != nil {
		w.token = newTokenAfter(version, *predecessor)
	} else {
		w.token = newToken(version)
	}
}

// asMoved returns errMoved if the state of the secret may prevent the write:
// the secret may have been deleted or purged since it was read. The next round
// finds out.
func asMoved(err error) error {
	if isMissing(err) || awsapi.HasCode(err, codeInvalidRequest) || awsapi.HasCode(err, codeExists) {
		return movedError{err}
	}
	return err
}

// missing writes if there is no secret.
func (w *write) missing(ctx context.Context) error {
	if !w.condition.IsZero() {
		return w.condition.Check("")
	}
	return asMoved(w.create(ctx))
}

// wasDone reports whether an earlier attempt did the write.
func (w *write) wasDone(s secret) bool {
	if w.token == "" || !s.has(w.token) {
		return false
	}
	w.overtaken = s.current != w.token
	return true
}

// create makes the secret, with all tags at once.
func (w *write) create(ctx context.Context) error {
	if w.token == "" {
		w.token = newTokenAfter(uuidRandom, "")
	}
	in := &secretsmanager.CreateSecretInput{Name: &w.id, SecretString: &w.record, ClientRequestToken: &w.token, Tags: newTags(w.tags)}
	if w.d.config.KMSKeyID != "" {
		in.KmsKeyId = &w.d.config.KMSKeyID
	}
	_, err := change(ctx, w.d, w.name, w.d.client().CreateSecret, in)
	return err
}

// put adds a version: without stages the current one. If AWS has done so already,
// it does nothing.
func (w *write) put(ctx context.Context, stages ...string) error {
	out, err := change(ctx, w.d, w.name, w.d.client().PutSecretValue, &secretsmanager.PutSecretValueInput{
		SecretId: &w.id, SecretString: &w.record, ClientRequestToken: &w.token, VersionStages: stages})
	if err == nil && len(stages) == 0 && provider.IsRepeat(ctx) && !isCurrent(out.VersionStages) {
		w.overtaken = true
	}
	return err
}

// unfinished marks a failure after the first step of a write as one whose
// outcome is unclear: it is repeated with the same token, if it may pass.
func (w *write) unfinished(err error) error {
	if err == nil {
		return nil
	}
	e := *w.d.Explain(w.name, err)
	if provider.Transient(&e) {
		e.Err = errors.Join(e.Err, provider.ErrUnclear)
	}
	return &e
}

// setTags gives the secret the wanted tags. It removes tags first, because old
// and new ones together may be more than AWS keeps.
func (w *write) setTags(ctx context.Context, current map[string]string) error {
	if w.overtaken {
		return nil
	}
	set, unset := tagChanges(current, w.tags)
	if len(set) > 0 && w.before != nil {
		set = newTags(w.tags) // what others took away meanwhile is mended along with it
	}
	var err error
	if len(unset) > 0 {
		_, err = change(ctx, w.d, w.name, w.d.client().UntagResource, &secretsmanager.UntagResourceInput{SecretId: &w.id, TagKeys: unset})
	}
	if err == nil && len(set) > 0 {
		_, err = change(ctx, w.d, w.name, w.d.client().TagResource, &secretsmanager.TagResourceInput{SecretId: &w.id, Tags: set})
	}
	if err == nil {
		if w.before == nil || changesTags(w.token) {
			w.d.writes.wereTagged(w.name, w.token)
		}
		return nil
	}
	w.d.writes.unsure.Note(w.name, struct{}{})
	if err = w.d.ofDeleted(ctx, w.name, err, &w.refusals); isMissing(err) {
		return nil // the value was stored, and deleted since
	}
	var said *nebula.Error
	errors.As(w.unfinished(err), &said)
	said.Message = "the value was stored, its tags for lists were not: " + said.Message
	return said
}
