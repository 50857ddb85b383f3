//go:build linux

package main

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// sampled returns a text with the same slot id, data key and date everywhere.
func sampled(text string) string {
	for pattern, sample := range map[string]string{
		`\b[0-9a-f]{32}\b`:         sampleID,
		`(?m)^[a-z2-7]{8}  `:       "hifwrktf  ",
		`20\d\d-\d\d-\d\d`:         "2026-11-23",
		`T\d\d:\d\d:\d\d(\.\d+)?Z`: "T20:59:58Z",
		`(\d+h)?\d\d?m\d\d?s`:      "59m52s",
		`STORE +DATA`:              "STORE  DATA",
		`local:/\S*/credentials +`: "local:/home/ada/.local/share/nebula/credentials  ",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, sample)
	}
	return text
}

// The commands of docs/keys.md, in one store, with a keychain.
func TestLiveKeysPage(t *testing.T) {
	keychain := livetest.NewSecretService(t)
	d := newDocument(t, "keys.md")
	d.env["DBUS_SESSION_BUS_ADDRESS"] = keychain.Address
	d.env["NEBULA_NEW_PASSPHRASE"] = "correct horse battery staple"
	_, ada := sshKey(t)
	d.write("", "ada.pub", ada)
	d.write("", "keys/.keep", "")
	for _, part := range []struct {
		section  string
		commands int
	}{{"Making a store", 1}, {"Several ways in", 6}, {"Replacing the data key", 3}, {"Pins: noticing a key that was replaced", 2}} {
		w := &walk{document: d.section(part.section), alike: sampled}
		if part.section == "Several ways in" {
			w.before = func(command string) string { return w.withSlot(command, "3kq7x2ma", "argon2id") }
		} else if part.section == "Replacing the data key" {
			// A rotation needs the key of each slot.
			d.write("", ".config/nebula/config.toml", "[key]\nfiles = [\"~/keys/nebula\"]\nfile = \"~/.config/nebula/key\"\nkeychain = true\n")
			w.before = func(command string) string {
				if strings.Contains(command, "destroy") {
					return strings.Replace(command, "9a413f0c4c1d0f6e4b0f9d6a3c9b1e2d", d.keyring("").Retired[0], 1)
				}
				return command
			}
		} else if strings.HasPrefix(part.section, "Pins") {
			w.before = func(command string) string { return strings.Replace(command, sampleID, d.keyring("").KeyID, 1) }
		}
		w.follow(part.commands)
	}
}

// withSlot replaces a sample id by the id of the slot of a kind.
func (w *walk) withSlot(command, sample, kind string) string {
	if !strings.Contains(command, sample) {
		return command
	}
	for _, slot := range w.keyring("").Slots {
		if slot.Kind == kind {
			return strings.Replace(command, sample, slot.ID, 1)
		}
	}
	w.t.Fatalf("no slot is of kind %s", kind)
	return ""
}

// docs/containers.md says to make the Secret that its pod mounts.
func TestLiveContainersSecret(t *testing.T) {
	server := livetest.Kubernetes(t)
	d := newDocument(t, "containers.md")
	d.write("admin", "nebula.key", "a key")
	namespace := server.Namespace(t)
	made := 0
	for _, c := range d.commands() {
		if c[0] != "kubectl" {
			continue
		}
		words := strings.Fields(c[1])
		from := words[len(words)-1] // --from-file=key=nebula.key
		name, file, _ := strings.Cut(strings.TrimPrefix(from, "--from-file="), "=")
		if strings.Join(words[:4], " ") != "kubectl create secret generic" || name == "" || file != "nebula.key" {
			t.Fatalf("unknown command: %s", c[1])
		}
		server.API(t, http.MethodPost, "api/v1/namespaces/"+namespace+"/secrets", map[string]any{
			"metadata": map[string]any{"name": words[4]}, "stringData": map[string]string{name: "a key"}})
		made++
		var pod struct {
			Spec struct {
				Containers []struct {
					Env []struct{ Name, Value string }
				}
				Volumes []struct{ Secret struct{ SecretName string } }
			}
		}
		d.unmarshal("apiVersion: v1\nkind: Pod", &pod)
		if pod.Spec.Volumes[0].Secret.SecretName != words[4] {
			t.Errorf("the pod mounts %q", pod.Spec.Volumes[0].Secret.SecretName)
		}
		for _, e := range pod.Spec.Containers[0].Env {
			if e.Name == "NEBULA_KEY_FILE" && filepath.Base(e.Value) != name {
				t.Errorf("the key file is %s, and the Secret has %s", e.Value, name)
			}
		}
	}
	if made != 1 {
		t.Errorf("%d Secrets were made", made)
	}
}
