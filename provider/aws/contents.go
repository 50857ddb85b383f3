package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nebula-credential/nebula"
)

// contents warns of problems on the first page of the list: credentials whose
// tags others removed, secrets that cannot be identified, and secrets of others
// below the prefix. It makes a call, and one more for each 20 secrets without a
// tag of Nebula's.
func (x *examination) contents(ctx context.Context) {
	const check = "tags"
	list := x.d.List(nebula.Filter{}).(*pages)
	out, err := x.d.client().ListSecrets(ctx, list.next)
	if err != nil {
		return // the permission was examined already
	}
	var doubtful []listing
	var names []nebula.Name
	for _, found := range out.SecretList {
		if l, ok := list.listing(found); ok && !l.known {
			doubtful, names = append(doubtful, l), append(names, l.name)
		}
	}
	if len(doubtful) == 0 {
		return
	}
	var stripped, unreadable, foreign []string
	for i, result := range x.d.readBatch(ctx, names) {
		id := names[i].String()
		switch {
		case result.Err == nil:
			stripped = append(stripped, id)
		case errors.Is(result.Err, nebula.ErrNotFound):
		case errors.Is(result.Err, nebula.ErrNotARecord) && !doubtful[i].tagged:
			foreign = append(foreign, id)
		default:
			unreadable = append(unreadable, id)
		}
	}
	if stripped != nil {
		x.Add(check, nebula.SeverityWarning, "others removed the tags of nebula from "+some(stripped), "nebula restore "+stripped[0])
	}
	if unreadable != nil {
		x.Add(check, nebula.SeverityWarning, "without tags of nebula, and cannot be read: "+some(unreadable), "look at them: nebula get "+unreadable[0])
	}
	if foreign != nil {
		x.Add("foreign secrets", nebula.SeverityWarning, "of others, below our prefix: "+some(foreign), "take them over with nebula import, or set another secret_prefix")
	}
}

// some names a few of them.
func some(names []string) string {
	const few = 5
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
