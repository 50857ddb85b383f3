package service

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// What the paper of the service asks for, word for word.
var pageHeaders = map[string]string{
	"Cache-Control": "no-store",
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
}

func TestPageAnswers(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		contentType  string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/page/app.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/page/page.css", 200, "text/css; charset=utf-8"},
		{"GET", "/page/icon.svg", 200, "image/svg+xml"},
		{"POST", "/", 405, ""},
		{"OPTIONS", "/page/app.js", 405, ""},
		{"QUERY", "/", 405, ""},
		{"GET", "/page", 404, ""},
		{"GET", "/page/", 404, ""},
		{"GET", "/page/index.html", 404, ""},
		{"GET", "/page/../page.go", 404, ""},
		{"GET", "/page//app.js", 404, ""},
		{"GET", "/other", 404, ""},
	} {
		r := httptest.NewRequest(c.method, "http://localhost/", nil)
		r.URL.Path = c.path // as it is, however unclean
		r.Header.Set("Range", "bytes=0-3")
		w := httptest.NewRecorder()
		pageHandler().ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, w.Code, c.status)
		}
		for name, want := range pageHeaders {
			if got := w.Header().Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.path, name, got, want)
			}
		}
		if got := w.Header().Get("Content-Type"); c.contentType != "" && got != c.contentType {
			t.Errorf("%s %s: content type %q, want %q", c.method, c.path, got, c.contentType)
		}
		if got := w.Header().Get("Allow"); (c.status == http.StatusMethodNotAllowed) != (got == "GET, HEAD") {
			t.Errorf("%s %s: Allow is %q", c.method, c.path, got)
		}
		if c.method == "HEAD" && (w.Body.Len() > 0 || w.Header().Get("Content-Length") == "0") {
			t.Errorf("HEAD %s: %d bytes, Content-Length %s", c.path, w.Body.Len(), w.Header().Get("Content-Length"))
		}
	}
}

// The page loads nothing from elsewhere, keeps nothing in the browser, and makes
// elements of no text. That the policy holds besides is seen in a browser, in the
// module testclients.
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
