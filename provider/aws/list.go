package aws

import (
	"context"
	"errors"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/provider"
)

// listPage is the greatest number of secrets in a page of AWS.
const listPage = 100

// List implements [provider.Driver]. It makes one call for 100 secrets below the
// prefix. AWS is not asked to filter by tags: others may have taken them away.
// Secrets without a tag of ours are read, 20 in a call, to see what they are.
func (d *driver) List(filter nebula.Filter) provider.Pages {
	return &pages{d: d, filter: filter, next: listInput(d.config.SecretPrefix + filter.Prefix)}
}

// listInput asks for the secrets whose names begin with a text, and perhaps for
// others.
func listInput(beginning string) *secretsmanager.ListSecretsInput {
	size := int32(listPage)
	in := &secretsmanager.ListSecretsInput{MaxResults: &size}
	// AWS searches by the beginnings of names.
	if beginning != "" && isNameText(beginning) {
		in.Filters = []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{beginning}}}
	}
	return in
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
	entries := make([]nebula.Entry, 0, len(out.SecretList))
	var doubtful []listing
	for _, found := range out.SecretList {
		l, ok := g.listing(found)
		switch {
		case !ok:
		case l.known:
			entries = g.add(entries, l)
		default:
			doubtful = append(doubtful, l)
		}
	}
	entries = append(entries, g.recognise(ctx, doubtful)...)
	if err := ctx.Err(); err != nil {
		return nil, err // the page can be asked for again
	}
	if out.NextToken != nil && *out.NextToken != "" {
		g.next.NextToken = out.NextToken
	} else {
		g.next = nil
	}
	return entries, nil
}

// listing is a secret that may be a credential of this store.
type listing struct {
	name     nebula.Name
	version  string
	metadata nebula.Metadata
	known    bool // by its tags, which gave the metadata
	tagged   bool // there is a tag of ours, whatever it says
}

// listing returns false for secrets that are not to be listed: those of others,
// the keyring, deleted ones, and ids that the filter leaves out.
func (g *pages) listing(s types.SecretListEntry) (listing, bool) {
	if s.Name == nil || s.DeletedDate != nil {
		return listing{}, false
	}
	prefix := g.d.config.SecretPrefix
	name, ok := parseSecretID(prefix, *s.Name)
	l := listing{name: name, version: currentOf(s.SecretVersionsToStages)}
	if !ok || l.version == "" || !g.filter.MatchesID(name.ID()) {
		return listing{}, false
	}
	tags := tagMap(s.Tags)
	l.tagged = tags[reservedKey] != ""
	switch claimOf(prefix, name.String(), tags) {
	case claimedElsewhere:
		return listing{}, false
	case claimed:
		l.metadata, l.known = unproject(tags)
	}
	if s.LastChangedDate != nil {
		l.metadata.LastModified = s.LastChangedDate.UTC()
	}
	return l, true
}

// add adds the entry of a listing whose metadata are known, if they match.
func (g *pages) add(entries []nebula.Entry, l listing) []nebula.Entry {
	if !g.filter.Matches(l.name.ID(), l.metadata) {
		return entries
	}
	return append(entries, nebula.Entry{ID: l.name.ID(), Version: nebula.Version(l.version), Metadata: &l.metadata})
}

// recognise reads secrets that have lost their tags. Records are listed with the
// metadata that they hold themselves. A secret that is not a record, and has no
// tag of ours, belongs to somebody else. If this cannot be found out, the secret
// is listed with the reason.
func (g *pages) recognise(ctx context.Context, doubtful []listing) []nebula.Entry {
	if len(doubtful) == 0 {
		return nil
	}
	names := make([]nebula.Name, len(doubtful))
	for i, l := range doubtful {
		names[i] = l.name
		g.d.writes.unsure.Note(l.name, struct{}{})
	}
	var entries []nebula.Entry
	for i, result := range g.d.readBatch(ctx, names) {
		l := doubtful[i]
		switch {
		case result.Err == nil:
			l.version, l.metadata = string(result.Record.Version), result.Record.Envelope.Metadata()
			entries = g.add(entries, l)
		case errors.Is(result.Err, nebula.ErrNotFound), errors.Is(result.Err, nebula.ErrNotARecord) && !l.tagged:
		default:
			entries = append(entries, nebula.Entry{ID: l.name.ID(), Version: nebula.Version(l.version), Err: g.d.errDoubtful(l, result.Err)})
		}
	}
	return entries
}

// errDoubtful says why a secret that may be a credential cannot be listed as one.
func (d *driver) errDoubtful(l listing, err error) error {
	said := *d.Explain(l.name, err)
	said.Message = "others changed or removed its tags, and the record cannot be read: " + said.Message
	return &said
}
