package bench

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nebula-credential/nebula/bench/paired"
)

// programs is the directory of the programs, which are built once for all benchmarks.
var programs string

// stores is the directory of all stores, in NEBULA_BENCH_DIR or the system's temporary
// directory. The figures depend on its file system. Stores are removed only at the end:
// for each new file, ext4 passes over the inodes that were freed in the last minutes, one
// by one, and a benchmark after a removal would measure that.
var stores string

func TestMain(m *testing.M) {
	flag.Parse()
	credentials = atScale(10_000)
	var err error
	if programs, err = os.MkdirTemp("", "nebula-bench-"); err != nil {
		log.Fatal(err)
	}
	if stores, err = os.MkdirTemp(os.Getenv("NEBULA_BENCH_DIR"), "nebula-bench-"); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	_ = os.RemoveAll(programs)
	_ = os.RemoveAll(stores)
	os.Exit(code)
}

// program returns the path of a package's program, built as for a release. It is a copy,
// as after an installation: a file that the linker has just written starts slower.
func program(b *testing.B, name, dir, what string) string {
	b.Helper()
	path := filepath.Join(programs, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	linked := path + ".linked"
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", linked, what)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	check(b, exec.Command("cp", linked, path).Run())
	check(b, os.Remove(linked))
	return path
}

// command is the released program, with a home of its own, and a Go program that does
// nothing.
type command struct {
	nebula, empty string
	dir           string
	env           []string
}

func newCommand(b *testing.B) command {
	b.Helper()
	dir := b.TempDir()
	return command{
		nebula: program(b, "nebula", "..", "./cmd/nebula"),
		empty:  program(b, "empty", ".", "./testdata/empty"),
		dir:    dir,
		env: append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, "config"),
			"XDG_DATA_HOME="+filepath.Join(dir, "data"), "XDG_STATE_HOME="+filepath.Join(dir, "state")),
	}
}

// value is 1 KiB of text.
func value() string { return strings.Repeat("x", 1024) }

func (c command) run(b *testing.B, stdin string, args ...string) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = c.env
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v: %v", args, err)
	}
}

// output returns what a program prints.
func (c command) output(b *testing.B, args ...string) string {
	b.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = c.env
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%v: %v", args, err)
	}
	return string(out)
}

// peak runs a program and returns its peak memory, in MiB. The memory of this process does
// not count.
func (c command) peak(b *testing.B, args ...string) float64 {
	b.Helper()
	r, w, err := os.Pipe()
	check(b, err)
	defer r.Close()
	cmd := exec.Command(program(b, "peak", ".", "./testdata/peak"), args...)
	cmd.Env, cmd.ExtraFiles = c.env, []*os.File{w}
	out, err := cmd.CombinedOutput()
	check(b, w.Close())
	if err != nil {
		b.Fatalf("%v: %v: %s", args, err, out)
	}
	text, err := io.ReadAll(r)
	check(b, err)
	var kib float64
	if _, err := fmt.Sscan(string(text), &kib); err != nil {
		b.Fatalf("%v: the peak is %q", args, text)
	}
	return kib / 1024
}

// report reports the peak memory of a program, the largest of three runs.
func (c command) report(b *testing.B, args ...string) {
	b.Helper()
	most := 0.0
	for range 3 {
		most = max(most, c.peak(b, args...))
	}
	b.ReportMetric(most, "peak-MiB")
}

// BenchmarkCommandGet compares nebula get from files, with a key file, to the start of an
// empty Go program.
func BenchmarkCommandGet(b *testing.B) {
	c := newCommand(b)
	c.run(b, value(), c.nebula, "put", "x")
	get := []string{c.nebula, "get", "x"}
	paired.Run(b, 1, func(int) { c.run(b, "", c.empty) }, func(int) { c.run(b, "", get...) })
	c.report(b, get...)
	info, err := os.Stat(c.nebula)
	check(b, err)
	b.ReportMetric(float64(info.Size())/1e6, "size-MB")
}

// BenchmarkCommandPut compares nebula put with nebula get and a durable write of the same
// file together.
func BenchmarkCommandPut(b *testing.B) {
	c := newCommand(b)
	c.run(b, value(), c.nebula, "put", "x")
	files, err := filepath.Glob(filepath.Join(c.dir, "data", "*", "*", "x.enc.json"))
	check(b, err)
	if len(files) != 1 {
		b.Fatalf("the credential is in %q", files)
	}
	record, err := os.ReadFile(files[0])
	check(b, err)
	dir, err := os.Open(c.dir)
	check(b, err)
	defer dir.Close()
	paired.Run(b, 1,
		func(int) {
			c.run(b, "", c.nebula, "get", "x")
			bareStore(b, dir, filepath.Join(c.dir, "bare"), record)
		},
		func(int) { c.run(b, value(), c.nebula, "put", "x") })
	file := filepath.Join(c.dir, "value")
	check(b, os.WriteFile(file, []byte(value()), 0o600))
	c.report(b, c.nebula, "put", "x", "--file", file)
}
