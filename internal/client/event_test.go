package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

// Whoever follows comes back where they were, and gives up when they are refused.
func TestFollowEvents(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery+" "+r.Header.Get("Last-Event-ID")+" "+r.Header.Get("X-Auth-Token"))
		switch len(asked) {
		case 1:
			fmt.Fprint(w, "retry: 1\n\nid: 7\ndata: {\"id\":\"7\",\"action\":\"a\"}\n\n: still here\n\nid: 8\ndata: {\"id\":\"8\",\"action\":\"b\"}\n\n")
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			fmt.Fprint(w, "id: 9\ndata: {\"id\":\"9\",\"action\":\"c\"}\n\n")
		default:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"faultstring":"no more"}`)
		}
	})
	var got []string
	err := c.FollowEvents(t.Context(), map[string][]string{"actor": {"ann"}}, "5", func(e wire.Event) error {
		got = append(got, e.ID+e.Action)
		return nil
	})
	if client.StatusOf(err) != http.StatusForbidden || strings.Join(got, " ") != "7a 8b 9c" {
		t.Errorf("%v, %v", got, err)
	}
	if want := "actor=ann 5 tok,actor=ann 8 tok,actor=ann 8 tok,actor=ann 9 tok"; strings.Join(asked, ",") != want {
		t.Errorf("asked %q, want %q", asked, want)
	}
	asked = asked[:0]
	enough := errors.New("enough")
	if err := c.FollowEvents(t.Context(), nil, "", func(wire.Event) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked = asked[:0]
	if err := c.FollowEvents(ctx, nil, "", func(wire.Event) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
