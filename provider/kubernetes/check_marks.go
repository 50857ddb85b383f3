package kubernetes

import (
	"context"
	"fmt"
	"strings"

	"github.com/nebula-credential/nebula"
)

// marks looks for credentials whose labels and annotations others have removed
// or changed, and counts the Secrets of others under the prefix.
func (x *examination) marks(ctx context.Context) {
	const check = "marks"
	c := markCount{pages: x.List(nebula.Filter{}).(*pages)}
	for c.pages.more() {
		if err := x.countPage(ctx, &c); err != nil {
			x.Failed(check, x.Explain(nebula.Name{}, err))
			return
		}
	}
	for _, err := range c.unknown {
		x.Failed(check, x.Explain(nebula.Name{}, err))
	}
	others := ""
	if c.strangers > 0 {
		others = fmt.Sprintf("; under the prefix are %d Secrets of somebody else", c.strangers)
	}
	if len(c.bare) > 0 {
		x.Add(check, nebula.SeverityWarning, fmt.Sprintf("%d of %d credentials have lost labels or annotations of ours: %s%s", len(c.bare), c.credentials, someOf(c.bare), others),
			"the next write of each puts them back; find out who removes them: kubectl get secret NAME -o yaml --show-managed-fields")
		return
	}
	x.Add(check, nebula.SeverityOK, fmt.Sprintf("labels and annotations are there; credentials: %d%s", c.credentials, others), "")
}

// markCount counts the Secrets of a store by their marks.
type markCount struct {
	pages *pages

	credentials int
	bare        []string // ids
	unknown     []error  // of those that cannot be told
	strangers   int
}

func (x *examination) countPage(ctx context.Context, c *markCount) error {
	ctx, cancel := context.WithTimeout(ctx, 2*x.config.Timeout)
	defer cancel()
	if err := c.pages.fetch(ctx); err != nil {
		return err
	}
	var unsure []objectMeta
	for _, m := range c.pages.page {
		name, ours := x.names.parse(m)
		switch {
		case !m.stays():
		case ours:
			c.credentials++
			if _, known := unproject(m); !known || m.Labels[storeLabel] != x.names.store() || m.Labels[keyLabel] != keyOf(name) {
				c.bare = append(c.bare, name.String())
			}
		case x.names.unmarked(m) && c.pages.mayMatch(m):
			unsure = append(unsure, m)
		}
	}
	read, err := c.pages.readEach(ctx, unsure)
	for _, e := range read {
		if e.Err != nil {
			c.unknown = append(c.unknown, e.Err)
			continue
		}
		c.credentials++
		c.bare = append(c.bare, string(e.ID))
	}
	c.strangers += len(unsure) - len(read)
	c.pages.advance()
	return err
}

// someOf names a few.
func someOf(names []string) string {
	const maxNamed = 5
	if more := len(names) - maxNamed; more > 0 {
		return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
