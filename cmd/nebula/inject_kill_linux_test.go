package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// At whatever call inject is killed, its file is the old one or the new one, complete
// and private. The next inject leaves nothing else behind.
func TestInjectKilledAtEveryCall(t *testing.T) {
	v := newVictim(t)
	v.putThree()
	if err := os.Mkdir(filepath.Join(v.home, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	template := strings.Repeat("# {{ .Values.other }}\n", 1000) + "a = {{ nebula://one }}\nb = {{ nebula://two | json }}\n"
	if err := os.WriteFile(filepath.Join(v.home, "app.tmpl"), []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	before := "a = old\n"
	after := strings.NewReplacer("{{ nebula://one }}", "value of one", "{{ nebula://two | json }}", `"value of two"`).Replace(template)
	target := filepath.Join(v.home, "out", "app.conf")
	args := []string{"inject", "--in", "app.tmpl", "--out", filepath.Join("out", "app.conf")}
	found := make(map[string]int)
	v.everywhere(func() []string {
		if err := os.WriteFile(target, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		return args
	}, func(where string) {
		text, err := os.ReadFile(target)
		if err != nil || string(text) != before && string(text) != after {
			t.Errorf("%s: %d bytes, %v", where, len(text), err)
		}
		found[string(text)]++
		entries, err := os.ReadDir(filepath.Dir(target))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %s has the mode %v, %v", where, e.Name(), info.Mode(), err)
			}
		}
	})
	t.Logf("the old file was found %d times, the new one %d times", found[before], found[after])
	if found[before] == 0 || found[after] == 0 {
		t.Error("inject was never killed before it replaced the file, or never after")
	}
	v.run(args...)
	entries, err := os.ReadDir(filepath.Dir(target))
	if left := slices.IndexFunc(entries, func(e os.DirEntry) bool { return e.Name() != "app.conf" }); err != nil || left >= 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
