package nebula_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/config"
	"github.com/nebula-credential/nebula/internal/testing/authority"
)

// claim names the tests that run the blocks of a page or read them: "package Test",
// with commas between several. If there is no test, it says why.
type claim struct {
	page, language string
	begins         string // how the blocks begin; of several claims the longest counts
	test           string
	reason         string
}

const (
	notation  = "a notation for people; the vectors of testdata/format hold programs to it"
	byHand    = "by hand: minutes or hours, with the figures that the page has"
	elsewhere = "somebody else's program and account: looked at by hand"
)

// claims covers every block of README, CONTRIBUTING and docs.
func claims() []claim {
	return []claim{
		{page: "README.md", language: "sh", begins: "go install", test: "cmd/nebula TestReadmeCommand"},
		{page: "README.md", language: "sh", begins: "scripts/test", reason: "it is what .ci/run runs"},
		{page: "README.md", language: "sh", begins: "scripts/release", reason: "by hand: scripts/test release builds it twice and looks into it"},
		{page: "README.md", language: "go", test: ". TestGoBlocks"},
		{page: "CONTRIBUTING.md", reason: "it is what .ci/run runs, part by part"},
		{page: "docs/adding-a-provider.md", language: "go", test: "provider TestProviderOfAnotherModule"},
		{page: "docs/agent.md", language: "console", begins: "$ nebula", test: "cmd/nebula TestAgentPage"},
		{page: "docs/agent.md", language: "ini", test: "cmd/nebula TestAgentServices"},
		{page: "docs/agent.md", language: "xml", test: "cmd/nebula TestAgentServices"},
		{page: "docs/agent.md", language: "sh", reason: "it takes a manager of services, which a test has not"},
		{page: "docs/backup.md", language: "console", test: "cmd/nebula TestLiveBackupPage"},
		{page: "docs/backup.md", language: "sh", test: "cmd/nebula TestLiveBackupPage"},
		{page: "docs/backup.md", language: "crontab", test: "cmd/nebula TestBackupSchedule"},
		{page: "docs/backup.md", language: "systemd", test: "cmd/nebula TestBackupSchedule"},
		{page: "docs/containers.md", language: "console", begins: "kubectl$", test: "cmd/nebula TestLiveContainersSecret"},
		{page: "docs/containers.md", language: "console", begins: "ci$", test: "cmd/nebula TestContainersPage"},
		{page: "docs/containers.md", language: "console", begins: "ada$", test: "cmd/nebula TestContainersPage"},
		{page: "docs/containers.md", language: "yaml", begins: "apiVersion: v1\nkind: Pod", test: "cmd/nebula TestContainersPage, cmd/nebula TestLiveContainersPage"},
		{page: "docs/containers.md", language: "yaml", begins: "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: app\n  annotations:\n    eks", test: "cmd/nebula TestAWSContainersPod, cmd/nebula TestLiveAWSContainersPage"},
		{page: "docs/containers.md", language: "yaml", begins: "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: app\n  annotations:\n    azure", test: "cmd/nebula TestLiveAzureContainersPod, cmd/nebula TestLiveAzureContainersPage"},
		{page: "docs/containers.md", language: "yaml", begins: "apiVersion: v1\nkind: ConfigMap", test: "cmd/nebula TestLiveVaultAgentContainersPage"},
		{page: "docs/containers.md", language: "yaml", begins: "services:", test: "cmd/nebula TestContainersPage"},
		{page: "docs/containers.md", language: "ini", test: "cmd/nebula TestContainersPage"},
		{page: "docs/containers.md", language: "sh", reason: elsewhere},
		{page: "docs/dotenv.md", language: "console", test: "cmd/nebula TestDotenvPage"},
		{page: "docs/dotenv.md", language: "ini", test: "cmd/nebula TestDotenvPage"},
		{page: "docs/format.md", begins: "data key ", test: "internal/testing/vectors TestDocumentHasTheExample"},
		{page: "docs/format.md", begins: "passphrase", test: "internal/testing/vectors TestDocumentHasTheExample"},
		{page: "docs/format.md", reason: notation},
		{page: "docs/json.md", language: "console", test: "cmd/nebula TestJSONPage"},
		{page: "docs/keys.md", language: "console", test: "cmd/nebula TestLiveKeysPage"},
		{page: "docs/keys/aws-kms.md", language: "console", test: "cmd/nebula TestAWSKMSPage"},
		{page: "docs/keys/aws-kms.md", language: "json", test: "cmd/nebula TestAWSKMSPage"},
		{page: "docs/keys/aws-kms.md", language: "sh", reason: elsewhere},
		{page: "docs/keys/azure-key.md", language: "console", test: "cmd/nebula TestAzureKeyPage"},
		{page: "docs/keys/azure-key.md", language: "json", test: "cmd/nebula TestAzureKeyPage"},
		{page: "docs/keys/azure-key.md", language: "sh", reason: elsewhere},
		{page: "docs/keys/vault-transit.md", language: "console", test: "cmd/nebula TestLiveVaultTransitPage"},
		{page: "docs/keys/vault-transit.md", language: "hcl", test: "cmd/nebula TestLiveVaultTransitPage"},
		{page: "docs/library.md", language: "go", test: ". TestGoBlocks"},
		{page: "docs/migrating.md", language: "console", test: "cmd/nebula TestMigratingPage"},
		{page: "docs/migrating.md", language: "json", test: "cmd/nebula TestMigratingPage"},
		{page: "docs/moving.md", language: "console", begins: "$", test: "cmd/nebula TestMovingPage"},
		{page: "docs/moving.md", language: "console", begins: "team$", test: "cmd/nebula TestLiveTakeOver"},
		{page: "docs/moving.md", reason: "the forms of JSON; the scripts of the command hold it to them"},
		{page: "docs/performance.md", reason: byHand},
		{page: "docs/providers/aws.md", language: "json", test: "provider/aws TestPagePolicies"},
		{page: "docs/providers/azure.md", language: "sh", reason: elsewhere},
		{page: "docs/providers/kubernetes.md", language: "yaml", test: "provider/kubernetes TestLiveIdentities"},
		{page: "docs/providers/vault.md", language: "hcl", test: "cmd/nebula TestLiveQuickstartVault"},
		{page: "docs/providers/vault.md", language: "sh", reason: elsewhere},
		{page: "docs/quickstart.md", language: "console", test: "cmd/nebula TestQuickstartFiles, cmd/nebula TestLiveQuickstartAWS, cmd/nebula TestLiveQuickstartAzure, " +
			"cmd/nebula TestLiveQuickstartKubernetes, cmd/nebula TestLiveQuickstartVault"},
		{page: "docs/releasing.md", reason: "by hand: scripts/test release builds it twice and looks into it"},
		{page: "docs/reliability.md", reason: byHand},
		{page: "docs/service.md", language: "console", test: "cmd/nebula TestServicePage"},
		{page: "docs/service.md", language: "console", begins: "ops$", test: "cmd/nebula TestServiceSecrets"},
		{page: "docs/service.md", language: "ini", test: "cmd/nebula TestServiceUnit"},
		{page: "docs/service.md", language: "conf", test: "cmd/nebula TestServiceRotation"},
		{page: "docs/service.md", language: "yaml", begins: "apiVersion: v1\nkind: Pod", test: "cmd/nebula TestServicePods, cmd/nebula TestLiveServiceManifests"},
		{page: "docs/service.md", language: "yaml", begins: "apiVersion: apps/v1", test: "cmd/nebula TestServicePods, cmd/nebula TestLiveServiceManifests"},
		{page: "docs/service.md", language: "yaml", begins: "apiVersion: external-secrets.io/v1\nkind: SecretStore", test: "cmd/nebula TestServiceWebhook"},
		{page: "docs/service.md", language: "yaml", begins: "apiVersion: external-secrets.io/v1\nkind: ExternalSecret", reason: "external-secrets' own; what it asks the service is in TestServiceWebhook"},
		{page: "docs/teams.md", language: "console", test: "cmd/nebula TestTeamsPage"},
		{page: "docs/using.md", language: "console", test: "cmd/nebula TestUsingPage"},
		{page: "docs/using.md", language: "ini", test: "cmd/nebula TestUsingPage"},
		{page: "docs/using.md", reason: "the form of a reference; package reference has it"},
		{page: "docs/using.md", language: "sh", reason: "it reloads a service, which a test has not"},
		{page: "*", language: "toml", test: ". TestConfigurationsOfPages"},
	}
}

