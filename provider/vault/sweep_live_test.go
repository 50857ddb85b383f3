package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// A rotation finds the store's credentials by their place: those that lost their
// custom metadata, and those that Vault leaves out of plain lists because it is to
// delete them later. After that nothing is lost if the old key is destroyed. A secret
// of somebody else does not stop the rotation.
func TestLiveRotationByPlace(t *testing.T) {
	server := livetest.Vault(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := nebula.CreateKeyFile(keyFile); err != nil {
		t.Fatal(err)
	}
	l := &liveStore{config: liveConfig(server, server.Mount(t, 2)), key: &nebula.KeyFile{Path: keyFile}}
	path := func(tree string, id nebula.ID) string {
		return fmt.Sprintf("%s/%s/%s/%s", l.config.MountPath, tree, l.config.PathPrefix, id)
	}
	ctx := t.Context()
	s, _ := l.open(t)
	if _, err := s.Init(ctx, l.key); err != nil {
		t.Fatal(err)
	}
	server.API(t, http.MethodPost, path("metadata", "scheduled"), map[string]any{"delete_version_after": "1h"})
	ids := []nebula.ID{"plain", "stripped", "scheduled"}
	for _, id := range ids {
		if _, err := s.Put(ctx, id, nebula.NewSecret([]byte(id)), nebula.PutOptions{Tags: map[string]string{"a": "b"}}); err != nil {
			t.Fatal(err)
		}
	}
	server.API(t, http.MethodPost, path("metadata", "stripped"), map[string]any{"custom_metadata": map[string]string{}})
	server.API(t, http.MethodPost, path("data", "theirs"), map[string]any{"data": map[string]string{"password": "p"}})
	old, err := s.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}

	waits, stop := context.WithCancel(ctx)
	_, err = l.rotate(waits, t, nebula.RotateOptions{Waiting: func(nebula.RotateWait) { stop() }})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	result, err := l.rotate(ctx, t, nebula.RotateOptions{ResumeOnly: true}, l.pass)
	if err != nil || len(result.Left) > 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	destroyer, _ := l.open(t)
	if err := destroyer.DestroyKey(ctx, old.ID, nebula.DestroyOptions{}); err != nil {
		t.Fatal(err)
	}
	reader, _ := l.open(t)
	for _, id := range ids {
		if c, err := reader.Get(ctx, id); err != nil || string(c.Secret.Reveal()) != string(id) {
			t.Errorf("%s is lost: %v", id, err)
		}
	}
	custom, _ := server.API(t, http.MethodGet, path("metadata", "stripped"), nil)["custom_metadata"].(map[string]any)
	if custom["a"] != "b" || custom["nebula="] == nil {
		t.Errorf("the rotation did not mend the custom metadata: %v", custom)
	}
}
