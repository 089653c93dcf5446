package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Queries of all lists, against the database.
func FuzzListQueries(f *testing.F) {
	for _, s := range []string{
		"sort=name:desc,id&limit=2&fields=id&fields=name", "tags=a,b&not-tags-any=c", "marker=99999999-9999-4999-8999-999999999999&page_reverse=True",
		"admin_state_up=False&protocol_port=80&created_at=2026-01-01T00:00:00", "name=%00", "name=%zz", "limit=-1", "limit=9223372036854775808", "sort_key=a&sort_dir=b",
		"project_id=%27%20OR%201%3D1", "name=a&name=b", "tags=%25_%21%5C%22", "created_at=0000-00-00T00:00:00", "weight=9223372036854775807", ";", "&&=&=", "tenant_id=x",
	} {
		f.Add(s)
	}
	l := newLab(f, nil)
	_, _, poolID, _, _ := l.balancer()
	f.Fuzz(func(t *testing.T, query string) {
		for _, c := range []string{"lbaas/loadbalancers", "lbaas/listeners", "lbaas/pools", "lbaas/pools/" + poolID + "/members", "lbaas/healthmonitors", "octavia/amphorae", "octavia/clusters", "octavia/distributors", "colonnade/networks"} {
			r := httptest.NewRequest(http.MethodGet, "/v2.0/"+c, nil)
			r.URL.RawQuery = query
			r.Header.Set("X-Auth-Token", token)
			w := httptest.NewRecorder()
			l.handler.ServeHTTP(w, r)
			if w.Code >= 500 || w.Code != 200 && w.Code != 400 {
				t.Errorf("%s?%s: %d %.300s", c, query, w.Code, w.Body)
			}
		}
	})
}
