package livetest

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestLiveKubernetesIsShared(t *testing.T) {
	server := Kubernetes(t)
	if again := Kubernetes(t); again != server {
		t.Errorf("there are two servers: %s and %s", server.Address, again.Address)
	}
	namespace := server.Namespace(t)
	secrets := "api/v1/namespaces/" + namespace + "/secrets"
	server.API(t, http.MethodPost, secrets, map[string]any{
		"metadata": map[string]any{"name": "x"}, "stringData": map[string]any{"k": "v"},
	})
	server.API(t, http.MethodPatch, secrets+"/x", map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"l": "1"}},
	})
	items, _ := server.API(t, http.MethodGet, secrets+"?labelSelector=l%3D1", nil)["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("listed %v", items)
	}
	if data := items[0].(map[string]any)["data"].(map[string]any); data["k"] != "dg==" {
		t.Errorf("read %v", data)
	}
}

// The rights of a service account are those of its role, in its namespace.
func TestLiveKubernetesServiceAccount(t *testing.T) {
	server := Kubernetes(t)
	mine, other := server.Namespace(t), server.Namespace(t)
	account := server.ServiceAccount(t, mine)
	token := server.Token(t, mine, account, 10*time.Minute)
	secrets := func(namespace string) string { return "api/v1/namespaces/" + namespace + "/secrets" }
	if status, answer, err := server.Do(token, http.MethodGet, secrets(mine), nil); err != nil || status != http.StatusForbidden {
		t.Errorf("without a role: %d %s, %v", status, answer, err)
	}
	server.Allow(t, mine, KubernetesUser(mine, account), KubernetesRule{Verbs: []string{"list"}, Resources: []string{"secrets"}})
	for path, want := range map[string]int{
		secrets(mine):        http.StatusOK,
		secrets(mine) + "/x": http.StatusForbidden, // another verb
		secrets(other):       http.StatusForbidden,
	} {
		if status, answer, err := server.Do(token, http.MethodGet, path, nil); err != nil || status != want {
			t.Errorf("%s: %d %s, %v", path, status, answer, err)
		}
	}
	if status, _, err := server.Do("wrong", http.MethodGet, secrets(mine), nil); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d, %v", status, err)
	}
}

func TestLiveKubernetesTokenLivesAsAsked(t *testing.T) {
	server := Kubernetes(t)
	namespace := server.Namespace(t)
	account := server.ServiceAccount(t, namespace)
	answer := server.API(t, http.MethodPost, "apis/authentication.k8s.io/v1/tokenreviews", map[string]any{
		"spec": map[string]any{"token": server.Token(t, namespace, account, 20*time.Minute)},
	})
	status := answer["status"].(map[string]any)
	user, _ := status["user"].(map[string]any)
	if status["authenticated"] != true || user["username"] != KubernetesUser(namespace, account) {
		t.Errorf("the review says %v", status)
	}
}

// No controller empties it, so it stays.
func TestLiveKubernetesDeletedNamespaceTerminates(t *testing.T) {
	server := NewKubernetes(t)
	namespace := server.Namespace(t)
	server.API(t, http.MethodDelete, "api/v1/namespaces/"+namespace, nil)
	status := server.API(t, http.MethodGet, "api/v1/namespaces/"+namespace, nil)["status"].(map[string]any)
	if status["phase"] != "Terminating" {
		t.Errorf("its status is %v", status)
	}
}

func TestLiveKubernetesAdminCertificate(t *testing.T) {
	server := NewKubernetes(t)
	pair, err := tls.LoadX509KeyPair(server.AdminCertificate, server.AdminKey)
	if err != nil {
		t.Fatal(err)
	}
	transport := server.client.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	response, err := (&http.Client{Transport: transport}).Get(server.Address + "/api/v1/namespaces/default/secrets")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the server answers %s", response.Status)
	}
}

