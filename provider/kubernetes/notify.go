package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/httpx"
)

const (
	// watchTime is how long the server is to keep a watch. If a watch began
	// after a revision of the future, as happens after a restore of etcd, it
	// would be silent for ever.
	watchTime = 5 * time.Minute

	// watchGrace is how much longer the client waits for the end.
	watchGrace = 15 * time.Second

	// maxWatchedKeys is the greatest number of credentials whose labels are
	// named in the URL. With more, the server reports the changes of the whole
	// store.
	maxWatchedKeys = 100
)

// Notify implements [nebula.Notifier], by watches of the metadata of our Secrets.
// Changes of a Secret that has lost our labels are not reported.
func (d *driver) Notify(ctx context.Context, names []nebula.Name, changed func(...nebula.Name)) error {
	f := &follower{d: d, changed: changed, wanted: make(map[string]nebula.Name, len(names)), selector: d.watchSelector(names)}
	for _, name := range names {
		f.wanted[d.names.secret(name)] = name
	}
	for {
		revision, err := f.now(ctx)
		if err != nil {
			return err
		}
		// If the server has gone back, or has forgotten what came since, its
		// watch does not show all changes.
		if !f.follows(revision) {
			f.revision, f.missed = revision, names
		}
		if err := f.run(ctx); err != nil {
			return err
		}
	}
}

func (d *driver) watchSelector(names []nebula.Name) string {
	selector := storeLabel + "=" + d.names.store()
	if len(names) > maxWatchedKeys {
		return selector
	}
	var keys []string
	for _, name := range names {
		keys = append(keys, keyOf(name))
	}
	slices.Sort(keys)
	return selector + "," + keyLabel + " in (" + strings.Join(slices.Compact(keys), ",") + ")"
}

// follower follows the changes of Secrets.
type follower struct {
	d        *driver
	changed  func(...nebula.Name)
	wanted   map[string]nebula.Name // by the names of their Secrets
	selector string
	revision string        // what was told of last; "" before the first
	missed   []nebula.Name // of which changes may not have been told
}

// follows reports whether the server's present revision is one after which the
// watch can go on.
func (f *follower) follows(now string) bool {
	at, err := strconv.ParseUint(f.revision, 10, 64)
	to, failed := strconv.ParseUint(now, 10, 64)
	return err == nil && failed == nil && at <= to
}

// now returns the server's present revision.
func (f *follower) now(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, f.d.config.Timeout)
	defer cancel()
	a, err := f.d.call(ctx, request{method: http.MethodGet, path: f.d.secrets(), query: url.Values{"labelSelector": {f.selector}, "limit": {"1"}},
		accept: acceptMetadataList, limit: maxListAnswer, verb: "list", resource: "secrets"})
	if err != nil {
		return "", err
	}
	var l listing
	if json.Unmarshal(a.Body, &l) != nil || l.Kind != kindMetadataList || !isRevision(l.Metadata.ResourceVersion) {
		return "", errForeignAnswer()
	}
	return l.Metadata.ResourceVersion, nil
}

// errExpired says that the server has forgotten the revision.
var errExpired = errors.New("the revision is too old")

// run watches until the server ends the watch.
func (f *follower) run(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, watchTime+watchGrace)
	defer cancel()
	query := url.Values{"watch": {"1"}, "allowWatchBookmarks": {"true"}, "labelSelector": {f.selector}, "resourceVersion": {f.revision},
		"timeoutSeconds": {strconv.Itoa(int(watchTime.Seconds()))}}
	// Asked for as a list, the stream would be empty.
	r := request{method: http.MethodGet, path: f.d.secrets(), query: query, accept: acceptMetadata, verb: "watch", resource: "secrets"}
	_, err := f.d.identified(bounded, func(authorization string) (*httpx.Answer, error) {
		return f.d.wire.stream(bounded, r, authorization, f.read)
	})
	var tooMuch *httpx.TooLargeError
	switch {
	case err == nil, errors.As(err, &tooMuch), bounded.Err() != nil && ctx.Err() == nil:
		return nil // to go on where it was
	case errors.Is(err, errExpired), hasStatus(err, http.StatusGone):
		f.revision = "" // to begin anew
		return nil
	}
	return err
}

// event is an event of a watch.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

func (f *follower) read(stream io.Reader) error {
	f.changed(f.missed...) // it listens
	f.missed = nil
	events := json.NewDecoder(stream)
	for {
		var e event
		if err := events.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := f.take(e); err != nil {
			return err
		}
	}
}

func (f *follower) take(e event) error {
	if e.Type == "ERROR" {
		return f.refusal(e.Object)
	}
	var o struct {
		Kind     string     `json:"kind"`
		Metadata objectMeta `json:"metadata"`
	}
	if json.Unmarshal(e.Object, &o) != nil || o.Kind != kindMetadata || !isRevision(o.Metadata.ResourceVersion) {
		return errForeignAnswer()
	}
	f.revision = o.Metadata.ResourceVersion
	if name, ok := f.wanted[o.Metadata.Name]; ok && e.Type != "BOOKMARK" {
		f.changed(name)
	} else {
		f.changed()
	}
	return nil
}

// refusal reads the status that comes as an event, under the status 200.
func (f *follower) refusal(status []byte) error {
	var s struct {
		Code int `json:"code"`
	}
	if json.Unmarshal(status, &s) != nil {
		return errForeignAnswer()
	}
	if s.Code == http.StatusGone {
		return errExpired
	}
	return parseStatus(s.Code, status, request{method: http.MethodGet, path: f.d.secrets(), verb: "watch", resource: "secrets"})
}
