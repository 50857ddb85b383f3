package testclients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/nebulatest"
)

// TestPythonClient tests a client that openapi-python-client generates from the contract.
func TestPythonClient(t *testing.T) {
	program, env := python(t)
	dir := t.TempDir()
	made := output(t, dir, env, program, "-m", "openapi_python_client", "generate", "--meta", "none",
		"--path", absolute(t, contract), "--output-path", filepath.Join(dir, "client"))
	// It leaves out what it cannot express, and says so.
	for line := range strings.Lines(made) {
		if strings.Contains(line, "WARNING") && !strings.Contains(line, "GET /openapi.yaml") && !strings.Contains(line, "GET /page/{file}") {
			t.Errorf("the client lacks something: %s", line)
		}
	}
	l := serve(t, nebulatest.NewStore(t).Store)
	env[0] += string(filepath.ListSeparator) + dir
	if got := output(t, dir, append(env, "NEBULA_TOKEN="+l.token("python")), program, absolute(t, "programs/life.py"), strings.TrimSuffix(l.url, "/")); got != "done" {
		t.Error(got)
	}
}

// TestTypeScriptClient tests openapi-fetch with the types that openapi-typescript
// generates from the contract.
func TestTypeScriptClient(t *testing.T) {
	modules := nodeModules(t)
	program := func(name string) string { return filepath.Join(modules, ".bin", name) }
	dir := t.TempDir()
	for _, name := range []string{"life.ts", "package.json"} {
		text, err := os.ReadFile(filepath.Join("programs", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	output(t, dir, nil, program("openapi-typescript"), absolute(t, contract), "-o", "schema.d.ts")
	output(t, dir, nil, program("tsc"), "--strict", "--target", "es2023", "--module", "nodenext", "--lib", "es2023,dom,dom.iterable", "life.ts")
	l := serve(t, nebulatest.NewStore(t).Store)
	if got := output(t, dir, []string{"NEBULA_TOKEN=" + l.token("typescript")}, "node", "life.js", strings.TrimSuffix(l.url, "/")); got != "done" {
		t.Error(got)
	}
}
