package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// The example is built and tested as a module of somebody else. It imports nebula, and
// nothing internal.
func TestOutside(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for from, to := range map[string]string{"main.go": "main.go", "service.go": "service.go", "service_test.go": "service_test.go",
		filepath.Join(root, "go.sum"): "go.sum"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, to), text)
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go .*$`).Find(module)
	requires := strings.Join(regexp.MustCompile(`(?ms)^require \(.*?^\)`).FindAllString(string(module), -1), "\n")
	write(t, filepath.Join(dir, "go.mod"), []byte("module example.com/orders\n\n"+string(version)+"\n\n"+requires+
		"\nrequire github.com/nebula-credential/nebula v0.0.0\nreplace github.com/nebula-credential/nebula => "+root+"\n"))
	command := exec.Command("go", "test", "-count=1", "-timeout=5m", "-v", ".")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "PWD="+dir)
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestOutage") {
		t.Errorf("%v\n%s", err, out)
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The Dockerfile builds a program that needs nothing from the image, because the image
// has nothing. It does not run as root.
func TestDockerfile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("images are made of programs for Linux")
	}
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	build := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*) -o /orders (.*)$`).FindSubmatch(text)
	if build == nil {
		t.Fatal("the Dockerfile has no line that builds /orders")
	}
	program := filepath.Join(t.TempDir(), "orders")
	command := exec.Command("sh", "-c", string(build[1])+" -o "+program+" "+string(build[2]))
	command.Dir = filepath.Join("..", "..")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 || file.Section(".interp") != nil {
		t.Errorf("the program is linked to %v, %v", libraries, err)
	}
	if !regexp.MustCompile(`(?m)^USER [1-9][0-9]*:[1-9][0-9]*$`).Match(text) {
		t.Error("the Dockerfile names no user other than root")
	}
}
