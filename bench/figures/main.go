// Command figures runs the benchmarks of docs/performance.md, records their output in
// bench/results, and writes the tables and the pictures of the page from these records.
// scripts/bench starts it.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	draw := flag.Bool("draw", false, "run nothing: write the page and the pictures from what is recorded")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: scripts/bench [-draw] [TABLE…]\n\nWithout names it runs all tables, which takes some 20 minutes: %s.\n\n", strings.Join(names, ", "))
		flag.PrintDefaults()
	}
	flag.Parse()
	for _, name := range flag.Args() {
		if !slices.Contains(names, name) {
			log.Fatalf("there is no table %q: there are %s", name, strings.Join(names, ", "))
		}
	}
	if !*draw {
		for _, t := range tables {
			if flag.NArg() > 0 && !slices.Contains(flag.Args(), t.name) {
				continue
			}
			if err := t.record(".."); err != nil {
				log.Fatalf("%s: %v", t.name, err)
			}
		}
	}
	files, err := render("..")
	if err != nil {
		log.Fatal(err)
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
