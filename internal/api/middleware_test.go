package api

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"colonnade/internal/logging"
)

func TestPanicSaysNothing(t *testing.T) {
	var log bytes.Buffer
	h := logged(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the secret") }), logging.New(&log, slog.LevelInfo, "text"), nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), `"faultcode":"Server"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "the secret") || !strings.Contains(log.String(), w.Header().Get("X-Openstack-Request-Id")) {
		t.Errorf("log %s", log.String())
	}
}
