package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"colonnade/internal/identity"
	"colonnade/internal/lb"
)

func TestAnswerFor(t *testing.T) {
	a := func(code, text string) string {
		return fmt.Sprintf(`{"faultcode":%q,"faultstring":%q,"debuginfo":null}`, code, text)
	}
	for _, c := range []struct {
		name   string
		err    error
		status int
		body   string
		hidden bool
	}{
		{"invalid", lb.Faultf(lb.KindInvalid, "no"), 400, a("Client", "no"), false},
		{"forbidden", lb.Faultf(lb.KindForbidden, "no"), 403, a("Client", "no"), false},
		{"not found", lb.Faultf(lb.KindNotFound, "Pool x not found."), 404, a("Client", "Pool x not found."), false},
		{"conflict, wrapped", fmt.Errorf("change: %w", lb.Faultf(lb.KindConflict, "busy")), 409, a("Client", "busy"), false},
		{"unsupported", lb.Unsupported("flavor_id"), 501, a("Server", "Provider 'amphora' does not support a requested option: flavor_id"), false},
		{"unavailable", lb.Faultf(lb.KindUnavailable, "later"), 503, a("Server", "later"), false},
		{"an internal fault keeps its text", lb.Faultf(lb.KindInternal, "secret"), 500, a("Server", textInternal), true},
		{"anything else keeps its text", errors.New("SELECT * FROM secret"), 500, a("Server", textInternal), true},
		{"out of time", fmt.Errorf("read: %w", context.DeadlineExceeded), 503, a("Server", textLater), true},
		{"too large", &http.MaxBytesError{Limit: 1}, 413, a("Client", "request is too large"), false},
		{"mime", errMediaType, 415, a("Client", "unknown mimetype: use application/json"), false},
		{"route", &routeFault{404, "The resource could not be found."}, 404, `{"code":404,"description":"The resource could not be found.","title":"Not Found"}`, false},
		{"nobody", identity.ErrUnauthorized, 401, `{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := answerFor(c.err)
			body, err := json.Marshal(got.body)
			if err != nil {
				t.Fatal(err)
			}
			if got.status != c.status || string(body) != c.body || got.hidden != c.hidden {
				t.Errorf("got %d %s hidden %v, want %d %s hidden %v", got.status, body, got.hidden, c.status, c.body, c.hidden)
			}
		})
	}
}

func TestCanonicalPath(t *testing.T) {
	const want = "/v2.0/lbaas/pools/x/members"
	for _, in := range []string{
		"/v2.0/lbaas/pools/x/members", "/v2/lbaas/pools/x/members", "/v2/pools/x/members", "/v2.0/pools/x/members/",
		"/v2.0/lbaas/pools/x/members.json", "/v2.0//lbaas/pools/x/members",
	} {
		if got := canonicalPath(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"": "/", "/": "/", "/v2": "/v2.0", "/v2/": "/v2.0", "/v2/lbaas": "/v2.0", "/v2/octavia": "/v2.0",
		"/v2/octavia/amphorae": "/v2.0/octavia/amphorae", "/v2/colonnade/networks": "/v2.0/colonnade/networks",
		"/openapi.json": "/openapi.json", "/v3/x": "/v3/x",
	} {
		if got := canonicalPath(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