func TestLiveKubernetesKubeconfig(t *testing.T) {
	server := Kubernetes(t)
	path := server.Kubeconfig(t, map[string]any{"token": server.AdminToken}, "ns")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Contexts []struct {
			Context struct{ Namespace string } `json:"context"`
		} `json:"contexts"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	if c := config.Clusters[0].Cluster; c.Server != server.Address || string(c.CA) != string(server.CA) {
		t.Errorf("the cluster is %+v", c)
	}
	if n := config.Contexts[0].Context.Namespace; n != "ns" {
		t.Errorf("the namespace is %q", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the file: %v, %v", info.Mode(), err)
	}
}

// The server cuts its history again and again, so it forgets where a listing was. The
// watch cache would remember it for about ten seconds longer.
func TestLiveKubernetesTakesFlags(t *testing.T) {
	server := NewKubernetes(t, "--etcd-compaction-interval=1s", "--watch-cache=false")
	path := "api/v1/namespaces/" + server.Namespace(t) + "/secrets"
	create := func() {
		server.API(t, http.MethodPost, path, map[string]any{"metadata": map[string]any{"generateName": "x-"}})
	}
	create()
	create()
	metadata := server.API(t, http.MethodGet, path+"?limit=1", nil)["metadata"].(map[string]any)
	next := path + "?limit=1&continue=" + metadata["continue"].(string)
	for range 300 {
		create() // without a change there is no new history
		status, answer, err := server.Do(server.AdminToken, http.MethodGet, next, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status == http.StatusGone && strings.Contains(string(answer), `"reason":"Expired"`) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Error("the server still knows where the listing was")
}

// Data, trust and identities are the same after a restart.
func TestLiveKubernetesStopsAndStarts(t *testing.T) {
	server := NewKubernetes(t)
	namespace := server.Namespace(t)
	account := server.ServiceAccount(t, namespace)
	server.Allow(t, namespace, KubernetesUser(namespace, account), KubernetesRule{Verbs: []string{"get"}, Resources: []string{"secrets"}})
	token := server.Token(t, namespace, account, 10*time.Minute)
	path := "api/v1/namespaces/" + namespace + "/secrets"
	server.API(t, http.MethodPost, path, map[string]any{
		"metadata": map[string]any{"name": "x"}, "stringData": map[string]any{"k": "v"},
	})
	before := *server
	server.Stop(t)
	if _, _, err := server.Do(token, http.MethodGet, path+"/x", nil); err == nil {
		t.Error("the server answers after Stop")
	}
	server.Start(t)
	if server.Address != before.Address || server.AdminToken != before.AdminToken || string(server.CA) != string(before.CA) {
		t.Errorf("the server was %+v and is %+v", before, *server)
	}
	status, answer, err := server.Do(token, http.MethodGet, path+"/x", nil)
	if err != nil || status != http.StatusOK || !strings.Contains(string(answer), `"k":"dg=="`) {
		t.Errorf("read %d %s, %v", status, answer, err)
	}
}

func TestLiveExistingKubernetes(t *testing.T) {
	server := NewKubernetes(t)
	out, err := rerun(t, "TestLiveKubernetesServiceAccount",
		"NEBULA_TEST_KUBERNETES_ADDR="+server.Address, "NEBULA_TEST_KUBERNETES_TOKEN="+server.AdminToken,
		"NEBULA_TEST_KUBERNETES_CACERT="+server.CAFile,
		"NEBULA_TESTSERVER_CACHE="+t.TempDir(), "NEBULA_REQUIRE_LIVE=1").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// The objects that the test made there are gone, or soon will be.
	found := 0
	for _, item := range server.API(t, http.MethodGet, "api/v1/namespaces", nil)["items"].([]any) {
		metadata := item.(map[string]any)["metadata"].(map[string]any)
		if name := metadata["name"].(string); strings.HasPrefix(name, "test-") {
			found++
			if metadata["deletionTimestamp"] == nil {
				t.Errorf("%s is left", name)
			}
		}
	}
	if found == 0 {
		t.Error("the test was not run on this server")
	}
}

func TestLiveKubernetesEndsWithTheTestBinary(t *testing.T) {
	endsWithTheTestBinary(t, func() string { return Kubernetes(t).Address })
}
