//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nebula-credential/nebula"
	"github.com/nebula-credential/nebula/internal/testing/awsserver"
	"github.com/nebula-credential/nebula/provider/local"
)

// journey is a configuration with every backend. Each is a store to copy to.
type journey struct {
	t   *testing.T
	env []string
	ids []nebula.ID
}

// leg is one copy of a journey.
type leg struct {
	from, to string
	more     []string // arguments
}

func newJourney(t *testing.T) *journey {
	home := t.TempDir()
	env := &testscript.Env{Vars: []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), raceExit}}
	for _, on := range []func(*testscript.Env){onVault(t), onKubernetes(t), onAzure(t)} {
		on(env)
	}
	server, err := awsserver.New(awsserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_SECRETS_MANAGER": server.URL(),
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
		"NEBULA_STORAGE_PROVIDER": "local", "NEBULA_STORAGE_LOCAL_BASE_PATH": filepath.Join(home, "start")} {
		env.Setenv(name, value)
	}
	path := filepath.Join(home, ".config", "nebula", "config.toml")
	text := fmt.Sprintf("[stores.back.local]\nbase_path = %q\n[stores.back.key]\nfile = %q\n[stores.anew.local]\nbase_path = %q\n[stores.anew.key]\nfile = %q\n",
		filepath.Join(home, "back"), filepath.Join(filepath.Dir(path), "key"), filepath.Join(home, "anew"), filepath.Join(home, "anew.key"))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &journey{t: t, env: env.Vars}
}

// lookup is os.Getenv for the command's environment. The last entry of a name counts.
func (j *journey) lookup(name string) string {
	for _, entry := range slices.Backward(j.env) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func (j *journey) path(name string) string { return filepath.Join(j.lookup("HOME"), name) }

func (j *journey) command(args ...string) *exec.Cmd {
	cmd := exec.Command("nebula", args...)
	cmd.Env = j.env
	return cmd
}

// output runs a command that must succeed, and returns its output.
func (j *journey) output(cmd *exec.Cmd) []byte {
	j.t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		j.t.Fatalf("%v: %v\n%s", cmd.Args, err, errs.String())
	}
	return out
}

// at returns a command on one of the stores.
func (j *journey) at(store string, args ...string) *exec.Cmd {
	if store == "back" || store == "anew" {
		return j.command(append([]string{"--store", store}, args...)...)
	}
	cmd := j.command(args...)
	cmd.Env = append(slices.Clone(cmd.Env), "NEBULA_STORAGE_PROVIDER="+store)
	return cmd
}

// list returns the ids in a store. If there is no store yet, it returns none.
func (j *journey) list(store string, args ...string) []string {
	j.t.Helper()
	return strings.Fields(string(j.output(j.at(store, append([]string{"list"}, args...)...))))
}

