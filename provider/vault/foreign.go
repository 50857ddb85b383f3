package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/vaultapi"
	"github.com/nebula-credential/nebula/provider"
)

// ForeignNames implements [provider.ForeignReader]. It makes a call for each folder,
// and one for the secret at the path itself. A path that ends in a slash means a
// folder alone.
func (d *driver) ForeignNames(ctx context.Context, path string) ([]string, error) {
	folder := strings.TrimSuffix(path, "/")
	if folder != "" && !isPath(folder) {
		return nil, errForeignPath()
	}
	var names []string
	if folder == path && path != "" {
		_, err := d.readForeign(ctx, path)
		if err == nil {
			names = append(names, path)
		} else if !isMissing(err) {
			return nil, err
		}
	}
	below, err := d.foreignBelow(ctx, folder)
	if vaultapi.HasStatus(err, http.StatusForbidden) && len(names) > 0 {
		return names, nil // the token may read this one, and list nothing
	}
	return append(names, below...), err
}

// foreignBelow returns all secrets in a folder and the folders below it.
func (d *driver) foreignBelow(ctx context.Context, folder string) ([]string, error) {
	prefix := ""
	if folder != "" {
		prefix = folder + "/"
	}
	keys, err := d.keysIn(ctx, d.paths.mount+"/metadata/"+prefix, false)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, key := range keys {
		inner, isFolder := strings.CutSuffix(key, "/")
		switch {
		case !isPath(inner) || strings.Contains(inner, "/"):
			return nil, errForeignPath()
		case !isFolder:
			names = append(names, prefix+key)
			continue
		}
		below, err := d.foreignBelow(ctx, prefix+inner)
		if err != nil {
			return nil, err
		}
		names = append(names, below...)
	}
	return names, nil
}

// Foreign implements [provider.ForeignReader]. It makes one call.
func (d *driver) Foreign(ctx context.Context, path string) (provider.Foreign, error) {
	data, err := d.readForeign(ctx, path)
	return provider.Foreign{Value: data}, err
}

// readForeign returns the object that is stored at a path, as the server writes it.
func (d *driver) readForeign(ctx context.Context, path string) (json.RawMessage, error) {
	a, err := d.api.Call(ctx, vaultapi.Request{Method: http.MethodGet, Path: d.paths.mount + "/data/" + path})
	if err != nil {
		return nil, err
	}
	defer clear(a.Body)
	s, err := vaultapi.Decode[struct {
		Data     json.RawMessage `json:"data"`
		Metadata struct {
			Version int64 `json:"version"`
		} `json:"metadata"`
	}](d.api, a)
	if err == nil && (s.Metadata.Version == 0 || !bytes.HasPrefix(s.Data, []byte("{"))) {
		err = d.errMount()
	}
	return s.Data, err
}

// isPath reports whether every segment of a path is one that no server or proxy
// takes for something else.
func isPath(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

func errForeignPath() *nebula.Error {
	return &nebula.Error{Kind: nebula.ErrUsage, Message: "a segment of the path, or of one below it, is empty, . or ..",
		Hint: "give a path below mount_path, as vault kv get -mount takes it"}
}
