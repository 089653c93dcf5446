package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/identity"
)

// people is an Authenticator whose tokens are "role[,role…]@project"; the role "noquota" is no role.
type people struct{}

func (people) Authenticate(r *http.Request) (identity.Principal, error) {
	roles, project, found := strings.Cut(r.Header.Get("X-Auth-Token"), "@")
	if !found {
		return identity.Principal{}, identity.ErrUnauthorized
	}
	return identity.Principal{UserID: "user-of-" + project, ProjectID: project, Roles: strings.Split(roles, ","), NoQuota: strings.Contains(roles, "noquota")}, nil
}

const quotas = "/v2.0/lbaas/quotas"

func TestQuotas(t *testing.T) {
	l := newLab(t, nil)
	all := func(project string, change map[string]any) map[string]any {
		want := map[string]any{"project_id": project, "tenant_id": project}
		for _, kind := range []string{"loadbalancer", "load_balancer", "listener", "pool", "member", "healthmonitor", "health_monitor", "l7policy", "l7rule"} {
			want[kind] = -1.0
			if v, changed := change[kind]; changed {
				want[kind] = v
			}
		}
		return want
	}
	same := func(want map[string]any, a answer) {
		t.Helper()
		if d := cmp.Diff(any(want), a.get(t, "quota")); d != "" {
			t.Error(d)
		}
	}
	same(all("p", nil), l.must(200, "GET", quotas+"/p", ""))
	same(all("p", nil), l.must(200, "GET", quotas+"/p/default", ""))
	same(all("default", nil), l.must(200, "GET", quotas+"/defaults", ""))
	l.must(404, "DELETE", quotas+"/p", "")
	if a := l.must(200, "GET", quotas, ""); a.body != `{"quotas":[],"quotas_links":[]}` {
		t.Error(a.body)
	}

	five := map[string]any{"loadbalancer": 5.0, "load_balancer": 5.0, "healthmonitor": 4.0, "health_monitor": 4.0}
	same(all("p", five), l.must(202, "PUT", quotas+"/p", `{"quota":{"load_balancer":5,"health_monitor":9,"healthmonitor":"4"}}`))
	same(all("p", five), l.must(202, "PUT", quotas+"/p", `{"quota":{}}`))
	same(all("p", five), l.must(200, "GET", quotas+"/p", ""))
	same(all("p", nil), l.must(200, "GET", quotas+"/p/default", ""))
	same(all("p", map[string]any{"loadbalancer": 5.0, "load_balancer": 5.0, "l7rule": 2000000000.0}),
		l.must(202, "PUT", quotas+"/p", `{"quota":{"health_monitor":null,"l7rule":2000000000}}`))
	for _, body := range []string{
		`{"quota":{"pool":-2}}`, `{"quota":{"pool":2000000001}}`, `{"quota":{"pool":"many"}}`, `{"quota":{"pool":true}}`,
		`{"quota":{"pools":1}}`, `{"quota":{"project_id":"q"}}`, `{"quota":null}`, `{}`, ``, `{"quotas":{}}`,
	} {
		l.must(400, "PUT", quotas+"/p", body)
	}
	l.must(400, "PUT", quotas+"/"+strings.Repeat("p", 37), `{"quota":{"pool":1}}`)
	if o := l.must(200, "GET", quotas+"/p?fields=pool&fields=project_id", "").get(t, "quota").(map[string]any); len(o) != 2 || o["pool"] != -1.0 {
		t.Error(o)
	}

	l.must(202, "PUT", quotas+"/q", `{"quota":{"pool":3}}`)
	a := l.must(200, "GET", quotas+"?limit=1", "")
	if a.get(t, "quotas.0.project_id") != "p" || !strings.Contains(a.get(t, "quotas_links.0.href").(string), "marker=p") {
		t.Error(a.body)
	}
	for _, query := range []string{"?marker=p", "?project_id=q", "?pool=3", "?sort=pool:desc&limit=1"} {
		a := l.must(200, "GET", quotas+query, "")
		if len(a.get(t, "quotas").([]any)) != 1 || a.get(t, "quotas.0.project_id") != "q" {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	if a := l.must(202, "DELETE", quotas+"/p", ""); a.body != "" {
		t.Error(a.body)
	}
	same(all("p", nil), l.must(200, "GET", quotas+"/p", ""))
}

func TestQuotaRoles(t *testing.T) {
	l := newLab(t, people{})
	as := func(who, method, path, body string) int {
		return l.do(method, path, body, "X-Auth-Token", who).status
	}
	if got := as("admin@a", "PUT", quotas+"/p", `{"quota":{"pool":1}}`); got != 202 {
		t.Fatal(got)
	}
	for role, want := range map[string][6]int{ // own, other's, list, all's list, defaults, PUT
		"load-balancer_member":          {200, 403, 200, 403, 200, 403},
		"reader":                        {200, 403, 200, 403, 200, 403},
		"load-balancer_observer":        {200, 403, 200, 403, 200, 403},
		"load-balancer_global_observer": {200, 200, 200, 200, 200, 403},
		"load-balancer_quota_admin":     {200, 200, 200, 200, 200, 202},
		"admin":                         {200, 200, 200, 200, 200, 202},
		"service":                       {403, 403, 403, 403, 403, 403},
	} {
		who := role + "@p"
		got := [6]int{
			as(who, "GET", quotas+"/p", ""), as(who, "GET", quotas+"/other", ""), as(who, "GET", quotas, ""),
			as(who, "GET", quotas+"?project_id=other", ""), as(who, "GET", quotas+"/p/default", ""), as(who, "PUT", quotas+"/p", `{"quota":{"pool":1}}`),
		}
		if got != want {
			t.Errorf("%s: %v, want %v", role, got, want)
		}
	}
	if got := as("load-balancer_quota_admin@p", "GET", "/v2.0/lbaas/loadbalancers", ""); got != 403 {
		t.Errorf("who sets quotas lists load balancers: %d", got)
	}
}

func TestQuotaIsEnforced(t *testing.T) {
	l := newLab(t, people{})
	as := func(who, method, path, body string) answer { return l.do(method, path, body, "X-Auth-Token", who) }
	const body = `{"loadbalancer":{"vip_subnet_id":"` + subnetID + `","pools":[{"name":"a","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[
		{"address":"198.18.10.1","protocol_port":80},{"address":"198.18.10.2","protocol_port":80}]}]}}`
	as("admin@a", "PUT", quotas+"/p", `{"quota":{"member":1,"loadbalancer":1}}`)
	ports := l.counts()["port"]
	a := as("member@p", "POST", "/v2.0/lbaas/loadbalancers", body)
	if a.status != 403 || a.get(t, "faultstring") != "Quota has been met for resources: Member" || a.get(t, "faultcode") != "Client" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if now := l.counts(); now["load_balancer"] != 0 || now["port"] != ports {
		t.Errorf("left behind: %v", now)
	}
	as("admin@a", "PUT", quotas+"/p", `{"quota":{"member":2}}`)
	a = as("member@p", "POST", "/v2.0/lbaas/loadbalancers", body)
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	l.settle(a.id(t, "loadbalancer"))
	members := "/v2.0/lbaas/pools/" + a.id(t, "loadbalancer.pools.0") + "/members"
	if a := as("member@p", "POST", members, `{"member":{"address":"198.18.10.3","protocol_port":80}}`); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := as("member@p", "PUT", members, `{"members":[{"address":"198.18.10.3","protocol_port":80},{"address":"198.18.10.4","protocol_port":80}]}`); a.status != 202 {
		t.Errorf("a batch that adds none: %d %s", a.status, a.body)
	}
	if a := as("member@p", "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`"}}`); a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := as("admin,noquota@p", "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`"}}`); a.status != 201 {
		t.Errorf("where no quota holds: %d %s", a.status, a.body)
	}
}
