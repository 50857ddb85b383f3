package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nebula-credential/nebula/bench/paired"
)

// command is the program as it is released, and a Go program that does nothing.
type command struct {
	nebula, empty string
	env           []string
}

func newCommand(b *testing.B) command {
	b.Helper()
	dir := b.TempDir()
	c := command{
		nebula: filepath.Join(dir, "nebula"),
		empty:  filepath.Join(dir, "empty"),
		env: append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, "config"),
			"XDG_DATA_HOME="+filepath.Join(dir, "data"), "XDG_STATE_HOME="+filepath.Join(dir, "state")),
	}
	source := filepath.Join(dir, "empty.go")
	check(b, os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600))
	build(b, "..", c.nebula, "./cmd/nebula")
	build(b, dir, c.empty, source)
	return c
}

func build(b *testing.B, dir, output, what string) {
	b.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", output, what)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
}

// run returns the peak memory of the process in bytes.
func (c command) run(b *testing.B, stdin string, args ...string) int64 {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = c.env
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	check(b, cmd.Run())
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}

// BenchmarkCommandGet compares nebula get, local, with a key file, with the
// start of an empty Go program.
func BenchmarkCommandGet(b *testing.B) {
	newCommand(b).compareGet(b)
}

func (c command) compareGet(b *testing.B) {
	c.run(b, strings.Repeat("x", 1024), c.nebula, "put", "x")
	var most int64
	paired.Run(b, 1,
		func(int) { c.run(b, "", c.empty) },
		func(int) { most = max(most, c.run(b, "", c.nebula, "get", "x")) })
	c.report(b, most)
}

// BenchmarkCommandGetCopied is BenchmarkCommandGet with copies of both programs, as an
// installation makes them: a file that the linker has just written starts slower.
func BenchmarkCommandGetCopied(b *testing.B) {
	c := newCommand(b)
	for _, program := range []*string{&c.nebula, &c.empty} {
		copied := *program + "-copied"
		// Not read by this process: its own memory counts in the peak of what it starts.
		check(b, exec.Command("cp", *program, copied).Run())
		*program = copied
	}
	c.compareGet(b)
}

// BenchmarkCommandPut is BenchmarkCommandGet for nebula put, which writes durably.
func BenchmarkCommandPut(b *testing.B) {
	c := newCommand(b)
	value := strings.Repeat("x", 1024)
	c.run(b, value, c.nebula, "put", "x")
	var most int64
	paired.Run(b, 1,
		func(int) { c.run(b, "", c.empty) },
		func(int) { most = max(most, c.run(b, value, c.nebula, "put", "x")) })
	c.report(b, most)
}

func (c command) report(b *testing.B, most int64) {
	info, err := os.Stat(c.nebula)
	check(b, err)
	b.ReportMetric(float64(most)/(1<<20), "peak-MiB")
	b.ReportMetric(float64(info.Size())/1e6, "size-MB")
}
