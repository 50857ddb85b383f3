//go:build unix

package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

func putAll(t *testing.T, env []string, values map[string]string) {
	t.Helper()
	for id, value := range values {
		cmd := exec.Command("nebula", "put", id, "--allow-empty")
		cmd.Env, cmd.Stdin = env, strings.NewReader(value)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

// Values are shown on a terminal only if the caller says so.
func TestPlainExportOnATerminal(t *testing.T) {
	env := home(t)
	putAll(t, env, map[string]string{"token": "s3cret"})
	p := sit(t, env, nil, "export", "--plain", "--format", "dotenv")
	p.await("the values would be shown on the terminal")
	p.await("--out F")
	p.leave(2)
	if strings.Contains(p.seen(), "s3cret") {
		t.Errorf("it shows: %q", p.seen())
	}
	p = sit(t, env, nil, "export", "--plain", "--format", "dotenv", "--yes")
	p.await("TOKEN=s3cret\r\n")
	p.leave(0)
}

// The manifest of a Secret, applied to a real API server, has every value unchanged.
func TestLiveExportedSecret(t *testing.T) {
	s := livetest.Kubernetes(t)
	namespace := s.Namespace(t)
	values := map[string]string{"no": "1234", "y": "", "null": "~", "bytes": "\xff\x00\n", "key": "-----BEGIN-----\nAA=\n", "text": "é \"'$x`\\ # : {}"}
	env := home(t)
	putAll(t, env, values)
	cmd := exec.Command("nebula", "export", "--plain", "--format", "kubernetes", "--name", "app")
	cmd.Env, cmd.Stderr = env, os.Stderr
	manifest, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := yaml.Unmarshal(manifest, &body); err != nil {
		t.Fatal(err)
	}
	secrets := "api/v1/namespaces/" + namespace + "/secrets"
	s.API(t, "POST", secrets, body)
	data, _ := s.API(t, "GET", secrets+"/app", nil)["data"].(map[string]any)
	if len(data) != len(values) {
		t.Errorf("the Secret has %d values: %v", len(data), data)
	}
	for id, value := range values {
		text, _ := data[strings.ToUpper(id)].(string)
		if got, err := base64.StdEncoding.DecodeString(text); err != nil || !bytes.Equal(got, []byte(value)) {
			t.Errorf("%s is %q, %v, want %q", id, got, err, value)
		}
	}
}