// block is a fenced block of a page.
type block struct {
	page, language, text string
	line                 int
}

func (b block) String() string {
	return fmt.Sprintf("%s:%d: a block of %q", b.page, b.line, b.language)
}

func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CONTRIBUTING.md"}
	err := filepath.WalkDir("docs", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			all = append(all, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func blocks(t *testing.T) (all []block) {
	t.Helper()
	for _, page := range pages(t) {
		text, err := os.ReadFile(filepath.FromSlash(page))
		if err != nil {
			t.Fatal(err)
		}
		within, n, indent := false, 0, ""
		for line := range strings.Lines(string(text)) {
			n++
			language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
			switch {
			case fence && !within:
				within = true
				indent, _, _ = strings.Cut(line, "`")
				all = append(all, block{page: page, language: language, line: n})
			case fence:
				within = false
			case within:
				all[len(all)-1].text += strings.TrimPrefix(line, indent)
			}
		}
		if within {
			t.Errorf("%s ends within a block", page)
		}
	}
	return all
}

// A test runs every block, or the claim says why not. Console and Go can always be
// run, so for them a reason is not enough.
func TestBlocksAreRun(t *testing.T) {
	all := claims()
	used := make([]bool, len(all))
	for _, b := range blocks(t) {
		best := -1
		for i, c := range all {
			if (c.page == b.page || c.page == "*") && c.language == b.language && strings.HasPrefix(b.text, c.begins) &&
				(best < 0 || len(c.begins) > len(all[best].begins)) {
				best = i
			}
		}
		if best < 0 {
			t.Errorf("%v has no claim in docs_blocks_test.go:\n%s", b, b.text)
			continue
		}
		used[best] = true
	}
	for i, c := range all {
		switch {
		case !used[i]:
			t.Errorf("%s has no block of %s that begins with %q", c.page, c.language, c.begins)
		case (c.test == "") == (c.reason == ""):
			t.Errorf("%s, %s: a claim needs a test or a reason, and not both", c.page, c.language)
		case c.reason != "" && slices.Contains([]string{"console", "go"}, c.language):
			t.Errorf("%s: blocks of %s need a test, not a reason", c.page, c.language)
		}
		for _, name := range strings.Split(c.test, ", ") {
			if dir, test, ok := strings.Cut(name, " "); ok && !hasTest(t, dir, test) {
				t.Errorf("%s: there is no test %s", c.page, name)
			}
		}
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(dir), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if f.Scope.Lookup(name) != nil {
			return true
		}
	}
	return false
}

// Every link between the pages names an existing file, and a heading in it.
func TestLinksOfPages(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings := make(map[string][]string)
	for _, page := range pages(t) {
		headings[page] = anchors(t, page)
	}
	found := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(filepath.FromSlash(page))
		if err != nil {
			t.Fatal(err)
		}
		prose := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(string(text), "")
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			found++
			path := page
			if target != "" {
				path = filepath.ToSlash(filepath.Join(filepath.Dir(page), target))
			}
			if _, err := os.Stat(filepath.FromSlash(path)); err != nil {
				t.Errorf("%s: there is no %s", page, m[1])
			} else if known, ok := headings[path]; anchor != "" && ok && !slices.Contains(known, anchor) {
				t.Errorf("%s: %s has no heading %s", page, path, anchor)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d links were found", found)
	}
}

// anchors returns the headings of a page as GitHub names them in links.
func anchors(t *testing.T, page string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(page))
	if err != nil {
		t.Fatal(err)
	}
	dropped := regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		all = append(all, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

// Every configuration on a page is valid: it loads alone, in a home directory that has
// only the files that it names.
func TestConfigurationsOfPages(t *testing.T) {
	home := t.TempDir()
	ca, err := authority.New("vault")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"vault-ca.pem": string(ca.PEM()),
		".kube/config": `{"apiVersion":"v1","kind":"Config","current-context":"production","clusters":[{"name":"c","cluster":{"server":"https://k.example.com"}}],` +
			`"users":[{"name":"u","user":{"token":"t"}}],"contexts":[{"name":"production","context":{"cluster":"c","user":"u"}}]}`,
	} {
		path := filepath.Join(home, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for _, b := range blocks(t) {
		if b.language != "toml" {
			continue
		}
		found++
		path := filepath.Join(home, "config.toml")
		text := strings.ReplaceAll(b.text, "/etc/ssl/", filepath.ToSlash(home)+"/")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(config.Source{File: path, Environ: []string{"HOME=" + home}}); err != nil {
			t.Errorf("%v: %v", b, err)
		}
	}
	if found < 10 {
		t.Errorf("only %d configurations were found", found)
	}
}
