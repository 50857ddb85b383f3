package testclients

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/installed"
)

// contract is the file that clients are generated from.
const contract = "../api/openapi.yaml"

// python returns the program that runs the packages of requirements.txt, and the
// environment that it needs. The packages are installed once, in the user's cache.
func python(t *testing.T) (program string, env []string) {
	t.Helper()
	program = find(t, "python3")
	dir := cached(t, "python", []string{"requirements.txt"}, func(dir string) error {
		return installed.Run(dir, program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
			"--require-hashes", "--only-binary=:all:", "--target", "packages", "-r", "requirements.txt")
	})
	packages := filepath.Join(dir, "packages")
	return program, []string{"PYTHONPATH=" + packages, "PATH=" + filepath.Join(packages, "bin") + string(filepath.ListSeparator) + os.Getenv("PATH")}
}

// nodeModules returns the folder with the packages of package-lock.json.
func nodeModules(t *testing.T) string {
	t.Helper()
	find(t, "node")
	npm := find(t, "npm")
	return filepath.Join(cached(t, "node", []string{"package.json", "package-lock.json"}, func(dir string) error {
		return installed.Run(dir, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	}), "node_modules")
}

func find(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		unavailable(t, err)
	}
	return path
}

func cached(t *testing.T, name string, files []string, build func(dir string) error) string {
	t.Helper()
	dir, err := installed.Dir("nebula-testclients", name, "programs", files, build)
	if err != nil {
		unavailable(t, err)
	}
	return dir
}

// unavailable skips the test, or fails it with NEBULA_REQUIRE_LIVE=1.
func unavailable(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// output runs a program in a folder, with further variables, and returns its output.
func output(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(bytes.TrimSpace(out))
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
