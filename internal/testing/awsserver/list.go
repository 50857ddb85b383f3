package awsserver

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

type filter struct {
	Key    string
	Values []string
}

type listInput struct {
	Filters                []filter
	IncludePlannedDeletion bool
	MaxResults             *int
	NextToken              string
	SortBy                 string
	SortOrder              string
}

type listOutput struct {
	SecretList []*description
	NextToken  string `json:",omitempty"`
}

func (c *call) list(in *listInput) (any, *Error) {
	found, next, err := c.page(in, listPage)
	if err != nil {
		return nil, err
	}
	out := &listOutput{SecretList: []*description{}, NextToken: next}
	for _, one := range found {
		d := c.server.describe(one)
		d.ReplicationStatus = nil // only in DescribeSecret
		d.SecretVersionsToStages = one.stages()
		out.SecretList = append(out.SecretList, d)
	}
	return out, nil
}

// page returns one page of the secrets that lists show by now, and the token of the
// next page. Without SortBy, the order is that of creation.
func (c *call) page(in *listInput, limit int) ([]*secret, string, *Error) {
	if err := checkFilters(in.Filters); err != nil {
		return nil, "", err
	}
	key, err := sortKey(in.SortBy)
	if err != nil {
		return nil, "", err
	}
	if in.SortOrder != "" && in.SortOrder != "asc" && in.SortOrder != "desc" {
		return nil, "", validation("1 validation error detected: Value at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: [asc, desc]")
	}
	size, err := c.server.size(in.MaxResults, limit)
	if err != nil {
		return nil, "", err
	}
	var shown []*secret
	for _, one := range append(c.server.inOrder(), c.server.gone...) {
		if c.shows(one, in.IncludePlannedDeletion) && c.server.matchesAll(one, in.Filters) {
			shown = append(shown, one)
		}
	}
	query := queryHash(c.operation, in.Filters, in.IncludePlannedDeletion, in.SortBy, in.SortOrder)
	return cut(shown, size, query, in.NextToken, key, in.SortOrder == "desc")
}

// shows reports whether lists show a secret. They are late for new secrets and for
// deleted ones.
func (c *call) shows(one *secret, planned bool) bool {
	delay := c.server.listDelay
	if c.now.Before(time.Time(one.created).Add(delay)) {
		return false
	}
	return one.deletion.IsZero() || planned || c.now.Before(one.deleted.Add(delay))
}

func sortKey(by string) (func(*secret) string, *Error) {
	order := func(one *secret) string { return fmt.Sprintf("%012d", one.sequence) }
	switch by {
	case "":
		return order, nil
	case "created-date":
		return func(one *secret) string { return sortable(time.Time(one.created)) + order(one) }, nil
	case "last-accessed-date":
		return func(one *secret) string { return sortable(time.Time(one.accessed)) + order(one) }, nil
	case "last-changed-date":
		return func(one *secret) string { return sortable(time.Time(one.changed)) + order(one) }, nil
	case "name":
		return func(one *secret) string { return one.name + "\x00" + order(one) }, nil
	}
	return nil, validation("1 validation error detected: Value at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: [created-date, last-accessed-date, last-changed-date, name]")
}

// sortable returns a text that sorts by time.
func sortable(t time.Time) string { return t.UTC().Format("20060102150405.000") }

// size returns how many items a page has.
func (s *Server) size(wanted *int, limit int) (int, *Error) {
	size := limit
	if wanted != nil {
		if *wanted < 1 || *wanted > limit {
			return 0, validation(fmt.Sprintf("1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value between 1 and %d", limit))
		}
		size = *wanted
	}
	if s.pageSize > 0 {
		size = min(size, s.pageSize)
	}
	return size, nil
}

// position is the content of a NextToken: its query, and the last item so far.
type position struct {
	Query string
	After string
}

func queryHash(parts ...any) string {
	data, _ := json.Marshal(parts) // plain values
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// cut sorts the items, and returns the page after the token and the next token.
func cut[T any](items []T, size int, query, token string, key func(T) string, descending bool) ([]T, string, *Error) {
	order := func(a, b string) int {
		if descending {
			return cmp.Compare(b, a)
		}
		return cmp.Compare(a, b)
	}
	slices.SortFunc(items, func(a, b T) int { return order(key(a), key(b)) })
	if token != "" {
		var from position
		data, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || json.Unmarshal(data, &from) != nil || from.Query != query {
			return nil, "", fail("InvalidNextTokenException", "Invalid NextToken.")
		}
		items = slices.DeleteFunc(items, func(item T) bool { return order(key(item), from.After) <= 0 })
	}
	if len(items) <= size {
		return items, "", nil
	}
	items = items[:size]
	data, _ := json.Marshal(position{Query: query, After: key(items[size-1])})
	return items, base64.RawURLEncoding.EncodeToString(data), nil
}

var filterKeys = []string{"description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all"}

func checkFilters(filters []filter) *Error {
	if len(filters) > 10 {
		return validation("1 validation error detected: Value at 'filters' failed to satisfy constraint: Member must have length less than or equal to 10")
	}
	for _, f := range filters {
		if !slices.Contains(filterKeys, f.Key) {
			return validation("1 validation error detected: Value at 'filters.key' failed to satisfy constraint: Member must satisfy enum value set: [" + strings.Join(filterKeys, ", ") + "]")
		}
		if len(f.Values) < 1 || len(f.Values) > 10 {
			return invalid("Invalid filter values for key: " + f.Key)
		}
	}
	return nil
}

func (s *Server) matchesAll(one *secret, filters []filter) bool {
	return !slices.ContainsFunc(filters, func(f filter) bool { return !s.matches(one, f) })
}

// matches: one value that matches is enough, and "!" before a value inverts it.
func (s *Server) matches(one *secret, f filter) bool {
	return slices.ContainsFunc(f.Values, func(v string) bool {
		if wanted, negated := strings.CutPrefix(v, "!"); negated {
			return !s.has(one, f.Key, wanted)
		}
		return s.has(one, f.Key, v)
	})
}

// has looks for names and tags that begin with wanted, in its case, and for words in
// descriptions and in all texts that begin with it, in any case.
func (s *Server) has(one *secret, key, wanted string) bool {
	begins := func(text string) bool { return strings.HasPrefix(text, wanted) }
	switch key {
	case "name":
		return begins(one.name)
	case "tag-key":
		return slices.ContainsFunc(one.tags, func(t tag) bool { return begins(t.Key) })
	case "tag-value":
		return slices.ContainsFunc(one.tags, func(t tag) bool { return begins(t.Value) })
	case "description":
		return hasWords(one.description, wanted)
	case "primary-region":
		return len(one.replicas) > 0 && begins(s.options.Region)
	case "all":
		text := one.name + " " + one.description
		for _, t := range one.tags {
			text += " " + t.Key + " " + t.Value
		}
		return hasWords(text, wanted)
	}
	return false // no service owns a secret here
}

// hasWords: each wanted word begins a word of the text.
func hasWords(text, wanted string) bool {
	words := split(text)
	for _, w := range split(wanted) {
		if !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, w) }) {
			return false
		}
	}
	return true
}

func split(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
