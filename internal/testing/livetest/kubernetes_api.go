package livetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// API calls the server as its administrator, to set up what a test needs. The path has
// no first slash, such as api/v1/namespaces/x/secrets?limit=1. A PATCH is a JSON merge
// patch. API returns the answer's body.
func (s *KubernetesServer) API(t testing.TB, method, path string, body map[string]any) map[string]any {
	t.Helper()
	out, err := s.call(method, path, body)
	if err != nil {
		t.Fatalf("kubernetes: %v", err)
	}
	return out
}

// Do is API with this token, and returns every answer of the server. An error means
// that there was no answer.
func (s *KubernetesServer) Do(token, method, path string, body map[string]any) (status int, answer []byte, err error) {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequest(method, s.Address+"/"+path, reader)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

func (s *KubernetesServer) call(method, path string, body map[string]any) (map[string]any, error) {
	status, data, err := s.Do(s.AdminToken, method, path, body)
	if err != nil {
		return nil, err
	}
	if status >= 300 {
		return nil, fmt.Errorf("%s %s: %d: %s", method, path, status, bytes.TrimSpace(data))
	}
	var answer map[string]any
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return answer, nil
}

// Namespace makes a namespace for this test alone, and returns its name. It is deleted
// when the test ends.
func (s *KubernetesServer) Namespace(t testing.TB) string {
	t.Helper()
	name := "test-" + unique()
	s.API(t, http.MethodPost, "api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": name}})
	s.remove(t, "api/v1/namespaces/"+name)
	return name
}

// remove deletes an object at the end of the test, because the server may be one that
// stays. If the server is the test's own, it ends as a whole.
func (s *KubernetesServer) remove(t testing.TB, path string) {
	if s.dir != "" {
		return
	}
	t.Cleanup(func() {
		status, answer, err := s.Do(s.AdminToken, http.MethodDelete, path, nil)
		// If the test has removed it itself, it is gone already, or soon will be.
		if err == nil && status >= 300 && status != http.StatusNotFound && status != http.StatusConflict {
			err = fmt.Errorf("delete %s: %d: %s", path, status, answer)
		}
		if err != nil {
			t.Errorf("kubernetes: %v", err)
		}
	})
}

// KubernetesUser returns the server's name for a service account, as in its errors.
func KubernetesUser(namespace, account string) string {
	return "system:serviceaccount:" + namespace + ":" + account
}

// ServiceAccount makes a service account without any rights, and returns its name.
func (s *KubernetesServer) ServiceAccount(t testing.TB, namespace string) string {
	t.Helper()
	name := "account-" + unique()
	s.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/serviceaccounts",
		map[string]any{"metadata": map[string]any{"name": name}})
	return name
}

// Token makes a token for a service account with the TokenRequest API. The server
// accepts no lifetime below ten minutes.
func (s *KubernetesServer) Token(t testing.TB, namespace, account string, lifetime time.Duration) string {
	t.Helper()
	path := "api/v1/namespaces/" + namespace + "/serviceaccounts/" + account + "/token"
	answer := s.API(t, http.MethodPost, path, map[string]any{
		"spec": map[string]any{"expirationSeconds": int64(lifetime / time.Second)},
	})
	status, _ := answer["status"].(map[string]any)
	token, _ := status["token"].(string)
	if token == "" {
		t.Fatal("kubernetes: the token request returned no token")
	}
	return token
}

// KubernetesRule is a rule of a Role for resources of the core group, or of another
// group.
type KubernetesRule struct {
	Verbs     []string
	Resources []string
	Names     []string // of objects; none: all
	Group     string
}

// Allow gives a user rights in a namespace, by a Role and a RoleBinding with the name
// that it returns, and waits until they take effect. A user is any name; KubernetesUser
// returns that of a service account.
func (s *KubernetesServer) Allow(t testing.TB, namespace, user string, rules ...KubernetesRule) string {
	t.Helper()
	var list []any
	for _, r := range rules {
		list = append(list, map[string]any{
			"verbs": r.Verbs, "resources": r.Resources, "resourceNames": r.Names, "apiGroups": []string{r.Group},
		})
	}
	const group = "rbac.authorization.k8s.io"
	path, name := "apis/"+group+"/v1/namespaces/"+namespace, "role-"+unique()
	metadata := map[string]any{"name": name}
	s.API(t, http.MethodPost, path+"/roles", map[string]any{"metadata": metadata, "rules": list})
	s.API(t, http.MethodPost, path+"/rolebindings", map[string]any{
		"metadata": metadata,
		"roleRef":  map[string]any{"apiGroup": group, "kind": "Role", "name": name},
		"subjects": []any{map[string]any{"apiGroup": group, "kind": "User", "name": user}},
	})
	for _, r := range rules {
		for _, verb := range r.Verbs {
			for _, resource := range r.Resources {
				s.waitAllowed(t, user, map[string]any{
					"namespace": namespace, "verb": verb, "group": r.Group, "resource": resource, "name": first(r.Names),
				})
			}
		}
	}
	return name
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// waitAllowed asks until it is allowed, because the server learns about a role by a
// watch.
func (s *KubernetesServer) waitAllowed(t testing.TB, user string, what map[string]any) {
	t.Helper()
	for range 200 {
		answer := s.API(t, http.MethodPost, "apis/authorization.k8s.io/v1/subjectaccessreviews", map[string]any{
			"spec": map[string]any{"user": user, "resourceAttributes": what},
		})
		status, _ := answer["status"].(map[string]any)
		if status["allowed"] == true {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("kubernetes: %s is still not allowed %v", user, what)
}

// Kubeconfig writes a kubeconfig file for the test. user is the value of "user" in it,
// such as {"token": …}, {"client-certificate": FILE, "client-key": FILE}, {"exec": …},
// or the administrator's token with {"as": NAME} for any user. The namespace is that of
// its context; it may be empty.
func (s *KubernetesServer) Kubeconfig(t testing.TB, user map[string]any, namespace string) string {
	t.Helper()
	const name = "test"
	data, err := json.Marshal(map[string]any{ // JSON is YAML, too
		"apiVersion": "v1", "kind": "Config", "current-context": name,
		"clusters": []any{map[string]any{"name": name, "cluster": map[string]any{
			"server": s.Address, "certificate-authority-data": s.CA}}},
		"users":    []any{map[string]any{"name": name, "user": user}},
		"contexts": []any{map[string]any{"name": name, "context": map[string]any{"cluster": name, "user": name, "namespace": namespace}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
