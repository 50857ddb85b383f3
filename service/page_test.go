package service

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// The page loads nothing from elsewhere, keeps nothing in the browser, and makes no
// elements from text. A browser test in the module testclients checks its policy.
func TestPageFiles(t *testing.T) {
	names, err := fs.Glob(pageFiles, "page/*")
	if err != nil || len(names) < 5 {
		t.Fatalf("there are %d files (%v)", len(names), err)
	}
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|localStorage|sessionStorage|indexedDB|document\.cookie|serviceWorker|style=|<script>|<style|javascript:`)
	elsewhere := regexp.MustCompile(`(https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	for _, name := range names {
		text, err := fs.ReadFile(pageFiles, name)
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(text); found != nil {
			t.Errorf("%s has %s", name, found)
		}
		if found := elsewhere.FindAllString(string(text), -1); len(found) > 0 && (len(found) > 1 || !strings.HasSuffix(found[0], "www.w3.org")) {
			t.Errorf("%s names %q", name, found)
		}
	}
}
