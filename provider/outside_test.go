package provider_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A provider in another module is made from docs/adding-a-provider.md alone. It
// passes the suite, is retried and measured, and opens by configuration.
func TestProviderOfAnotherModule(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "adding-a-provider.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := regexp.MustCompile("(?s)```go\n// (keep(?:_test)?\\.go)\n(.*?)```").FindAllSubmatch(page, -1)
	if len(files) != 2 {
		t.Fatalf("the page holds %d files, want 2", len(files))
	}
	for _, f := range files {
		write(t, filepath.Join(dir, string(f[1])), f[2])
	}
	const maxLines = 200
	if n := bytes.Count(files[0][2], []byte("\n")); n >= maxLines {
		t.Errorf("the provider has %d lines, want fewer than %d", n, maxLines)
	}
	copyFile(t, filepath.Join("testdata", "keep", "server_test.go"), filepath.Join(dir, "server_test.go"))
	copyFile(t, filepath.Join(root, "go.sum"), filepath.Join(dir, "go.sum"))
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go .*$`).Find(module)
	requires := strings.Join(regexp.MustCompile(`(?ms)^require \(.*?^\)`).FindAllString(string(module), -1), "\n")
	write(t, filepath.Join(dir, "go.mod"), []byte("module example.com/keep\n\n"+string(version)+"\n\n"+requires+
		"\nrequire github.com/nebula-credential/nebula v0.0.0\nreplace github.com/nebula-credential/nebula => "+root+"\n"))
	command := exec.Command("go", "test", "-count=1", "-timeout=5m", "-v", ".")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "PWD="+dir)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []string{"--- PASS: TestConformance/concurrentCounter", "--- PASS: TestConfigured"} {
		if !strings.Contains(string(out), test) {
			t.Errorf("it does not say %q:\n%s", test, out)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, data)
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
