//go:build unix

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nebula-credential/nebula/internal/testing/livetest"
)

// team has what a team keeps in files, programs and servers, and a store of its own to
// take that over into.
type team struct {
	journey
	files string // the folder with the team's files

	aws           *secretsmanager.Client
	vault         *livetest.VaultServer
	kubernetes    *livetest.KubernetesServer
	vaultMount    string
	kubeNamespace string
}

func newTeam(t *testing.T) *team {
	programs := livetest.Programs(t)
	m := &team{files: t.TempDir(), vault: livetest.Vault(t), kubernetes: livetest.Kubernetes(t)}
	moto := livetest.AWS(t)
	region := moto.Region(t)
	m.vaultMount, m.kubeNamespace = m.vault.Mount(t, 2), m.kubernetes.Namespace(t)
	// The path of a socket has at most 107 bytes.
	gnupg, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	env := &testscript.Env{Vars: []string{"HOME=" + t.TempDir(), "PATH=" + programs + ":" + os.Getenv("PATH"), raceExit}}
	for name, value := range map[string]string{
		"AWS_REGION": region, "AWS_ENDPOINT_URL_SECRETS_MANAGER": moto.Endpoint, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": moto.AccessKeyID, "AWS_SECRET_ACCESS_KEY": moto.SecretAccessKey,
		"VAULT_ADDR": m.vault.Address, "VAULT_TOKEN": m.vault.RootToken, "NEBULA_STORAGE_VAULT_MOUNT_PATH": m.vaultMount,
		"KUBERNETES_NAMESPACE": m.kubeNamespace, "KUBECONFIG": m.kubernetes.Kubeconfig(t, map[string]any{"token": m.kubernetes.AdminToken}, ""),
		"GNUPGHOME": gnupg, "PASSWORD_STORE_DIR": filepath.Join(m.files, "passwords"),
		"SOPS_AGE_KEY_FILE": filepath.Join(m.files, "age.key"), "ANSIBLE_VAULT_PASSWORD_FILE": filepath.Join(m.files, "ansible.password"),
	} {
		env.Setenv(name, value)
	}
	if m.vault.CAFile != "" {
		env.Setenv("NEBULA_STORAGE_VAULT_CA_CERT", m.vault.CAFile)
	}
	m.journey = journey{t: t, env: env.Vars}
	t.Cleanup(func() {
		end := exec.Command("gpgconf", "--kill", "all")
		end.Env = m.env
		_ = end.Run()
		_ = os.RemoveAll(gnupg)
	})
	m.aws = secretsmanager.New(secretsmanager.Options{Region: region, BaseEndpoint: &moto.Endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(moto.AccessKeyID, moto.SecretAccessKey, "")})
	return m
}

