package kubernetes

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nebula-credential/nebula"
)

// batchSize is how many Secrets are read in a call. Each takes 11 characters of
// the URL, and proxies accept 8 KiB.
const batchSize = 500

// maxBatchAnswer is small enough to come in the time of an attempt, in bytes:
// 500 records of 4 KiB. The largest record is a third of it.
const maxBatchAnswer = 4 << 20

// RetrieveBatch implements [nebula.BatchRetriever]. It makes one call for 500
// names, more if their records do not fit an answer, and one for each that
// is not found.
func (d *driver) RetrieveBatch(ctx context.Context, names []nebula.Name) ([]nebula.BatchResult, error) {
	found := make(map[nebula.Name]nebula.BatchResult, len(names))
	for chunk := range slices.Chunk(slices.Compact(slices.SortedFunc(slices.Values(names), compareNames)), batchSize) {
		part, err := d.readChunk(ctx, chunk)
		if err != nil && len(found) == 0 {
			return nil, err // as a whole it can be tried again
		}
		for _, name := range chunk {
			found[name] = part[name]
			if err != nil {
				found[name] = nebula.BatchResult{Err: err}
			}
		}
	}
	results := make([]nebula.BatchResult, len(names))
	for i, name := range names {
		results[i] = found[name]
	}
	return results, nil
}

func compareNames(a, b nebula.Name) int { return strings.Compare(a.String(), b.String()) }

// readChunk reads Secrets by their labels, in halves if all of them are too
// much for an answer. It returns the error of a call for many.
func (d *driver) readChunk(ctx context.Context, chunk []nebula.Name) (map[nebula.Name]nebula.BatchResult, error) {
	if len(chunk) == 1 {
		return d.readEach(ctx, chunk), nil
	}
	secrets, err := d.selectKeys(ctx, chunk)
	if isTooLarge(err) {
		found, err := d.readChunk(ctx, chunk[:len(chunk)/2])
		if err != nil {
			return nil, err
		}
		rest, err := d.readChunk(ctx, chunk[len(chunk)/2:])
		maps.Copy(found, rest)
		return found, err
	}
	if err != nil {
		return nil, err
	}
	found := make(map[nebula.Name]nebula.BatchResult, len(chunk))
	var missing []nebula.Name
	for _, name := range chunk {
		s, ok := secrets[d.names.secret(name)]
		if !ok || !d.names.holds(s.Metadata, name) || !s.Metadata.stays() {
			missing = append(missing, name)
			continue
		}
		record, err := s.record(name)
		found[name] = nebula.BatchResult{Record: record, Err: err}
	}
	// Somebody may have taken the label away.
	maps.Copy(found, d.readEach(ctx, missing))
	return found, nil
}

// readEach reads one by one, some at a time.
func (d *driver) readEach(ctx context.Context, names []nebula.Name) map[nebula.Name]nebula.BatchResult {
	results := make([]nebula.BatchResult, len(names))
	var group errgroup.Group
	group.SetLimit(maxReads)
	for i, name := range names {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
			defer cancel()
			s, err := d.readOurs(ctx, name, acceptJSON, kindSecret)
			if err == nil {
				results[i].Record, err = s.record(name)
			}
			results[i].Err = err
			return nil
		})
	}
	_ = group.Wait() // failures are in the results
	found := make(map[nebula.Name]nebula.BatchResult, len(names))
	for i, name := range names {
		found[name] = results[i]
	}
	return found
}

// selectKeys returns the Secrets, by their names, that have the labels of these
// credentials.
func (d *driver) selectKeys(ctx context.Context, names []nebula.Name) (map[string]secret, error) {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = keyOf(name)
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	selector := storeLabel + "=" + d.names.store() + "," + keyLabel + " in (" + strings.Join(keys, ",") + ")"
	a, err := d.call(ctx, request{method: http.MethodGet, path: d.secrets(), query: url.Values{"labelSelector": {selector}},
		limit: maxBatchAnswer, verb: "list", resource: "secrets"})
	if err != nil {
		return nil, err
	}
	var list struct {
		Kind  string   `json:"kind"`
		Items []secret `json:"items"`
	}
	if json.Unmarshal(a.Body, &list) != nil || list.Kind != kindSecretList {
		return nil, errForeignAnswer()
	}
	secrets := make(map[string]secret, len(list.Items))
	for _, s := range list.Items {
		if !isRevision(s.Metadata.ResourceVersion) {
			return nil, errForeignAnswer()
		}
		secrets[s.Metadata.Name] = s
	}
	return secrets, nil
}
