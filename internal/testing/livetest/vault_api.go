package livetest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// API calls the server as root, to set up what a test needs. The path has no /v1/; the method for
// a list is LIST. API returns the body's data, or its auth.
func (s *VaultServer) API(t testing.TB, method, path string, body map[string]any) map[string]any {
	t.Helper()
	out, err := s.call(method, path, body)
	if err != nil {
		t.Fatalf("vault: %v", err)
	}
	return out
}

// Mount makes a KV mount of this version for this test alone, and returns its path. It
// is removed when the test ends.
func (s *VaultServer) Mount(t testing.TB, version int) string {
	t.Helper()
	path := "test-" + unique()
	s.API(t, http.MethodPost, "sys/mounts/"+path, map[string]any{
		"type": "kv", "options": map[string]any{"version": fmt.Sprint(version)},
	})
	s.remove(t, "sys/mounts/"+path)
	return path
}

// Transit makes a mount of the transit engine for this test alone, with keys of these
// names, and returns its path. It is removed when the test ends.
func (s *VaultServer) Transit(t testing.TB, keys ...string) string {
	t.Helper()
	path := "transit-" + unique()
	s.API(t, http.MethodPost, "sys/mounts/"+path, map[string]any{"type": "transit"})
	s.remove(t, "sys/mounts/"+path)
	for _, name := range keys {
		s.API(t, http.MethodPost, path+"/keys/"+name, nil)
	}
	return path
}

// Policy writes a policy for this test alone, and returns its name.
func (s *VaultServer) Policy(t testing.TB, rules string) string {
	t.Helper()
	name := "test-" + unique()
	s.API(t, http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": rules})
	s.remove(t, "sys/policies/acl/"+name)
	return name
}

// Token makes a token. The options are those of auth/token/create, such as
// policies, ttl, explicit_max_ttl, renewable, type.
func (s *VaultServer) Token(t testing.TB, options map[string]any) string {
	t.Helper()
	token, _ := s.API(t, http.MethodPost, "auth/token/create", options)["client_token"].(string)
	if token == "" {
		t.Fatal("vault: auth/token/create returned no token")
	}
	return token
}

// AppRole enables AppRole at a path of its own, and makes a role with these options,
// such as token_policies, token_ttl, secret_id_num_uses.
func (s *VaultServer) AppRole(t testing.TB, options map[string]any) (mount, roleID, secretID string) {
	t.Helper()
	mount = "approle-" + unique()
	s.API(t, http.MethodPost, "sys/auth/"+mount, map[string]any{"type": "approle"})
	s.remove(t, "sys/auth/"+mount)
	role := "auth/" + mount + "/role/test"
	s.API(t, http.MethodPost, role, options)
	roleID, _ = s.API(t, http.MethodGet, role+"/role-id", nil)["role_id"].(string)
	secretID, _ = s.API(t, http.MethodPost, role+"/secret-id", map[string]any{})["secret_id"].(string)
	if roleID == "" || secretID == "" {
		t.Fatal("vault: the role has no role id or secret id")
	}
	return mount, roleID, secretID
}

// remove deletes an object at the end of the test, because the server may be one that
// stays. If the server is the test's own, it ends as a whole.
func (s *VaultServer) remove(t testing.TB, path string) {
	if s.dir != "" {
		return
	}
	t.Cleanup(func() {
		if _, err := s.call(http.MethodDelete, path, nil); err != nil {
			t.Errorf("vault: %v", err)
		}
	})
}

func (s *VaultServer) call(method, path string, body map[string]any) (map[string]any, error) {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequest(method, s.Address+"/v1/"+escape(path), reader)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Vault-Token", s.RootToken)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(data))
	}
	if len(data) == 0 {
		return nil, nil
	}
	var answer struct {
		Data map[string]any `json:"data"`
		Auth map[string]any `json:"auth"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if answer.Auth != nil {
		return answer.Auth, nil
	}
	return answer.Data, nil
}

// escape escapes the segments of a path.
func escape(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return strings.Join(segments, "/")
}

// unique returns a name that no other test has, on a server that many may use.
func unique() string { return strings.ToLower(rand.Text()[:12]) }
