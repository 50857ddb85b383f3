package aws

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

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
		if history, err = d.versions(ctx, name); err != nil {
			return nil, err
		}
	}
	if len(history) == 0 {
		return nil, provider.NotFound()
	}
	// AWS's order is that of creation where it has one.
	slices.Reverse(history)
	slices.SortStableFunc(history, func(a, b nebula.VersionInfo) int {
		if a.Current != b.Current {
			return map[bool]int{true: -1, false: 1}[a.Current]
		}
		return b.CreatedAt.Compare(a.CreatedAt)
	})
	return history, nil
}

// versions returns them in no order, without those of writes under way.
func (d *driver) versions(ctx context.Context, name nebula.Name) ([]nebula.VersionInfo, error) {
	id, deprecated := d.secretID(name), true
	in := &secretsmanager.ListSecretVersionIdsInput{SecretId: &id, IncludeDeprecated: &deprecated}
	var history []nebula.VersionInfo
	for {
		out, err := d.client().ListSecretVersionIds(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, v := range out.Versions {
			current := slices.Contains(v.VersionStages, stageCurrent)
			if v.VersionId == nil || v.CreatedDate == nil || !current && slices.ContainsFunc(v.VersionStages, isPendingStage) {
				continue
			}
			history = append(history, nebula.VersionInfo{Version: nebula.Version(*v.VersionId), CreatedAt: v.CreatedDate.UTC(), Current: current})
		}
		if out.NextToken == nil || *out.NextToken == "" {
			return history, nil
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
