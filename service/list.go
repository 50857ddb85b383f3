package service

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/nebula-credential/nebula"
)

// maxItems is the greatest number of credentials in a page.
const maxItems = 1000

// asked has the parameters of a list.
type asked struct {
	filter  nebula.Filter
	none    bool // nothing can match
	limit   int
	after   nebula.ID // the last one of the page before; "" for the first page
	paged   bool      // there was a page before
	details bool
}

// list answers a page of the credentials, by id.
func (s *Service) list(c *call) (answer, error) {
	a, err := c.asked()
	if err != nil {
		return answer{}, err
	}
	var entries []nebula.Entry
	if !a.none {
		if entries, err = s.lists.get(c, s.store, a); err != nil {
			return answer{}, err
		}
	}
	page, next := pageOf(entries, a)
	if a.details {
		if page, err = s.detail(c, page, a.filter); err != nil {
			return answer{}, err
		}
	}
	b := []byte(`{"items":[`)
	for i, e := range page {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEntry(b, c, e)
	}
	b = append(b, ']')
	if next != "" {
		b = append(b, `,"next":"`...)
		b = base64.RawURLEncoding.AppendEncode(b, []byte(next))
		b = append(b, '"')
	}
	return answer{status: http.StatusOK, contentType: jsonType, body: append(b, '}')}, nil
}

// pageOf returns the requested page, and its last id if there are more.
func pageOf(entries []nebula.Entry, a asked) (page []nebula.Entry, next nebula.ID) {
	at, found := slices.BinarySearchFunc(entries, a.after, func(e nebula.Entry, id nebula.ID) int {
		return strings.Compare(string(e.ID), string(id))
	})
	if found {
		at++
	}
	page = entries[at:]
	if len(page) > a.limit {
		page = page[:a.limit]
		next = page[a.limit-1].ID
	}
	return page, next
}

// asked reads the parameters, and limits them to the token's reach.
func (c *call) asked() (asked, error) {
	a := asked{limit: maxItems}
	prefix := c.query.Get("prefix")
	if !isPrefix(prefix) {
		return a, usage("that is not the prefix of an id", "it has up to 128 characters of A-Z a-z 0-9 _ -")
	}
	switch own := c.grant.Prefix; {
	case strings.HasPrefix(prefix, own):
	case strings.HasPrefix(own, prefix):
		prefix = own
	default:
		a.none = true
	}
	a.filter.Prefix = prefix
	if c.query.Has("limit") {
		n, err := strconv.ParseUint(c.query.Get("limit"), 10, 16)
		if a.limit = int(n); err != nil || n < 1 || n > maxItems {
			return a, usage(fmt.Sprintf("the limit is not a number from 1 to %d", maxItems), "")
		}
	}
	if c.query.Has("details") {
		switch c.query.Get("details") {
		case "true":
			a.details = true
		case "false":
		default:
			return a, usage("details is true or false", "")
		}
	}
	if a.paged = c.query.Has("cursor"); a.paged {
		last, err := base64.RawURLEncoding.DecodeString(c.query.Get("cursor"))
		if err != nil || len(last) == 0 {
			return a, usage("no list gave this cursor", "begin again without one")
		}
		a.after = nebula.ID(last) // a place among the ids, of which none has to be there
	}
	return a, a.addTags(c.query["tag"])
}

func isPrefix(s string) bool {
	return len(s) <= nebula.MaxIDLength && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// addTags reads k=v. All of them must match.
func (a *asked) addTags(tags []string) error {
	for _, t := range tags {
		key, value, found := strings.Cut(t, "=")
		if !found {
			return usage("a tag is not written as key=value", "")
		}
		if err := nebula.ValidateTag(key, value); err != nil {
			return err
		}
		if other, twice := a.filter.Tags[key]; twice && other != value {
			a.none = true
		}
		if a.filter.Tags == nil {
			a.filter.Tags = make(map[string]string)
		}
		a.filter.Tags[key] = value
	}
	return nil
}

// detail completes the entries of a page that the backend lists without metadata. It
// asks the backend for each. It leaves out those that are gone by now, or no longer
// match.
func (s *Service) detail(c *call, page []nebula.Entry, filter nebula.Filter) ([]nebula.Entry, error) {
	var ids []nebula.ID
	for _, e := range page {
		if e.Err == nil && e.Metadata == nil {
			ids = append(ids, e.ID)
		}
	}
	found := make(map[nebula.ID]nebula.BatchResult, len(ids))
	for part := range slices.Chunk(ids, s.store.MaxConcurrency()) {
		for i, r := range s.store.GetSealedMany(c.ctx, part) {
			if kind := nebula.KindOf(r.Err); kind.OfBackend() {
				return nil, r.Err
			}
			found[part[i]] = r
		}
	}
	completed := make([]nebula.Entry, 0, len(page))
	for _, e := range page {
		r, read := found[e.ID]
		switch {
		case !read:
		case nebula.KindOf(r.Err) == nebula.ErrNotFound:
			continue
		case r.Err != nil:
			e.Err = r.Err
		default:
			m := r.Record.Envelope.Metadata()
			if !filter.Matches(e.ID, m) {
				continue
			}
			e.Version, e.Metadata = r.Record.Version, &m
		}
		completed = append(completed, e)
	}
	return completed, nil
}

func appendEntry(b []byte, c *call, e nebula.Entry) []byte {
	b = appendText(append(b, `{"id":`...), string(e.ID))
	if e.Version != "" {
		b = appendText(append(b, `,"version":`...), string(e.Version))
	}
	if e.Metadata != nil {
		b = appendMetadata(append(b, `,"metadata":`...), *e.Metadata)
	}
	if e.Err != nil {
		b = appendFailure(append(b, `,"error":`...), c, e.ID, e.Err)
	}
	return append(b, '}')
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
