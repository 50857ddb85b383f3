package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// readExplained reads the mutants that no test needs to notice. A line is the report's
// text for a mutant without the number of the line, then " # " and the reason.
func readExplained(path string) (map[string]bool, error) {
	known := make(map[string]bool)
	if path == "" {
		return known, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, reason, _ := strings.Cut(line, " # ")
		if reason == "" {
			return nil, fmt.Errorf("%s: there is no reason: %s", path, line)
		}
		known[key] = true
	}
	return known, nil
}

// report sums up each file, and fails if no test notices a mutant that is not
// explained.
func (b *build) report(files []string, known map[string]bool, took time.Duration, out io.Writer) error {
	left := 0
	for _, file := range files {
		count := make(map[end]int)
		found, explained := 0, 0
		for n, m := range b.mutants {
			switch {
			case m.file != file:
				continue
			case known[m.key()]:
				explained++
				delete(known, m.key())
			default:
				count[b.ends[n]]++
			}
			found++
		}
		left += count[survived] + count[unreached]
		fmt.Fprintf(out, "%s: of %d mutants, %d killed, %d explained, %d survived, %d not reached, %d not compiled\n",
			file, found, count[killed], explained, count[survived], count[unreached], count[notCompiled])
	}
	fmt.Fprintf(out, "after %v\n", took.Round(time.Second))
	for _, file := range files {
		for key := range known {
			if strings.HasPrefix(key, file+": ") {
				fmt.Fprintf(out, "explained, and there is no such mutant: %s\n", key)
			}
		}
	}
	if left > 0 {
		return fmt.Errorf("no test notices %d mutants", left)
	}
	return nil
}
