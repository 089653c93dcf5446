package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := client.New(s.URL+"/load-balancer", "tok", "proj")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func TestListFollowsLinksAndKeepsFilters(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Auth-Token") != "tok" || r.Header.Get("X-Project-Id") != "proj" {
			t.Errorf("headers %v", r.Header)
		}
		asked = append(asked, r.URL.String())
		if r.URL.Query().Get("marker") == "" {
			// The link names a host that must not get the token.
			answer(w, 200, `{"pools":[{"id":"1"}],"pools_links":[{"rel":"next","href":"http://elsewhere.invalid/x?limit=1&marker=1"}]}`)
			return
		}
		answer(w, 200, `{"pools":[{"id":"2"}],"pools_links":[{"rel":"previous","href":"x"}]}`)
	})
	pools, err := c.Pools().List(t.Context(), url.Values{"name": {"n"}})
	if err != nil || len(pools) != 2 || pools[0].ID != "1" || pools[1].ID != "2" {
		t.Errorf("%v, %v", pools, err)
	}
	want := []string{"/load-balancer/v2.0/lbaas/pools?name=n", "/load-balancer/v2.0/lbaas/pools?limit=1&marker=1&name=n"}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}

func TestErrorTexts(t *testing.T) {
	for body, want := range map[string]string{
		`{"faultcode":"Client","faultstring":"a","debuginfo":null}`: "a",
		`{"code":404,"title":"Not Found","description":"b"}`:        "b",
		`{"error":{"code":401,"title":"t","message":"c"}}`:          "c",
		`<html>`: "the API answered 418 I'm a teapot ()",
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 418, body) })
		_, err := c.Pools().Get(t.Context(), "x")
		if err == nil || err.Error() != want || client.StatusOf(err) != 418 {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestWait(t *testing.T) {
	var n atomic.Int32
	steps := func(bodies ...string) *client.Client {
		n.Store(0)
		return serve(t, func(w http.ResponseWriter, _ *http.Request) {
			body := bodies[min(int(n.Add(1))-1, len(bodies)-1)]
			if body == "" {
				answer(w, 404, `{"faultstring":"gone"}`)
				return
			}
			answer(w, 200, `{"loadbalancer":`+body+`}`)
		})
	}
	const pending, active, failed = `{"provisioning_status":"PENDING_UPDATE"}`, `{"provisioning_status":"ACTIVE"}`, `{"provisioning_status":"ERROR","status_reason":"why"}`
	var seen []string
	l, err := steps(pending, active).WaitSettled(t.Context(), "x", func(l wire.LoadBalancer) { seen = append(seen, l.ProvisioningStatus) })
	if err != nil || l.ProvisioningStatus != "ACTIVE" || len(seen) != 2 {
		t.Errorf("%v, %v, %v", l, err, seen)
	}
	var fe *client.FailedError
	if _, err := steps(pending, failed).WaitSettled(t.Context(), "x", nil); !errors.As(err, &fe) || fe.Reason != "why" {
		t.Errorf("%v", err)
	}
	if err := steps(pending, "").WaitGone(t.Context(), "x", nil); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = steps(pending).WaitSettled(ctx, "x", func(wire.LoadBalancer) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
