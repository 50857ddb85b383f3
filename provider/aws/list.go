package aws

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

const (
	// listPage is the most that AWS gives in a page.
	listPage = 100
	// maxFiltered is how many tags are filtered by on AWS's side: each takes two
	// of its ten filters, the name takes one.
	maxFiltered = 4
)

// List implements [provider.Driver]. It makes one call for 100 credentials that
// AWS's own filters, by the beginnings of names and tags, let through.
func (d *driver) List(filter nebula.Filter) provider.Pages {
	size := int32(listPage)
	return &pages{d: d, filter: filter, next: &secretsmanager.ListSecretsInput{MaxResults: &size, Filters: d.filters(filter)}}
}

// filters returns what AWS leaves out by itself. It finds by beginnings, so
// that what comes is looked at again.
func (d *driver) filters(f nebula.Filter) []types.Filter {
	var all []types.Filter
	add := func(key types.FilterNameStringType, value string) {
		if value != "" && isNameText(strings.ReplaceAll(strings.ReplaceAll(value, ":", ""), " ", "")) {
			all = append(all, types.Filter{Key: key, Values: []string{value}})
		}
	}
	add(types.FilterNameStringTypeName, d.config.SecretPrefix+f.Prefix)
	for i, key := range slices.Sorted(maps.Keys(f.Tags)) {
		if i == maxFiltered {
			break
		}
		add(types.FilterNameStringTypeTagKey, encodeKey(key))
		add(types.FilterNameStringTypeTagValue, encodeText(f.Tags[key]))
	}
	return all
}

type pages struct {
	d      *driver
	filter nebula.Filter
	next   *secretsmanager.ListSecretsInput // nil after the last page
}

// Next implements [provider.Pages].
func (g *pages) Next(ctx context.Context) ([]nebula.Entry, error) {
	if g.next == nil {
		return nil, io.EOF
	}
	out, err := g.d.client().ListSecrets(ctx, g.next)
	if err != nil {
		return nil, err
	}
	if out.NextToken != nil && *out.NextToken != "" {
		g.next.NextToken = out.NextToken
	} else {
		g.next = nil
	}
	entries := make([]nebula.Entry, 0, len(out.SecretList))
	for _, listed := range out.SecretList {
		if entry, ok := g.entry(listed); ok {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// entry returns what is listed of a secret, and false where nothing is: for
// what others made, for the keyring, and for what the filter leaves out.
func (g *pages) entry(s types.SecretListEntry) (nebula.Entry, bool) {
	if s.Name == nil || s.DeletedDate != nil {
		return nebula.Entry{}, false
	}
	name, ok := parseSecretID(g.d.config.SecretPrefix, *s.Name)
	tags := tagMap(s.Tags)
	current := currentOf(s.SecretVersionsToStages)
	if !ok || tags[reservedKey] == "" || current == "" || !g.filter.MatchesID(name.ID()) {
		return nebula.Entry{}, false
	}
	entry := nebula.Entry{ID: name.ID(), Version: nebula.Version(current)}
	metadata, ok := unproject(tags)
	if !ok {
		// Whether it matches cannot be known: it is listed with the reason.
		if g.filter.NeedsMetadata() {
			entry.Err = &nebula.Error{Kind: nebula.ErrCorrupted,
				Message: "the tags of the secret were changed by others", Hint: "store the credential again"}
		}
		return entry, true
	}
	if s.LastChangedDate != nil {
		metadata.LastModified = s.LastChangedDate.UTC()
	}
	entry.Metadata = &metadata
	return entry, g.filter.Matches(name.ID(), metadata)
}
