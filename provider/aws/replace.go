package aws

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

// A conditional write is two calls. PutSecretValue adds the record as a version
// that has the stage NEBULA_PENDING, which all writers share: AWS takes it from
// the version that had it. UpdateSecretVersionStage then moves AWSCURRENT from
// the expected version to the new one, and is refused if another one has it.
// Nothing has to be cleaned up: a writer that ends between the two leaves a
// version that the next one takes the stage from.
//
// AWS does not document whether AWSCURRENT can be moved to a version that has no
// stage any more, because another writer took it. The driver handles both
// answers.

// replaceVersion writes over that version. If the tags are known, only AWS
// compares.
func (w *write) replaceVersion(ctx context.Context, v nebula.Version, s secret) error {
	if w.before == nil {
		switch {
		case provider.IsRepeat(ctx) && w.wasDone(s):
			return w.setTags(ctx, s.tags)
		case !s.live():
			return w.condition.Check("")
		case s.current != string(v):
			return w.settleRepeat(ctx, s, string(v), w.condition.Check(nebula.Version(s.current)))
		case s.claim(w.d.config.SecretPrefix, w.name) == claimedElsewhere:
			return errElsewhere()
		}
	}
	if !isVersionID(string(v)) {
		return provider.NotCurrent(v, nil)
	}
	began := w.d.clock.Now()
	err := w.replace(ctx, string(v), s.tags)
	switch {
	case errors.Is(err, errLost):
		return provider.NotCurrent(v, errors.Join(errors.Unwrap(err), w.pause(ctx, began)))
	case errors.Is(err, errStageTaken):
		after := w.pause(ctx, began)
		w.token = "" // what is repeated is another version
		return &nebula.Error{Kind: nebula.ErrUnavailable, Err: errors.Join(errors.Unwrap(err), after),
			Message: "another process is writing this credential at the same moment", Hint: "try again"}
	case isMoved(err):
		return w.notThere(ctx, v, errors.Unwrap(err))
	case err != nil:
		return err
	}
	return w.setTags(ctx, s.tags)
}

// notThere returns the error of a write that AWS refused before there was a
// version to move to: the secret is deleted or gone, unless the refusal has other
// reasons.
func (w *write) notThere(ctx context.Context, v nebula.Version, refused error) error {
	s, err := w.d.describe(ctx, w.name)
	switch {
	case s.live() && s.current == string(v):
		return refused
	case err != nil && !isMissing(err):
		return err
	}
	return provider.NotCurrent(v, refused)
}

// The reasons why AWSCURRENT did not move. Both are errMoved.
var (
	errLost       = errors.New("another version is the current one")
	errStageTaken = errors.New("another writer took the stage")
)

// replace makes the record the current version instead of that one. It returns
// errMoved if others changed the secret.
func (w *write) replace(ctx context.Context, expected string, tags map[string]string) error {
	w.choose(tags, &expected)
	err := w.put(ctx, stagePending)
	if awsapi.HasCode(err, codeLimit) && w.dropOldStages(ctx) {
		err = w.put(ctx, stagePending)
	}
	if err != nil {
		return asMoved(err)
	}
	err = w.moveStage(ctx, stageCurrent, &expected, &w.token)
	if !isRefusedMove(err) {
		return w.unfinished(err)
	}
	return w.settleMove(ctx, expected, err)
}

// isRefusedMove reports whether AWS refused to move a stage, for any reason that
// lies in the state of the secret.
func isRefusedMove(err error) bool {
	return isMissing(err) || awsapi.HasCode(err, codeInvalidRequest) || awsapi.HasCode(err, codeInvalidParameter) || awsapi.HasCode(err, codePrecondition)
}

// settleMove finds out why AWS refused the move. AWS has no code of its own for
// it.
func (w *write) settleMove(ctx context.Context, expected string, refused error) error {
	s, err := w.d.describe(ctx, w.name)
	switch {
	case err != nil && !isMissing(err):
		return w.unfinished(err)
	case w.wasDone(s):
		return nil // by an earlier attempt
	case err != nil, !s.live():
		return movedError{errors.Join(errLost, refused)}
	case s.current != expected:
		return w.settleRepeat(ctx, s, expected, movedError{errors.Join(errLost, refused)})
	case s.hasStage(w.token, stagePending):
		return refused // and nobody else is to blame
	}
	// The condition still holds.
	return movedError{errors.Join(errStageTaken, refused)}
}

const (
	// pauseShare is how much of the pause each writer that lost has for itself,
	// in durations of one write. With 4, 16 writers at once write about 33
	// versions.
	pauseShare = 4
	// guessedRivals is the number of rivals to assume if AWS does not tell.
	guessedRivals = 4
	// rivalSpan is how long others count as rivals, in durations of one write.
	rivalSpan = 10
	// maxPauseAfterLoss bounds the pause.
	maxPauseAfterLoss = 10 * time.Second
)

// pause returns how long a writer that lost against others should wait: longer if
// there are more of them. Each writer that lost for the first time has a span of
// its own. Those that lose again take any.
func (w *write) pause(ctx context.Context, began time.Time) *provider.RetryAfter {
	took := w.d.clock.Now().Sub(began)
	before, after := w.d.rivals(ctx, w.name, w.token, rivalSpan*took)
	place, all := float64(before), before+1+after
	if known, again := w.d.writes.rivals.Get(w.name); again {
		all = max(all, known) // those that wait are not seen
		place = float64(all) * w.d.clock.Random()
	}
	w.d.writes.rivals.Note(w.name, all)
	place += w.d.clock.Random()
	return &provider.RetryAfter{Delay: min(time.Duration(float64(took)*pauseShare*place), maxPauseAfterLoss)}
}

// rivals returns how many versions that did not win were written at the same time
// as that one, before and after it in an order that all writers see. If AWS does
// not show it, it is a guess.
func (d *driver) rivals(ctx context.Context, name nebula.Name, token string, span time.Duration) (before, after int) {
	versions, _ := d.versions(ctx, name) // none if AWS does not tell
	own := slices.IndexFunc(versions, func(v types.SecretVersionsListEntry) bool { return *v.VersionId == token })
	if own < 0 {
		return guessedRivals / 2, guessedRivals / 2
	}
	at := *versions[own].CreatedDate
	for _, v := range versions {
		distance := at.Sub(*v.CreatedDate)
		switch {
		case *v.VersionId == token || isCurrent(v.VersionStages) || distance.Abs() > span:
		case distance > 0 || distance == 0 && *v.VersionId < token:
			before++
		default:
			after++
		}
	}
	return before, after
}

// moveStage moves a stage from one version to another, or with nil takes it away.
func (w *write) moveStage(ctx context.Context, stage string, from, to *string) error {
	_, err := change(ctx, w.d, w.name, w.d.client().UpdateSecretVersionStage, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &w.id, VersionStage: &stage, RemoveFromVersionId: from, MoveToVersionId: to})
	return err
}

// dropOldStages takes the stages away that earlier releases left on versions, one
// for each write that was killed, and reports whether there were some.
func (w *write) dropOldStages(ctx context.Context) bool {
	s, _ := w.d.describe(ctx, w.name) // without it there are none
	dropped := false
	for version, stages := range s.stages {
		for _, stage := range stages {
			if isOldPending(stage) && w.moveStage(ctx, stage, &version, nil) == nil {
				dropped = true
			}
		}
	}
	return dropped
}
