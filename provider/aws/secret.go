package aws

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/awsapi"
	"github.com/nebula-credential/nebula/provider"
)

// Retrieve implements [provider.Driver]. It makes one call.
func (d *driver) Retrieve(ctx context.Context, name nebula.Name) (nebula.Record, error) {
	return d.read(ctx, name, nil)
}

// read reads the version, or with nil the current one.
func (d *driver) read(ctx context.Context, name nebula.Name, version *string) (nebula.Record, error) {
	id := d.secretID(name)
	in := &secretsmanager.GetSecretValueInput{SecretId: &id, VersionId: version}
	if stage := stageCurrent; version == nil {
		in.VersionStage = &stage
	}
	var seen refusals
	for round := 1; ; round++ {
		out, err := d.client().GetSecretValue(ctx, in)
		if err == nil {
			r, err := record(name, out.SecretString, out.VersionId)
			if errors.Is(err, nebula.ErrNotARecord) {
				return r, d.ofForeign(ctx, name)
			}
			if version == nil {
				d.writes.saw(name, string(r.Version))
			}
			return r, err
		}
		if err = d.ofDeleted(ctx, name, err, &seen); !isMoved(err) || round == maxRounds || seen.last() {
			return nebula.Record{}, err
		}
	}
}

// ofForeign tells a value that never was a record from a record that somebody
// replaced. In the latter case the secret is tagged as the credential's. It
// makes one call.
func (d *driver) ofForeign(ctx context.Context, name nebula.Name) error {
	if s, failed := d.describe(ctx, name); failed == nil && s.claim(d.config.SecretPrefix, name) == claimed {
		return provider.LostRecord()
	}
	return provider.NotARecordAt(providerName + ":" + d.secretID(name))
}

// record decodes the record that a secret holds.
func record(name nebula.Name, value, version *string) (nebula.Record, error) {
	if version == nil {
		return nebula.Record{}, secretsManager().Foreign()
	}
	if value == nil { // it is binary
		return nebula.Record{}, provider.NotARecord()
	}
	envelope, err := provider.ParseRecord(name, []byte(*value))
	if err != nil {
		return nebula.Record{}, err
	}
	return nebula.Record{Envelope: envelope, Version: nebula.Version(*version)}, nil
}

// ofDeleted explains why AWS refused to act on a secret because of its state.
// AWS has no special code for a deleted secret, so a read finds that out. If
// the secret is not deleted, or no longer, the result is errMoved.
func (d *driver) ofDeleted(ctx context.Context, name nebula.Name, err error, seen *refusals) error {
	if !awsapi.HasCode(err, codeInvalidRequest) {
		return err
	}
	s, failed := d.describe(ctx, name)
	seen.add(s)
	switch {
	case failed == nil && s.live():
		return movedError{err}
	case failed == nil:
		return provider.NotFound()
	}
	return failed
}

// Exists implements [provider.Driver]. It makes one call and fetches no value.
func (d *driver) Exists(ctx context.Context, name nebula.Name) (bool, error) {
	s, err := d.describe(ctx, name)
	if isMissing(err) {
		return false, nil
	}
	return s.live() && s.current != "", err
}

// The stages of versions that matter here.
const (
	stageCurrent  = "AWSCURRENT"
	stagePrevious = "AWSPREVIOUS"
	stagePending  = "NEBULA_PENDING" // of the last conditional write
)

// isOldPending reports a stage of a conditional write of an earlier release,
// which had its own stage, with its token.
func isOldPending(stage string) bool { return strings.HasPrefix(stage, stagePending+"_") }

func isCurrent(stages []string) bool { return slices.Contains(stages, stageCurrent) }

// secret is what AWS keeps beside the values.
type secret struct {
	current string // version id, "" if the secret never had a value
	stages  map[string][]string
	tags    map[string]string
	changed time.Time
	deleted time.Time // zero if it is live; else the date that AWS gives
	now     time.Time // of the server
}

// describe reads it. It makes one call.
func (d *driver) describe(ctx context.Context, name nebula.Name) (secret, error) {
	id := d.secretID(name)
	out, err := d.client().DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
	if err != nil {
		return secret{}, err
	}
	if out.Name == nil {
		return secret{}, secretsManager().Foreign()
	}
	s := secret{current: currentOf(out.VersionIdsToStages), stages: out.VersionIdsToStages, tags: tagMap(out.Tags), now: d.clock.Now()}
	if out.LastChangedDate != nil {
		s.changed = *out.LastChangedDate
	}
	if out.DeletedDate != nil {
		s.deleted = *out.DeletedDate
	}
	if at, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		s.now = at
	}
	return s, nil
}

func currentOf(stages map[string][]string) string {
	for version, labels := range stages {
		if isCurrent(labels) {
			return version
		}
	}
	return ""
}

func (s secret) live() bool { return s.deleted.IsZero() }

// has reports whether that version is the current one, or the one before it.
func (s secret) has(version string) bool {
	return s.hasStage(version, stageCurrent) || s.hasStage(version, stagePrevious)
}

func (s secret) hasStage(version, stage string) bool {
	return slices.Contains(s.stages[version], stage)
}

const (
	// shortOfWindow is less than the recovery window can be.
	shortOfWindow = 24 * time.Hour
	// endOfForced is far more than a forced deletion takes, which is 5 s.
	endOfForced = 30 * time.Second
)

// ending reports whether the secret is being deleted for good at this moment,
// rather than at the end of a recovery window. The date of a forced deletion is
// that of the request. A scheduled one has the end of the window; AWS's
// documentation can also be read to mean the date of the request, so a secret
// that still exists after a while counts as scheduled.
func (s secret) ending() bool {
	if s.live() || s.deleted.After(s.now.Add(shortOfWindow)) {
		return false
	}
	return s.now.Sub(s.deleted) < endOfForced
}
