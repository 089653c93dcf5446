package api_test

import (
	"regexp"
	"strings"
	"testing"
)

// The page and all that it loads come from this server, to anybody, and nothing else may run in it.
func TestDocsPage(t *testing.T) {
	l := newLab(t, nil)
	read := func(path, accept, kind string) string {
		t.Helper()
		a := l.do("GET", path, "", "X-Auth-Token", "", "Accept", accept)
		if a.status != 200 || a.header.Get("Content-Type") != kind+"; charset=utf-8" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Fatalf("%s: %d %v %.100s", path, a.status, a.header, a.body)
		}
		policy := a.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		return a.body
	}
	page := read("/docs", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html")
	all := page
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		switch link := m[1]; link {
		case "docs/page.js":
			all += read("/"+link, "*/*", "text/javascript")
		case "docs/page.css":
			all += read("/"+link, "text/css,*/*;q=0.1", "text/css")
		case "openapi.json":
			if a := l.do("GET", "/"+link, "", "X-Auth-Token", ""); a.status != 200 {
				t.Errorf("%s: %d", link, a.status)
			}
		default:
			t.Errorf("the page loads %s", link)
		}
	}
	if n := strings.Count(all, "function "); n < 5 {
		t.Errorf("%d functions were loaded", n)
	}
	for _, no := range []string{"http:", "https:", "//cdn", "innerHTML", "eval(", "document.write", "<style", " style=", " onclick=", "javascript:", "@import", "url("} {
		if strings.Contains(all, no) {
			t.Errorf("the page has %q", no)
		}
	}
	for path, want := range map[string]int{"/load-balancer/docs": 200, "/docs/": 301, "/docs/page.html": 401, "/docs/nothing": 401, "/docs/../docs/page.js": 200} {
		if a := l.do("GET", path, "", "X-Auth-Token", "", "Accept", "*/*"); a.status != want {
			t.Errorf("%s: %d, want %d", path, a.status, want)
		} else if want == 301 && a.header.Get("Location") != "http://example.com/docs" {
			t.Errorf("%s leads to %s", path, a.header.Get("Location"))
		}
	}
	if a := l.do("GET", "/docs", "", "Accept", "application/json"); a.status != 406 {
		t.Errorf("as JSON: %d", a.status)
	}
	if a := l.do("POST", "/docs", ""); a.status != 405 {
		t.Errorf("POST: %d", a.status)
	}
}