// fill makes n credentials of every shape in the first store.
func (j *journey) fill(n int) {
	if err := nebula.CreateKeyFile(j.path(".config/nebula/key")); err != nil {
		j.t.Fatal(err)
	}
	c := local.DefaultConfig()
	c.BasePath = j.path("start")
	p, err := local.New(c)
	if err != nil {
		j.t.Fatal(err)
	}
	key := &nebula.KeyFile{Path: j.path(".config/nebula/key")}
	s, err := nebula.Open(j.t.Context(), p, nebula.Options{Keys: []nebula.Key{key}})
	if err != nil {
		j.t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Init(j.t.Context(), key); err != nil {
		j.t.Fatal(err)
	}
	scopes := []nebula.Caller{{}, {Owner: "ada", Scope: "team"}}
	for i := range n {
		id := nebula.ID(fmt.Sprintf("Cred_%04d", i))
		value := bytes.Repeat([]byte{byte(i), 0, 0xff, '"', '\n'}, 1+rand.N(200))
		o := nebula.PutOptions{Tags: map[string]string{"n": strconv.Itoa(i), "fünf": strings.Repeat("Ω", i%5), "even": strconv.FormatBool(i%2 == 0)}}
		if i%3 == 0 {
			o.RotationPolicy = &nebula.RotationPolicy{IntervalDays: uint32(i%90 + 1)}
		}
		ctx := nebula.WithCaller(j.t.Context(), scopes[i%2])
		if _, err := s.Put(ctx, id, nebula.NewSecret(value), o); err != nil {
			j.t.Fatal(err)
		}
		j.ids = append(j.ids, id)
	}
}

// travel runs a leg. It kills the command when the destination has some of the
// credentials, and again when it has more, and then lets it finish.
func (j *journey) travel(l leg) {
	j.t.Helper()
	args := append([]string{"copy", "--from", l.from, "--to", l.to, "--all", "-o", "json"}, l.more...)
	n, began := len(j.ids), time.Now()
	for _, enough := range []int{1 + rand.N(n/3), n/3 + 1 + rand.N(n/3)} {
		cmd := j.command(args...)
		if err := cmd.Start(); err != nil {
			j.t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		for waiting := true; waiting; {
			select {
			case <-ended:
				waiting = false
			default:
				waiting = len(j.list(l.to)) < enough
			}
		}
		_ = cmd.Process.Kill()
		<-ended
		j.t.Logf("%s to %s: killed at %d of %d", l.from, l.to, len(j.list(l.to)), n)
	}
	var report copyJSON
	if err := json.Unmarshal(j.output(j.command(args...)), &report); err != nil {
		j.t.Fatal(err)
	}
	moved := slices.Contains(l.more, "--move")
	if got := len(report.Copied) + len(report.Same); len(report.Differs)+len(report.Failed)+len(report.NotBegun) > 0 || !moved && got != n {
		j.t.Fatalf("%s to %s: %d copied, %d there, %+v", l.from, l.to, len(report.Copied), len(report.Same), report.Failed)
	}
	j.check(l, moved)
	j.t.Logf("%s to %s: %.1f s", l.from, l.to, time.Since(began).Seconds())
}

// check makes sure that all are at the destination, and that each was written once.
func (j *journey) check(l leg, moved bool) {
	j.t.Helper()
	var ids []string
	for _, id := range j.ids {
		ids = append(ids, string(id))
	}
	if got := j.list(l.to, "--verify"); !slices.Equal(got, ids) {
		j.t.Fatalf("%s has %d credentials that can be read, of %d", l.to, len(got), len(ids))
	}
	if got, want := len(j.list(l.to, "--tag", "even=true")), (len(ids)+1)/2; got != want {
		j.t.Errorf("%s finds %d by a tag, of %d", l.to, got, want)
	}
	if l.to != "kubernetes" && l.to != "back" && l.to != "anew" { // these keep no versions
		for _, id := range ids {
			var versions []json.RawMessage
			if err := json.Unmarshal(j.output(j.at(l.to, "history", id, "-o", "json")), &versions); err != nil || len(versions) != 1 {
				j.t.Fatalf("%s was written to %s %d times: %v", id, l.to, len(versions), err)
			}
		}
	}
	if left := len(j.list(l.from)); moved && left != 0 || !moved && left != len(ids) {
		j.t.Fatalf("%d are left at %s", left, l.from)
	}
}

// files returns the files of a directory by name.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".enc.json") {
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all[e.Name()] = string(data)
		}
	}
	return all
}

// contents returns the values and metadata of a store.
func (j *journey) contents(store string) []byte {
	var all []byte
	for _, id := range j.ids {
		out := j.output(j.at(store, "get", string(id), "-o", "json"))
		all = append(all, regexp.MustCompile(`"version":"[^"]*",`).ReplaceAll(out, nil)...)
	}
	return all
}

