package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealthcheck(t *testing.T) {
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	ask := func(h http.Handler, method, path, accept string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Accept", accept)
		h.ServeHTTP(w, r)
		return w
	}
	down := errors.New("gone")
	for _, c := range []struct {
		name, method, path, accept string
		err                        error
		status                     int
		kind, body                 string
	}{
		{"text", "GET", "/healthcheck", "", nil, 200, "text/plain; charset=UTF-8", "OK"},
		{"head", "HEAD", "/healthcheck", "*/*", nil, 204, "text/plain; charset=UTF-8", ""},
		{"json", "GET", "/healthcheck", "application/json", nil, 200, "application/json", "{\n    \"detailed\": false,\n    \"reasons\": [\n        \"OK\"\n    ]\n}"},
		{"html", "GET", "/healthcheck", "text/html,*/*", nil, 200, "text/html; charset=UTF-8", "<HTML><HEAD><TITLE>Healthcheck Status</TITLE></HEAD><BODY><P>OK</P></BODY></HTML>\n"},
		{"database down", "GET", "/healthcheck", "", down, 503, "text/plain; charset=UTF-8", "The database does not answer"},
		{"head, database down", "HEAD", "/healthcheck", "", down, 503, "text/plain; charset=UTF-8", ""},
		{"another method", "POST", "/healthcheck", "", nil, 405, "application/json", `{"code":405,"description":"The method POST is not allowed for this resource.","title":"Method Not Allowed"}`},
		{"another path", "GET", "/healthchecks", "", nil, 401, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := healthchecked(refuse, func(context.Context) error { return c.err }, slog.New(slog.DiscardHandler))
			w := ask(h, c.method, c.path, c.accept)
			if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || w.Body.String() != c.body {
				t.Errorf("%d %q %q", w.Code, w.Header().Get("Content-Type"), w.Body)
			}
		})
	}
	t.Run("one look is for everybody for 5 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			looks := 0
			var err error
			h := healthchecked(refuse, func(context.Context) error { looks++; return err }, slog.New(slog.DiscardHandler))
			get := func(want, wantLooks int) {
				t.Helper()
				if w := ask(h, "GET", "/healthcheck", ""); w.Code != want || looks != wantLooks {
					t.Errorf("%d after %d looks, want %d after %d", w.Code, looks, want, wantLooks)
				}
			}
			get(200, 1)
			err = down
			time.Sleep(4 * time.Second)
			get(200, 1)
			time.Sleep(time.Second)
			get(503, 2)
			err = nil
			get(503, 2)
			time.Sleep(5 * time.Second)
			get(200, 3)
		})
	})
}
