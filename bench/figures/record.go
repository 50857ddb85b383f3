package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// record runs the benchmarks of a table and keeps their output in Go's format of benchmark
// results, with the circumstances as its configuration.
func (t table) record(root string) error {
	dir := os.Getenv("NEBULA_BENCH_DIR")
	if _, err := os.Stat("/dev/shm"); dir == "" && t.inMemory && err == nil {
		dir = "/dev/shm"
	}
	began, before := time.Now(), load()
	var out bytes.Buffer
	for _, r := range t.runs {
		fmt.Printf("\n== %s: %s, %s each\n", t.name, strings.Join(r.benchmarks, ", "), r.time)
		// -v says why a benchmark was skipped.
		cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^Benchmark("+strings.Join(r.benchmarks, "|")+")$",
			"-benchtime", r.time, "-timeout", "60m", "-v", r.pkg)
		cmd.Dir = filepath.Join(root, r.module)
		cmd.Env = append(os.Environ(), "NEBULA_BENCH_DIR="+dir)
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, os.Stdout), os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
	}
	fmt.Printf("took %s\n", time.Since(began).Round(time.Second))
	if dir == "" {
		dir = os.TempDir()
	}
	var text strings.Builder
	for _, line := range [][2]string{
		{"date", began.UTC().Format(time.DateOnly)},
		{"commit", commit(root)},
		{"go", runtime.Version()},
		{"cores", fmt.Sprint(runtime.NumCPU())},
		{"file-system", output("", "findmnt", "-n", "-o", "FSTYPE", "--target", dir)},
		{"load-before", before},
		{"load-after", load()},
	} {
		fmt.Fprintf(&text, "%s: %s\n", line[0], line[1])
	}
	return os.WriteFile(resultsPath(root, t.name), append([]byte(text.String()), out.Bytes()...), 0o644)
}

func resultsPath(root, name string) string {
	return filepath.Join(root, "bench", "results", name+".txt")
}

// commit names the measured commit. "+" says that files differ from it.
func commit(root string) string {
	name := output(root, "git", "rev-parse", "--short=10", "HEAD")
	if output(root, "git", "status", "--porcelain", "--", ".", ":!bench/results", ":!docs") != "" {
		name += "+"
	}
	return name
}

// load returns how many processes wanted a processor in the last minute.
func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// output returns what a program prints, or nothing if there is no such program.
func output(dir string, args ...string) string {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	out, _ := cmd.Output()
	return strings.TrimSpace(string(out))
}
