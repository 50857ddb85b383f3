//go:build unix

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

const sampleID = "3f0c4c1d0f6e4b0f9d6a3c9b1e2d4f50"

// unmarshal reads a YAML block of a page.
func (d *document) unmarshal(begins string, v any) {
	d.t.Helper()
	if err := yaml.Unmarshal([]byte(d.block("yaml", begins)), v); err != nil {
		d.t.Fatal(err)
	}
}

// variables returns, for each place, the environment that the page gives and the mode of
// the key file there.
func (d *document) variables() map[string]mounted {
	d.t.Helper()
	var pod struct {
		Spec struct {
			Containers []struct {
				Env []struct{ Name, Value string }
			}
			Volumes []struct {
				Secret struct{ DefaultMode os.FileMode }
			}
		}
	}
	d.unmarshal("apiVersion: v1\nkind: Pod", &pod)
	inPod := mounted{pod.Spec.Volumes[0].Secret.DefaultMode, map[string]string{}}
	for _, e := range pod.Spec.Containers[0].Env {
		inPod.env[e.Name] = e.Value
	}
	var compose struct {
		Services map[string]struct {
			Environment map[string]string
			Secrets     []struct{ Mode os.FileMode }
		}
	}
	d.unmarshal("services:", &compose)
	app := compose.Services["app"]
	unit := mounted{0o440, map[string]string{}}
	for _, m := range regexp.MustCompile(`(?m)^Environment=(\w+)=(.*)$`).FindAllStringSubmatch(d.block("ini", "[Service]"), -1) {
		unit.env[m[1]] = m[2]
	}
	return map[string]mounted{"pod": inPod, "swarm": {app.Secrets[0].Mode, app.Environment}, "systemd": unit}
}

type mounted struct {
	mode os.FileMode
	env  map[string]string
}

// With what docs/containers.md says, and the key file mounted as it says, the store
// opens. If only the group may read the file, it needs the variable that the page has.
func TestContainersPage(t *testing.T) {
	d := newDocument(t, "containers.md")
	d.env["NEBULA_STORAGE_LOCAL_BASE_PATH"] = filepath.Join(d.root, "store")
	d.write("ada", "value", "s3cret")
	if text, err := d.run("ada", "nebula put db_password < value"); err != nil {
		t.Fatal(text)
	}
	for _, c := range d.commands() {
		if c[0] == "ada" {
			if text, err := d.run("ada", c[1]); err != nil {
				t.Fatalf("%s: %s", c[1], text)
			}
		}
	}
	id := d.keyring("ada").KeyID
	line, err := os.ReadFile(filepath.Join(d.home("ada"), "pipeline.key"))
	if err != nil {
		t.Fatal(err)
	}
	d.write("ci", "empty", "")
	d.env["SECRET_OF_THE_PIPELINE"] = string(line)
	for _, c := range d.commands() {
		if c[0] != "ci" {
			continue
		}
		if text, err := d.run("ci", strings.ReplaceAll(c[1], sampleID, id)); err != nil || text != "s3cret" {
			t.Errorf("%s: %v, %q", c[1], err, text)
		}
	}
	delete(d.env, "SECRET_OF_THE_PIPELINE")
	for place, m := range d.variables() {
		d.mount(place, m, line, id)
	}
}

// mount simulates a container that has only the key file.
func (d *document) mount(place string, m mounted, line []byte, id string) {
	d.t.Helper()
	path := filepath.Join(d.home(place), "mounted")
	d.write(place, "mounted", string(line))
	if err := os.Chmod(path, m.mode); err != nil {
		d.t.Fatal(err)
	}
	file := m.env["NEBULA_KEY_FILE"]
	if file == "" || m.env["NEBULA_KEY_ID"] != sampleID {
		d.t.Errorf("%s: the page names %q and %q", place, file, m.env["NEBULA_KEY_ID"])
	}
	group := ""
	if m.env["NEBULA_KEY_ALLOW_GROUP_READ"] != "" {
		group = "NEBULA_KEY_ALLOW_GROUP_READ=" + m.env["NEBULA_KEY_ALLOW_GROUP_READ"] + " "
	}
	get := "NEBULA_KEY_FILE=" + path + " NEBULA_KEY_ID=" + id + " nebula get db_password"
	if text, err := d.run(place, group+get); err != nil || text != "s3cret" {
		d.t.Errorf("%s: %v, %q", place, err, text)
	}
	if text, err := d.run(place, get); group != "" && (err == nil || !strings.Contains(text, "NEBULA_KEY_ALLOW_GROUP_READ")) {
		d.t.Errorf("%s: without the variable, the group may read the key file: %v, %q", place, err, text)
	}
}

// The real API server accepts the manifest, and knows every field.
func TestLiveContainersPage(t *testing.T) {
	server := livetest.Kubernetes(t)
	d := newDocument(t, "containers.md")
	var pod map[string]any
	d.unmarshal("apiVersion: v1\nkind: Pod", &pod)
	namespace := server.Namespace(t)
	// No controller runs that would make the account "default".
	pod["spec"].(map[string]any)["serviceAccountName"] = server.ServiceAccount(t, namespace)
	made := server.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/pods?dryRun=All&fieldValidation=Strict", pod)
	volume := made["spec"].(map[string]any)["volumes"].([]any)[0].(map[string]any)
	if mode := volume["secret"].(map[string]any)["defaultMode"]; mode != float64(0o440) {
		t.Errorf("the mode is %v", mode)
	}
}
