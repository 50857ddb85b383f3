package service_test

import (
	"encoding/json"
	"os"
	"strings"
)

// lines returns the lines of the audit log.
func (r *rig) lines() []map[string]string {
	r.t.Helper()
	text, err := os.ReadFile(r.audit)
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []map[string]string
	for line := range strings.Lines(string(text)) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			r.t.Fatalf("%v in %s", err, line)
		}
		texts := make(map[string]string, len(l))
		for k, v := range l {
			texts[k], _ = v.(string)
		}
		lines = append(lines, texts)
	}
	return lines
}
