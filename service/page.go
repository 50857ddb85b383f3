package service

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
)

// The page's files. They stay as they are until somebody asks for the page, so
// nothing is parsed at the start of a program.
//
//go:embed page
var pageFiles embed.FS

// pageIndex is the file at "/".
const pageIndex = "page/index.html"

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

// servePage answers the page at "/" and its parts below "/page/". http.FileServerFS
// would drop Cache-Control from errors and answer a POST with a file.
func (s *Service) servePage(c *call) (answer, error) {
	name := c.r.URL.Path[1:]
	if name == "" {
		name = pageIndex
	} else if name == pageIndex {
		name = "" // one page, one address
	}
	text, err := fs.ReadFile(pageFiles, name)
	if err != nil {
		return answer{}, nothingHere()
	}
	return answer{status: http.StatusOK, contentType: pageTypes[path.Ext(name)], body: text, header: http.Header{
		"Content-Security-Policy":      {pagePolicy},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Referrer-Policy":              {"no-referrer"},
	}}, nil
}