// Credentials go through every backend and back, with a command that is killed twice on
// each leg. They arrive as they were, to the byte.
func TestLiveCopyThroughEveryBackend(t *testing.T) {
	t.Parallel() // with the tests that wait
	n := 40
	if os.Getenv("NEBULA_TEST_LONG") != "" {
		n = 1000
	}
	j := newJourney(t)
	j.fill(n)
	want := files(t, j.path("start"))
	if len(want) != n+1 { // with the keyring
		t.Fatalf("%d files", len(want))
	}
	for _, l := range []leg{{"local", "vault", nil}, {"vault", "kubernetes", []string{"--move", "--yes"}}, {"kubernetes", "aws", nil},
		{"aws", "azure", []string{"--move", "--yes"}}, {"azure", "back", nil}} {
		j.travel(l)
	}
	if got := files(t, j.path("back")); !maps.Equal(got, want) {
		t.Errorf("%d files came back, and some have changed", len(got))
	}
	// Then into a store that seals them anew.
	j.output(j.at("anew", "init"))
	before := j.contents("back")
	j.travel(leg{"azure", "anew", []string{"--reseal"}})
	if got := j.contents("anew"); !bytes.Equal(got, before) {
		t.Error("values or metadata have changed")
	}
	for name, record := range files(t, j.path("anew")) {
		if record == want[name] {
			t.Errorf("%s was not sealed anew", name)
		}
	}
}

// forward returns an address that forwards to another one.
func forward(t *testing.T, to string) string {
	t.Helper()
	return forwardUnless(t, to, func() bool { return false })
}

// forwardUnless is forward, but ends connections at once while away returns true.
func forwardUnless(t *testing.T, to string, away func() bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				if away() {
					return
				}
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					_, _ = io.Copy(out, in)
					_ = out.Close()
				}()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	return l.Addr().String()
}

// One server behind two ports is one store. On each backend that has a port, the command
// finds that out from the server. Vault's community edition ignores the namespace.
func TestLiveOneStoreBehindTwoAddresses(t *testing.T) {
	j := newJourney(t)
	vault, err := url.Parse(j.lookup("VAULT_ADDR"))
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := os.ReadFile(j.lookup("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	server := regexp.MustCompile(`https?://([^/\s"]+)`).FindSubmatch(kubeconfig)
	if server == nil {
		t.Fatal("the kubeconfig names no server")
	}
	other := j.path("kubeconfig")
	if err := os.WriteFile(other, bytes.ReplaceAll(kubeconfig, server[1], []byte(forward(t, string(server[1])))), 0o600); err != nil {
		t.Fatal(err)
	}
	key, authority := j.path(".config/nebula/key"), ""
	if file := j.lookup("NEBULA_STORAGE_VAULT_CA_CERT"); file != "" {
		authority = fmt.Sprintf("ca_cert = %q\n", file)
	}
	text := fmt.Sprintf("[stores.vault2]\nprovider = \"vault\"\n[stores.vault2.vault]\naddress = %q\nmount_path = %q\n%snamespace = \"team\"\n[stores.vault2.key]\nfile = %q\n"+
		"[stores.kubernetes2]\nprovider = \"kubernetes\"\n[stores.kubernetes2.kubernetes]\nkubeconfig_path = %q\nnamespace = %q\n[stores.kubernetes2.key]\nfile = %[4]q\n",
		vault.Scheme+"://"+forward(t, vault.Host), j.lookup("NEBULA_STORAGE_VAULT_MOUNT_PATH"), authority, key,
		other, j.lookup("KUBERNETES_NAMESPACE"))
	if err := os.WriteFile(j.path(".config/nebula/config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	j.fill(3)
	for _, name := range []string{"vault", "kubernetes"} {
		j.output(j.command("copy", "--from", "local", "--to", name, "--all"))
		cmd := j.command("copy", "--from", name, "--to", name+"2", "--all", "--move", "--yes")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !bytes.Contains(out, []byte("source and destination are one store, though their addresses differ")) {
			t.Errorf("%s: %v, %s", name, err, out)
		}
		if got := j.list(name, "--verify"); len(got) != 3 {
			t.Errorf("%s has %d credentials", name, len(got))
		}
	}
}
