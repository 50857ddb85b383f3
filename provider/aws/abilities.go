package aws

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// History implements [nebula.Historian]. It makes two calls, and one more for
// each 100 versions.
func (d *driver) History(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	s, err := d.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	var history []nebula.VersionInfo
	if s.live() {
		versions, err := d.versions(ctx, name)
		if err != nil {
			return nil, err
		}
		history = historyOf(versions)
	}
	if len(history) == 0 {
		return nil, provider.NotFound()
	}
	// AWS's order, if it has one, is that of creation.
	slices.Reverse(history)
	slices.SortStableFunc(history, func(a, b nebula.VersionInfo) int {
		if a.Current != b.Current {
			return map[bool]int{true: -1, false: 1}[a.Current]
		}
		return b.CreatedAt.Compare(a.CreatedAt)
	})
	return history, nil
}

// historyOf leaves out versions of writes under way: they have not been the
// current version yet, so they are not part of the history.
func historyOf(versions []types.SecretVersionsListEntry) []nebula.VersionInfo {
	var current time.Time
	for _, v := range versions {
		if isCurrent(v.VersionStages) {
			current = *v.CreatedDate
		}
	}
	var history []nebula.VersionInfo
	for _, v := range versions {
		if isUnderWay(v, current) {
			continue
		}
		history = append(history, nebula.VersionInfo{Version: nebula.Version(*v.VersionId), CreatedAt: v.CreatedDate.UTC(), Current: isCurrent(v.VersionStages)})
	}
	return history
}

// isUnderWay reports whether a version belongs to a conditional write that has
// not ended, or was given up. The stage of such writes stays on those that
// succeeded, but these are older than the current version.
func isUnderWay(v types.SecretVersionsListEntry, current time.Time) bool {
	if isCurrent(v.VersionStages) {
		return false
	}
	return slices.ContainsFunc(v.VersionStages, isOldPending) ||
		slices.Contains(v.VersionStages, stagePending) && !slices.Contains(v.VersionStages, stagePrevious) && v.CreatedDate.After(current)
}

// versions returns all that have an id and a date, in no order.
func (d *driver) versions(ctx context.Context, name nebula.Name) ([]types.SecretVersionsListEntry, error) {
	id, deprecated := d.secretID(name), true
	in := &secretsmanager.ListSecretVersionIdsInput{SecretId: &id, IncludeDeprecated: &deprecated}
	var versions []types.SecretVersionsListEntry
	for {
		out, err := d.client().ListSecretVersionIds(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, v := range out.Versions {
			if v.VersionId != nil && v.CreatedDate != nil {
				versions = append(versions, v)
			}
		}
		if out.NextToken == nil || *out.NextToken == "" {
			return versions, nil
		}
		in.NextToken = out.NextToken
	}
}

// isVersionID reports whether AWS could have a version of that id: 32 to 64
// characters.
func isVersionID(v string) bool {
	return len(v) >= 32 && len(v) <= 64 && strings.IndexFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// RetrieveVersion implements [nebula.VersionRetriever]. It makes one call.
func (d *driver) RetrieveVersion(ctx context.Context, name nebula.Name, v nebula.Version) (nebula.Record, error) {
	if !isVersionID(string(v)) {
		return nebula.Record{}, provider.NoSuchVersion()
	}
	id := string(v)
	record, err := d.read(ctx, name, &id)
	if isMissing(err) {
		err = provider.NoSuchVersion()
	}
	return record, err
}
