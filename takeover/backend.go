package takeover

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/many"
	"github.com/nebula-credential/nebula/provider"
)

// BackendOptions go with [Backend].
type BackendOptions struct {
	// Fields takes the members of objects, and the keys of maps, each as a secret of
	// its own. Without it an object is one secret, in JSON.
	Fields bool
	Jobs   int // reads at once; 0 is many.DefaultJobs

	// Progress is called after each secret, by one goroutine at a time. It may be nil.
	Progress func(done, total int)

	rounds bool // the backend rounds numbers
}

// Backend reads the secrets of others at a place of a backend. A secret that cannot
// be read has an Err. A returned error means that the backend keeps failing, or that
// there is nothing.
func Backend(ctx context.Context, r provider.ForeignReader, place string, o BackendOptions) (Found, error) {
	var found Found
	names, err := r.ForeignNames(ctx, place)
	if err != nil {
		return found, err
	}
	slices.Sort(names)
	read := make([][]Secret, len(names))
	reading := func(ctx context.Context, name string) (provider.Foreign, error) { return r.Foreign(ctx, name) }
	done, records, gone := 0, 0, 0
	for result, err := range many.Do(ctx, many.Of(names), many.Options{Jobs: o.Jobs, Judge: judge}, reading) {
		if err != nil {
			return found, err
		}
		if done++; o.Progress != nil {
			o.Progress(done, len(names))
		}
		switch name := result.Item; {
		case nebula.KindOf(result.Err) == nebula.ErrNotFound:
			gone++
		case result.Err != nil:
			read[result.Index] = []Secret{unread(name, result.Err)}
		case result.Value.IsRecord():
			records++
		default:
			read[result.Index] = fromForeign(name, result.Value, o)
		}
	}
	found.Secrets = slices.Concat(read...)
	found.note(records, "%d are records of a store, and are left out")
	found.note(gone, "%d are deleted, and are left out")
	return found, nil
}

// fromForeign makes secrets from one of a backend.
func fromForeign(name string, f provider.Foreign, o BackendOptions) (secrets []Secret) {
	switch {
	case f.Keys != nil:
		secrets = fromKeys(name, f.Keys, o.Fields)
	case o.Fields && isObject(f.Value):
		parts, err := members(f.Value, true)
		if err != nil {
			return []Secret{unread(name, err)}
		}
		secrets = under(name, parts)
	default:
		secrets = []Secret{{Name: name, Value: f.Value}}
	}
	for i := range secrets {
		secrets[i].Note = f.Note
	}
	if o.rounds {
		noteNumbers(secrets, f.Value)
	}
	return secrets
}

// isObject reports whether a value is an object of JSON.
func isObject(value []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(value, &members) == nil && members != nil
}

// fromKeys returns the keys of a map of bytes, each as it is, or the map as one
// object.
func fromKeys(name string, keys map[string][]byte, fields bool) []Secret {
	var secrets []Secret
	object := make(map[string]any, len(keys))
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := keys[key]
		secrets = append(secrets, Secret{Name: name + "/" + key, Value: value})
		object[key] = string(value)
		if !utf8.Valid(value) {
			object[key] = map[string]string{"base64": base64.StdEncoding.EncodeToString(value)}
		}
	}
	if fields {
		return secrets
	}
	text, err := json.Marshal(object)
	if err != nil {
		return []Secret{unread(name, err)}
	}
	return []Secret{{Name: name, Value: text}}
}
