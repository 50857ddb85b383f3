package service

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strconv"
)

// The page's files. They stay as they are until the page is asked for: nothing
// is parsed at the start of a program.
//
//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page load its own files and call its own service, and
// nothing else; nor can a string become markup or script.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// pageHandler serves the page at "/" and its parts below "/page/". It does not use
// http.FileServerFS, which drops Cache-Control from errors and answers a POST
// with a file.
func pageHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setPageHeader(w.Header())
		name := r.URL.Path[1:]
		if name == "" {
			name = "page/index.html"
		} else if name == "page/index.html" {
			name = "" // one page, one address
		}
		text, err := fs.ReadFile(pageFiles, name)
		switch {
		case err != nil:
			http.NotFound(w, r)
			setPageHeader(w.Header())
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Content-Type", pageTypes[path.Ext(name)])
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
			if r.Method == http.MethodGet {
				_, _ = w.Write(text) // fails if the client is gone
			}
		}
	})
}

func setPageHeader(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}
