package aws

import (
	"context"
	"slices"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/nebula-credential/nebula"
)

// The stages of versions that matter here.
const (
	stageCurrent  = "AWSCURRENT"
	stagePrevious = "AWSPREVIOUS"
	stagePending  = "NEBULA_PENDING_" // of a conditional write under way, and its token
)

// pendingStage returns the stage of a conditional write: one of its own, since
// a stage that two writes put would be taken from the first.
func pendingStage(token string) string { return stagePending + token }

func isPendingStage(stage string) bool { return strings.HasPrefix(stage, stagePending) }

// secret is what AWS keeps beside the values.
type secret struct {
	current string // version id, "" where the secret never had a value
	stages  map[string][]string
	tags    map[string]string
	changed time.Time
	deleted time.Time // zero where it is live; else the date that AWS gives
	now     time.Time // of the server
}

// describe reads it. It makes one call.
func (p *Provider) describe(ctx context.Context, name nebula.Name) (secret, error) {
	id := p.secretID(name)
	out, err := p.client().DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
	if err != nil {
		return secret{}, err
	}
	if out.Name == nil {
		return secret{}, errForeignAnswer()
	}
	s := secret{current: currentOf(out.VersionIdsToStages), stages: out.VersionIdsToStages, tags: tagMap(out.Tags), now: p.clock.Now()}
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
		if slices.Contains(labels, stageCurrent) {
			return version
		}
	}
	return ""
}

func (s secret) live() bool { return s.deleted.IsZero() }

// ours reports whether a provider of this kind made the secret.
func (s secret) ours() bool { return s.tags[reservedKey] != "" }

// has reports whether that version is the current one, or was just before.
func (s secret) has(version string) bool {
	labels := s.stages[version]
	return slices.Contains(labels, stageCurrent) || slices.Contains(labels, stagePrevious)
}

const (
	// leastWindow is less than the recovery window can be.
	leastWindow = 24 * time.Hour
	// endOfForced is far more than a forced deletion takes, which is 5 s.
	endOfForced = 30 * time.Second
)

// ending reports whether the secret is being deleted for good at this moment,
// rather than at the end of a recovery window. The date of a forced deletion is
// that of the request. A scheduled one has the end of the window; AWS's
// documentation allows to read that it has the date of the request too, so a
// secret that is still there after a while counts as scheduled.
func (s secret) ending() bool {
	if s.live() || s.deleted.After(s.now.Add(leastWindow)) {
		return false
	}
	return s.now.Sub(s.deleted) < endOfForced
}
