package api

import (
	"embed"
	"net/http"
	"strconv"
	"strings"
)

// docsPath is where the API's document can be read as a page.
const docsPath = "/docs"

// docsFiles are the page: it renders what /openapi.json answers, and loads nothing from elsewhere.
//
//go:embed docs
var docsFiles embed.FS

// docsTypes are the page's files by path, with what they are.
var docsTypes = map[string]string{
	docsPath:               "text/html",
	docsPath + "/page.css": "text/css",
	docsPath + "/page.js":  "text/javascript",
}

// docsPolicy lets the page load its own files and the document, and nothing be put into it or around it.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docs answers the page's files.
func docs(w http.ResponseWriter, r *http.Request) {
	file := strings.TrimPrefix(r.URL.Path, "/")
	if r.URL.Path == docsPath {
		if at := asked(r.Context()); strings.HasSuffix(at, "/") { // the page's links are relative
			http.Redirect(w, r, strings.TrimRight(at, "/"), http.StatusMovedPermanently)
			return
		}
		file += "/page.html"
	}
	b, err := docsFiles.ReadFile(file)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", docsTypes[r.URL.Path]+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(b) // the client has gone when this fails
}
