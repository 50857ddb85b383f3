package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestUnknownNamesListTheKnownOnes(t *testing.T) {
	for _, args := range [][]string{{"up", "valt"}, {"build", "valt"}, {"where", "valt"}} {
		err := run(context.Background(), args, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), `"valt"`) || !strings.Contains(err.Error(), "vault") {
			t.Errorf("%v: %v", args, err)
		}
	}
	err := run(context.Background(), []string{"down"}, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "up, build, where") {
		t.Errorf("down: %v", err)
	}
}

func TestChoose(t *testing.T) {
	all, err := choose(servers(), nil)
	if err != nil || len(all) != len(servers()) {
		t.Errorf("without a name: %v, %v", names(all), err)
	}
	once, err := choose(servers(), []string{"vault", "vault"})
	if err != nil || len(once) != 1 {
		t.Errorf("a name twice: %v, %v", names(once), err)
	}
}

func TestExportsSurviveTheShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for _, value := range []string{"plain", "two words", `a'b"c`, "$HOME `id` \\ !", "line\nline", ""} {
		script := variable{"NEBULA_TESTSERVER_X", value}.export() + "\n" + `printf %s "$NEBULA_TESTSERVER_X"`
		out, err := exec.Command(sh, "-c", script).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q became %q, %v", value, out, err)
		}
	}
}

// program is a module that takes no time to build.
func program(t *testing.T, source string) binary {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module x\n\ngo 1.26\n", "go.sum": "", "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return binary{name: "x", module: dir, pkg: ".", note: "no time"}
}

func TestBuiltOnceByManyAtOnce(t *testing.T) {
	var log tail
	tools := &cache{dir: t.TempDir(), log: &log}
	b := program(t, "package main\n\nfunc main() { println(1) }\n")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			path, err := tools.ensure(t.Context(), b)
			if err != nil {
				t.Error(err)
			} else if out, err := exec.Command(path).CombinedOutput(); err != nil || string(out) != "1\n" {
				t.Errorf("it printed %q, %v", out, err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(log.String(), "building x"); n != 1 {
		t.Errorf("it was built %d times:\n%s", n, log.String())
	}
}

func TestBuiltAgainWhenItsSourcesChange(t *testing.T) {
	tools := &cache{dir: t.TempDir(), log: &bytes.Buffer{}}
	b := program(t, "package main\n\nfunc main() {}\n")
	b.sources = []string{"part"}
	part := filepath.Join(b.module, "part", "part.go")
	if err := os.Mkdir(filepath.Dir(part), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(part, []byte("package part\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, change := range []string{"", "main.go", "go.mod", "go.sum", "part/part.go"} {
		if change != "" {
			file, err := os.OpenFile(filepath.Join(b.module, change), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = file.WriteString("// changed\n")
			_ = file.Close()
		}
		path, err := tools.path(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if paths[path] {
			t.Errorf("after a change of %s the path is the same", change)
		}
		paths[path] = true
	}
}

func TestWhatDoesNotCompileLeavesNothing(t *testing.T) {
	tools := &cache{dir: t.TempDir(), log: &bytes.Buffer{}}
	b := program(t, "package main\n\nfunc main() { wrong }\n")
	path, err := tools.ensure(t.Context(), b)
	if err == nil {
		t.Fatal("it was built, although it does not compile")
	}
	left, _ := filepath.Glob(path + "*")
	if len(left) > 0 {
		t.Errorf("these files are left: %v", left)
	}
}

// pythonProgram returns a program that takes seconds to install.
func pythonProgram(t *testing.T, requirements string) binary {
	t.Helper()
	python, err := findPython()
	if err == nil {
		err = exec.Command(python, "-c", "import venv, ensurepip").Run()
	}
	if err != nil && os.Getenv("NEBULA_REQUIRE_LIVE") != "1" {
		t.Skip(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"requirements.txt": requirements, "serve.py": "print(1)\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return binary{name: "x", python: dir, note: "no time"}
}

func TestPythonIsInstalledWhole(t *testing.T) {
	var log tail
	tools := &cache{dir: t.TempDir(), log: &log}
	b := pythonProgram(t, "# nothing\n")
	path, err := tools.path(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	// An installation was killed before it was complete.
	folder := filepath.Dir(filepath.Dir(path))
	if err := os.MkdirAll(filepath.Join(folder+".new", filepath.Dir(inEnvironment())), 0o755); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			python, err := tools.ensure(t.Context(), b)
			if err != nil {
				t.Errorf("%v\n%s", err, log.String())
			} else if out, err := exec.Command(python, script(python)).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "1" {
				t.Errorf("it printed %q, %v", out, err)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(log.String(), "building x"); n != 1 || exists(folder+".new") {
		t.Errorf("it was installed %d times, left: %v\n%s", n, exists(folder+".new"), log.String())
	}
	if err := os.WriteFile(filepath.Join(b.python, "requirements.txt"), []byte("# changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := tools.path(t.Context(), b); err != nil || again == path {
		t.Errorf("after a change of the pins the path is the same: %s, %v", again, err)
	}
}

func TestPythonThatCannotBeInstalledLeavesNothing(t *testing.T) {
	var log tail
	tools := &cache{dir: t.TempDir(), log: &log}
	b := pythonProgram(t, "./serve.py\n")
	path, err := tools.ensure(t.Context(), b)
	if err == nil || exists(path) {
		t.Fatalf("it was installed, although that must fail: %v", err)
	}
	left, _ := filepath.Glob(filepath.Dir(filepath.Dir(path)) + "*")
	if len(left) > 0 {
		t.Errorf("these files are left: %v", left)
	}
}

func TestWithoutPythonItSaysWhatIsNeeded(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := run(t.Context(), []string{"where", "aws"}, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "Python 3.11") || !strings.Contains(err.Error(), "python3-venv") {
		t.Errorf("the error is %v", err)
	}
}

// fakeServer is a server that is only built.
type fakeServer struct {
	server
	b binary
}

func (s fakeServer) name() string       { return s.b.name }
func (s fakeServer) binaries() []binary { return []binary{s.b} }

func TestBuildGoesOnWhereOneFails(t *testing.T) {
	module := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module good\n", "go.sum": "", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(module, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	tools := &cache{dir: t.TempDir(), log: &bytes.Buffer{}}
	err := build(t.Context(), []server{
		fakeServer{b: binary{name: "bad", module: filepath.Join(module, "nowhere")}},
		fakeServer{b: binary{name: "good", module: module, pkg: "."}},
	}, tools, &out)
	if err == nil || !strings.HasPrefix(err.Error(), "bad: ") {
		t.Errorf("got %v", err)
	}
	if !strings.HasPrefix(out.String(), "good "+tools.dir) {
		t.Errorf("printed %q", out.String())
	}
}
