package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// results holds what one call of scripts/bench recorded.
type results struct {
	config  map[string]string
	values  map[string]map[string]float64 // by benchmark and unit
	rounds  map[string]int
	skipped []string // benchmarks that could not run
}

// figure is the measurement that a row shows.
type figure struct {
	bare, nebula float64 // the two sides of a ratio
	value        float64
	low, high    float64 // quartiles of a ratio
	rounds       int
}

var skip = regexp.MustCompile(`(?m)^\s*--- SKIP: Benchmark(\S+)`)

func readResults(root, name string) (*results, error) {
	text, err := os.ReadFile(resultsPath(root, name))
	if err != nil {
		return nil, err
	}
	r := &results{config: make(map[string]string), values: make(map[string]map[string]float64), rounds: make(map[string]int)}
	for _, m := range skip.FindAllSubmatch(text, -1) {
		r.skipped = append(r.skipped, string(m[1]))
	}
	reader := benchfmt.NewReader(bytes.NewReader(text), name)
	for reader.Scan() {
		// Other lines of go test -v are neither results nor errors.
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		for _, c := range result.Config {
			r.config[c.Key] = string(c.Value)
		}
		base, parts := result.Name.Parts()
		benchmark := string(base)
		for _, part := range parts {
			if part[0] == '/' {
				benchmark += string(part)
			}
		}
		values := make(map[string]float64)
		for _, v := range result.Values {
			if v.OrigUnit != "" {
				values[v.OrigUnit] = v.OrigValue
			} else {
				values[v.Unit] = v.Value
			}
		}
		r.values[benchmark], r.rounds[benchmark] = values, result.Iters
	}
	return r, reader.Err()
}

// errSkipped says that a benchmark could not run.
var errSkipped = errors.New("not installed")

// figure returns the measurement of a row.
func (r *results) figure(w row) (figure, error) {
	values, ok := r.values[w.benchmark]
	if !ok {
		for _, name := range r.skipped {
			if name == w.benchmark || strings.HasPrefix(w.benchmark, name+"/") {
				return figure{}, errSkipped
			}
		}
		return figure{}, fmt.Errorf("there is no result of %s", w.benchmark)
	}
	value, ok := values[w.unit]
	if !ok {
		return figure{}, fmt.Errorf("%s has no %s", w.benchmark, w.unit)
	}
	f := figure{value: value, rounds: r.rounds[w.benchmark]}
	if kind, ok := strings.CutSuffix(w.unit, ratioUnit); ok {
		f.bare, f.nebula = values["bare-"+kind+"ns"], values["nebula-"+kind+"ns"]
		f.low, f.high = values[w.unit+"-low"], values[w.unit+"-high"]
	}
	return f, nil
}