// do runs a program of the team.
func (m *team) do(stdin string, args ...string) {
	m.t.Helper()
	path := args[0]
	for dir := range strings.SplitSeq(m.lookup("PATH"), ":") {
		if candidate := filepath.Join(dir, args[0]); isFile(candidate) {
			path = candidate
			break
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin = m.env, m.files, strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (m *team) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.files, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// fill makes what the team has.
func (m *team) fill() {
	m.do("", "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key", "team@example.com", "default", "default", "never")
	m.do("", "pass", "init", "team@example.com")
	m.do("hunter2\nuser: ada\n", "pass", "insert", "-m", "web/github.com")
	m.do("öÄ \"quoted\"\n", "pass", "insert", "-m", "mail")

	key, err := age.GenerateX25519Identity()
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("age.key", key.String()+"\n")
	sealed := func(name, text string) {
		m.write(name, text)
		m.do("", "sops", "encrypt", "--age", key.Recipient().String(), "--in-place", name)
	}
	sealed("prod.yaml", "db:\n  user: app\n  password: \"s#0;p's\"\n  port: 5432\nkeys:\n  - first\n  - second\n")
	sealed("legacy.env", "QUOTED=\"in quotes\"\nPLAIN=a#b;c\n")
	sealed("old.ini", "[db]\npassword = uncut\n")
	sealed("blob.bin", "\x00\xff bytes\n")
	sealed("null.json", `{"a":null,"b":"b-value"}`)

	m.write("ansible.password", "a password of ansible\n")
	for name, text := range map[string]string{
		"vault.yml": "vault_db_password: \"an: sible\"\nvault_pin: 0123\nvault_users:\n  ada: ada-value\n",
		"id_rsa":    "-----BEGIN KEY-----\nabc\n-----END KEY-----\n",
	} {
		m.write(name, text)
		m.do("", "ansible-vault", "encrypt", name)
	}
	m.write(".env", "COMPOSE_TOKEN=\"compose value\"\nCOMPOSE_URL=https://example.com\n")

	m.kubernetes.API(m.t, http.MethodPost, "api/v1/namespaces/"+m.kubeNamespace+"/secrets", map[string]any{
		"metadata": map[string]any{"name": "app-tls"},
		"data":     map[string]any{"tls.key": base64.StdEncoding.EncodeToString([]byte("\x00\xff key")), "ca": base64.StdEncoding.EncodeToString([]byte("a ca\n"))}})
	m.vault.API(m.t, http.MethodPost, m.vaultMount+"/data/app/db", map[string]any{"data": map[string]any{"user": "app", "pin": json.Number("12345678901234567891")}})
	m.vault.API(m.t, http.MethodPost, m.vaultMount+"/data/app", map[string]any{"data": map[string]any{"token": "t"}})
	m.vault.API(m.t, http.MethodPost, m.vaultMount+"/data/app/deep/er", map[string]any{"data": map[string]any{"x": "y"}})
	m.vault.API(m.t, http.MethodPost, m.vaultMount+"/data/app/gone", map[string]any{"data": map[string]any{"x": "y"}})
	m.vault.API(m.t, http.MethodDelete, m.vaultMount+"/data/app/gone", nil)
	m.vault.API(m.t, http.MethodPost, m.vaultMount+"/data/other", map[string]any{"data": map[string]any{"x": "y"}})

	for i := range 50 {
		in := &secretsmanager.CreateSecretInput{Name: aws.String(fmt.Sprintf("prod/service-%02d/password", i)), SecretString: aws.String(fmt.Sprint("value ", i))}
		switch i {
		case 7:
			in.SecretString = aws.String(`{"user":"u7","nested":{"password":"p7"}}`)
		case 8:
			in.SecretString, in.SecretBinary = nil, []byte{0, 0xff, 8}
		}
		if _, err := m.aws.CreateSecret(m.t.Context(), in); err != nil {
			m.t.Fatal(err)
		}
	}
}

// state is everything in the sources, with the versions.
func (m *team) state() string {
	m.t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(m.files, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		info, err2 := entry.Info()
		if err2 == nil {
			fmt.Fprintf(&b, "%s %v %x\n", path, info.ModTime(), text)
		}
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	list, err := m.aws.ListSecrets(m.t.Context(), &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(100)})
	if err != nil || len(list.SecretList) != 50 {
		m.t.Fatalf("%v, %v", list, err)
	}
	for _, s := range list.SecretList {
		fmt.Fprintln(&b, *s.Name, s.SecretVersionsToStages, s.LastChangedDate)
	}
	for _, path := range []string{"app", "app/db", "app/deep/er", "app/gone", "other"} {
		fmt.Fprintln(&b, m.vault.API(m.t, http.MethodGet, m.vaultMount+"/metadata/"+path, nil)["data"])
	}
	fmt.Fprintln(&b, m.kubernetes.API(m.t, http.MethodGet, "api/v1/namespaces/"+m.kubeNamespace+"/secrets/app-tls", nil))
	return b.String()
}

// taking is one source, with the expected result.
type taking struct {
	args   []string
	values map[string]string // by id
	warns  []string
}

func (m *team) takings() []taking {
	file := func(name string) string { return filepath.Join(m.files, name) }
	services := map[string]string{"prod_service-07_password_user": "u7", "prod_service-07_password_nested_password": "p7", "prod_service-08_password": "\x00\xff\x08"}
	for i := range 50 {
		if i != 7 && i != 8 {
			services[fmt.Sprintf("prod_service-%02d_password", i)] = fmt.Sprint("value ", i)
		}
	}
	return []taking{
		{args: []string{"pass:"}, values: map[string]string{"web_github_com": "hunter2", "mail": "öÄ \"quoted\""}, warns: []string{"--whole"}},
		{args: []string{"pass:" + file("passwords"), "--whole", "--id-prefix", "whole_"}, values: map[string]string{"whole_web_github_com": "hunter2\nuser: ada\n", "whole_mail": "öÄ \"quoted\"\n"}},
		{args: []string{"sops:" + file("prod.yaml"), "--fields", "--id-prefix", "sops_"}, warns: []string{"db/port: sops keeps a number"},
			values: map[string]string{"sops_db_user": "app", "sops_db_password": "s#0;p's", "sops_db_port": "5432", "sops_keys_0": "first", "sops_keys_1": "second"}},
		{args: []string{"sops:" + file("legacy.env"), "--fold-case"}, values: map[string]string{"quoted": `"in quotes"`, "plain": "a#b;c"}, warns: []string{"QUOTED: the quotes"}},
		{args: []string{"sops:" + file("old.ini"), "--fields", "--id-prefix", "ini_"}, values: map[string]string{"ini_db_password": "uncut"}, warns: []string{"# and ;"}},
		{args: []string{"sops:" + file("blob.bin")}, values: map[string]string{"blob_bin": "\x00\xff bytes\n"}},
		{args: []string{"ansible-vault:" + file("vault.yml"), "--fields"}, values: map[string]string{"vault_db_password": "an: sible", "vault_pin": "0123", "vault_users_ada": "ada-value"}},
		{args: []string{"ansible-vault:" + file("id_rsa")}, values: map[string]string{"id_rsa": "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"}},
		{args: []string{"dotenv:" + file(".env"), "--fold-case"}, values: map[string]string{"compose_token": "compose value", "compose_url": "https://example.com"}},
		{args: []string{"kubernetes:app-tls", "--fields"}, values: map[string]string{"app-tls_tls_key": "\x00\xff key", "app-tls_ca": "a ca\n"}},
		{args: []string{"vault:app", "--fields"}, warns: []string{"app/db/pin: Vault keeps numbers in 53 bits", "1 are deleted"},
			values: map[string]string{"app_token": "t", "app_db_user": "app", "app_db_pin": "12345678901234567000", "app_deep_er_x": "y"}},
		{args: []string{"vault:app/deep/", "--id-prefix", "object_"}, values: map[string]string{"object_app_deep_er": `{"x":"y"}`}},
		{args: []string{"aws:prod/", "--fields"}, values: services},
	}
}

// The mess of a real team, from real programs and servers. Each source has a dry run
// and a run. Nothing in the source changes, and a second run takes nothing.
func TestLiveTakeOver(t *testing.T) {
	t.Parallel() // with the tests that wait
	m := newTeam(t)
	m.fill()
	before := m.state()
	for _, source := range m.takings() {
		t.Run(source.args[0][:strings.IndexByte(source.args[0], ':')], func(t *testing.T) {
			m.t = t
			m.take(source)
		})
	}
	m.t = t
	m.followPage()
	if after := m.state(); after != before {
		t.Errorf("a source has changed:\n%s\nwas\n%s", after, before)
	}
	m.takeTheRest()
}

// followPage runs the section "Taking over" of docs/moving.md on the team's sources, in
// a store of its own.
func (m *team) followPage() {
	m.t.Helper()
	env := m.env
	defer func() { m.env = env }()
	m.env = append(slices.Clone(env), "NEBULA_STORAGE_LOCAL_BASE_PATH="+m.t.TempDir()+"/another", "NEBULA_KEY_FILE="+m.path("another.key"))
	m.output(m.command("init"))
	t, d := m.t, newDocument(m.t, "moving.md")
	page := d.block("console", "team$")
	shown := strings.SplitAfter(page, "\n")
	for i, line := range shown {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "team$ ")
		if !ok {
			continue
		}
		cmd := m.command(strings.Fields(command)[1:]...)
		cmd.Dir = m.files
		out := string(m.output(cmd))
		var want strings.Builder
		for _, next := range shown[i+1:] {
			if strings.HasPrefix(next, "team$") {
				break
			}
			want.WriteString(next)
		}
		if want.Len() > 0 && out != want.String() {
			t.Errorf("%s: %s, want %s", command, out, want.String())
		}
		if !strings.Contains(out, "import") || strings.Contains(out, "import 0 ") {
			t.Errorf("%s: %s", command, out)
		}
	}
	for id, want := range map[string]string{"prod_service-49_password": "value 49", "vault_app_db_user": "app", "app-tls_ca": "a ca", "web_github_com": "hunter2", "db_user": "app", "vault_pin": "0123", "compose_token": "compose value"} {
		if got := strings.TrimSpace(string(m.output(m.command("get", id)))); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

func (m *team) take(source taking) {
	m.t.Helper()
	args := append([]string{"import", "-o", "json", "--tag", "from=there"}, source.args...)
	for _, step := range []struct {
		more           []string
		imported, same int
	}{{[]string{"--dry-run"}, len(source.values), 0}, {nil, len(source.values), 0}, {nil, 0, len(source.values)}} {
		cmd := m.command(append(args, step.more...)...)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		var report takeoverJSON
		if err != nil || json.Unmarshal(out, &report) != nil || len(report.Imported) != step.imported || len(report.Same) != step.same {
			m.t.Fatalf("%v: %v\n%s\n%s", cmd.Args, err, out, said.String())
		}
		for _, warning := range source.warns {
			if !strings.Contains(said.String(), warning) {
				m.t.Errorf("%v: %q is not in %s", cmd.Args, warning, said.String())
			}
		}
		for _, value := range source.values {
			if len(value) > 6 && strings.Contains(said.String()+string(out), value) {
				m.t.Errorf("%v shows %q", cmd.Args, value)
			}
		}
	}
	for id, want := range source.values {
		if got := string(m.output(m.command("get", id))); got != want {
			m.t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

// takeTheRest covers what cannot be read, or cannot be taken as it is.
func (m *team) takeTheRest() {
	refused := func(code int, want string, args ...string) {
		m.t.Helper()
		cmd := m.command(append([]string{"import"}, args...)...)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != code || !strings.Contains(string(out), want) {
			m.t.Errorf("%v: %d, %s, want %d, %q", args, cmd.ProcessState.ExitCode(), out, code, want)
		}
	}
	refused(2, `"a" is null`, "sops:"+filepath.Join(m.files, "null.json"))
	m.write("stream.yaml", "a: b\n---\nc: d\n")
	m.do("", "sops", "encrypt", "--age", m.recipient(), "--in-place", "stream.yaml")
	refused(2, "more than one YAML document", "sops:"+filepath.Join(m.files, "stream.yaml"))
	refused(5, "sops did not decrypt it", "sops:"+filepath.Join(m.files, "id_rsa"))
	refused(3, "there is nothing", "aws:nothing/")
	refused(3, "there is nothing", "kubernetes:nothing")
	refused(2, "is not the name of a Secret", "kubernetes:a/b")
	refused(2, "empty, . or ..", "vault:app/../other")
	refused(2, "another provider", "aws:prod/", "--via", "vault")

	// A value that cannot be read is named, and the rest is taken.
	m.write("passwords/broken.gpg", "no message of GPG\n")
	m.do("late\n", "pass", "insert", "-m", "late")
	refused(5, `"broken": pass did not decrypt it`, "pass:"+filepath.Join(m.files, "passwords"))
	if got := string(m.output(m.command("get", "late"))); got != "late" {
		m.t.Error(got)
	}
	// Records of stores are not taken as secrets of others.
	m.output(m.at("vault", "init"))
	put := m.at("vault", "put", "own")
	put.Stdin = strings.NewReader("own")
	m.output(put)
	refused(3, "2 are records of a store", "vault:nebula/")
}

func (m *team) recipient() string {
	text, err := os.ReadFile(filepath.Join(m.files, "age.key"))
	if err != nil {
		m.t.Fatal(err)
	}
	key, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		m.t.Fatal(err)
	}
	return key.Recipient().String()
}
