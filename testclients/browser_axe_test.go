package testclients

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nebula-credential/nebula/internal/testing/installed"
)

// axe returns the script of axe-core. If it cannot be installed, the test is skipped.
func axe(t *testing.T) string {
	t.Helper()
	dir, err := installed.Dir("nebula-testclients", "axe", "axe", []string{"package.json", "package-lock.json"}, func(dir string) error {
		return installed.Run(dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
	var text []byte
	if err == nil {
		text, err = os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	}
	if err != nil {
		report := t.Skipf
		if os.Getenv("NEBULA_REQUIRE_LIVE") == "1" {
			report = t.Fatalf
		}
		report("there is no axe-core: %v", err)
	}
	return string(text)
}

type finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// examine returns the violations that axe-core finds in the current state of the page.
func examine(b *tab, axe string) []finding {
	b.t.Helper()
	if !eval[bool](b, "Boolean(window.axe)") {
		eval[bool](b, axe+"; true")
	}
	return eval[[]finding](b, `axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations)`)
}

// axe-core finds violations that are there. Otherwise it would mean nothing that it finds
// none in the page.
func TestBrowserAccessibilityNoticed(t *testing.T) {
	text := axe(t)
	b := openTab(t, startBrowser(t), serve(t, backends["memory"](t)).url, desktop)
	b.see("Token")
	eval[bool](b, `(() => {
		const button = document.createElement("button"), pale = document.createElement("p");
		pale.textContent = "hardly to be read";
		pale.style.color = "#eee";
		document.querySelector("dialog form").append(button, pale);
		return true;
	})()`)
	found := make(map[string]bool)
	for _, f := range examine(b, text) {
		found[f.ID] = true
	}
	for _, id := range []string{"button-name", "color-contrast"} {
		if !found[id] {
			t.Errorf("%s is not among %v", id, found)
		}
	}
}

// axe-core examines each state of the page, on the smallest screen and on a large one,
// light and dark. Each state fits the width. NEBULA_PICTURES names a folder for pictures,
// which somebody has to look at.
func TestBrowserAccessibility(t *testing.T) {
	text := axe(t)
	parent := startBrowser(t)
	pictures := os.Getenv("NEBULA_PICTURES")
	for _, s := range screens {
		t.Run(s.String(), func(t *testing.T) {
			seen := 0
			walk(t, parent, s, func(b *tab, state string) {
				if seen++; pictures != "" {
					file := filepath.Join(pictures, fmt.Sprintf("%s-%02d-%s.png", s, seen, state))
					if err := os.WriteFile(file, b.picture(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				for _, f := range examine(b, text) {
					report := t.Errorf
					if f.Impact == "minor" {
						report = t.Logf
					}
					for _, n := range f.Nodes {
						report("%s: %s (%s): %s\n%s\n%s", state, f.ID, f.Impact, f.Help, n.HTML, n.FailureSummary)
					}
				}
				if wide := eval[int64](b, "document.documentElement.scrollWidth"); wide > s.width {
					t.Errorf("%s: it is %d pixels wide", state, wide)
				}
				if cut := eval[[]string](b, `[...`+top+`.querySelectorAll("button, input, textarea, h2, pre, dd")].filter((e) => e.checkVisibility() &&
					(e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1)).map((e) => e.outerHTML)`); len(cut) > 0 {
					t.Errorf("%s: beyond the edge are %q", state, cut)
				}
			})
		})
	}
}
