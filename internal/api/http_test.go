package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/identity"
)

func TestRoots(t *testing.T) {
	l := newLab(t, nil)
	for base, path := range map[string]string{"http://example.com": "/", "http://example.com/load-balancer": "/load-balancer/"} {
		a := l.do("GET", path, "", "X-Auth-Token", "") // anybody may
		if a.status != 200 {
			t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
		versions := a.get(t, "versions").([]any)
		if len(versions) != 31 {
			t.Errorf("%d versions, want 31", len(versions))
		}
		want := map[string]any{
			"id": "v2.30", "status": "CURRENT", "updated": "2025-02-26T00:00:00Z",
			"links": []any{map[string]any{"href": base + "/v2", "rel": "self"}},
		}
		if diff := cmp.Diff(want, versions[len(versions)-1]); diff != "" {
			t.Error(diff)
		}
		if s := a.get(t, "versions.29.status"); s != "SUPPORTED" {
			t.Errorf("v2.29 is %v", s)
		}
	}
	for _, path := range []string{"/v2", "/v2/", "/v2.0", "/v2/lbaas", "/v2/octavia", "/load-balancer/v2.0"} {
		if a := l.do("GET", path, ""); a.status != 200 || a.body != `"v2"` {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := l.do("GET", "/openapi.json", "", "X-Auth-Token", ""); a.status != 200 || a.get(t, "openapi") != "3.1.0" {
		t.Errorf("openapi.json: %d %.80s", a.status, a.body)
	}
}

func TestShapesOfRefusals(t *testing.T) {
	l := newLab(t, nil)
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		want                     string
	}{
		{"nobody", "GET", "/v2.0/lbaas/loadbalancers", "", []string{"X-Auth-Token", ""}, 401, `"title":"Unauthorized"`},
		{"wrong token", "GET", "/v2.0/lbaas/loadbalancers", "", []string{"X-Auth-Token", token + "0"}, 401, `"code":401`},
		{"nobody, unknown path", "GET", "/v2.0/x", "", []string{"X-Auth-Token", ""}, 401, `"error"`},
		{"bearer", "GET", "/v2.0/lbaas/loadbalancers", "", []string{"X-Auth-Token", "", "Authorization", "Bearer " + token}, 200, `"loadbalancers":[]`},
		{"unknown path", "GET", "/v2.0/lbaas/x", "", nil, 404, `"title":"Not Found"`},
		{"amphorae are not there", "GET", "/v2/lbaas/amphorae", "", nil, 404, `"code":404`},
		{"unknown child", "GET", "/v2.0/lbaas/loadbalancers/" + strangerID + "/foo", "", nil, 404, `"code":404`},
		{"method", "DELETE", "/v2.0/lbaas/loadbalancers", "", nil, 405, `"title":"Method Not Allowed"`},
		{"accept", "GET", "/v2.0/lbaas/loadbalancers", "", []string{"Accept", "text/html"}, 406, `"code":406`},
		{"accept anything", "GET", "/v2.0/lbaas/loadbalancers", "", []string{"Accept", "text/html, */*;q=0.1"}, 200, ``},
		{"mime", "POST", "/v2.0/lbaas/loadbalancers", "a=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, `"faultcode":"Client"`},
		{"too large", "POST", "/v2.0/lbaas/loadbalancers", `{"x":"` + strings.Repeat("a", 114688) + `"}`, nil, 413, `"faultcode":"Client"`},
		{"limit", "GET", "/v2.0/lbaas/loadbalancers?limit=x", "", nil, 400, `"code":400`},
		{"sort direction", "GET", "/v2.0/lbaas/loadbalancers?sort=name:up", "", nil, 400, `"code":400`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := l.do(c.method, c.path, c.body, c.header...)
			if a.status != c.status || !strings.Contains(a.body, c.want) {
				t.Errorf("%d %s, want %d with %s", a.status, a.body, c.status, c.want)
			}
			if !strings.HasPrefix(a.header.Get("X-Openstack-Request-Id"), "req-") || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", a.header)
			}
			if c.status == 405 && !strings.Contains(a.header.Get("Allow"), "POST") {
				t.Errorf("Allow: %s", a.header.Get("Allow"))
			}
		})
	}
}

func TestLists(t *testing.T) {
	l := newLab(t, nil)
	for i := range 5 {
		l.must(201, "POST", "/v2.0/lbaas/loadbalancers", fmt.Sprintf(`{"loadbalancer":{"vip_subnet_id":%q,"name":"n%d","project_id":"p%d","tags":["t%d","all"]}}`, subnetID, i, i%2, i))
	}
	names := func(a answer) string {
		t.Helper()
		var s []string
		for _, o := range a.get(t, "loadbalancers").([]any) {
			s = append(s, fmt.Sprint(o.(map[string]any)["name"]))
		}
		return strings.Join(s, " ")
	}
	link := func(a answer, rel string) string {
		t.Helper()
		for _, o := range a.get(t, "loadbalancers_links").([]any) {
			if o := o.(map[string]any); o["rel"] == rel {
				return strings.TrimPrefix(o["href"].(string), "http://example.com")
			}
		}
		return ""
	}
	for query, want := range map[string]string{
		"sort=name": "n0 n1 n2 n3 n4", "sort=name:desc": "n4 n3 n2 n1 n0", "sort_key=project_id,name&sort_dir=desc,asc": "n1 n3 n0 n2 n4",
		"sort=name&project_id=p1": "n1 n3", "name=n2": "n2", "name=none": "", "sort=name&tags=all,t1": "n1", "sort=name&tags-any=t1,t2": "n1 n2",
		"sort=name&not-tags=t1": "n0 n2 n3 n4", "sort=name&limit=2": "n0 n1", "sort=name&limit=0": "n0 n1 n2 n3 n4", "sort=name&limit=infinite": "n0 n1 n2 n3 n4",
		"admin_state_up=False": "", "sort=name&provisioning_status=PENDING_CREATE": "n0 n1 n2 n3 n4",
	} {
		if got := names(l.must(200, "GET", "/v2.0/lbaas/loadbalancers?"+query, "")); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	first := l.must(200, "GET", "/v2/loadbalancers?sort=name&limit=2", "")
	second := l.must(200, "GET", link(first, "next"), "")
	third := l.must(200, "GET", link(second, "next"), "")
	back := l.must(200, "GET", link(third, "previous"), "")
	for i, c := range []struct {
		a    answer
		want string
	}{{first, "n0 n1"}, {second, "n2 n3"}, {third, "n4"}, {back, "n2 n3"}} {
		if got := names(c.a); got != c.want {
			t.Errorf("page %d: %q, want %q", i, got, c.want)
		}
	}
	if link(first, "previous") != "" || link(third, "next") != "" {
		t.Error("links that lead nowhere")
	}
	a := l.must(200, "GET", "/v2.0/lbaas/loadbalancers?fields=name&fields=provider&fields=bogus&name=n1", "")
	if diff := cmp.Diff([]any{map[string]any{"name": "n1", "provider": "amphora"}}, a.get(t, "loadbalancers")); diff != "" {
		t.Error(diff)
	}
	id := l.must(200, "GET", "/v2.0/lbaas/loadbalancers?name=n1", "").id(t, "loadbalancers.0")
	a = l.must(200, "GET", "/v2.0/lbaas/loadbalancers/"+id+"?fields=name", "")
	if diff := cmp.Diff(map[string]any{"name": "n1"}, a.get(t, "loadbalancer")); diff != "" {
		t.Error(diff)
	}
}

// roles is an authenticator that believes what the request says.
type roles struct{}

func (roles) Authenticate(r *http.Request) (identity.Principal, error) {
	return identity.Principal{UserID: "u", ProjectID: r.Header.Get("X-Project-Id"), Roles: strings.Fields(r.Header.Get("X-Roles"))}, nil
}

func TestProjectsAreApart(t *testing.T) {
	l := newLab(t, roles{})
	as := func(project, role string) []string { return []string{"X-Project-Id", project, "X-Roles", role} }
	body := `{"loadbalancer":{"vip_subnet_id":"` + subnetID + `","name":"mine"}}`
	made := l.do("POST", "/v2.0/lbaas/loadbalancers", body, as("a", "member")...)
	if made.status != 201 || made.get(t, "loadbalancer.project_id") != "a" {
		t.Fatalf("%d %s", made.status, made.body)
	}
	path := "/v2.0/lbaas/loadbalancers/" + made.id(t, "loadbalancer")
	for _, c := range []struct {
		project, role          string
		show, list, post, oper int // status, rows, status, status
	}{
		{"a", "load-balancer_member", 200, 1, 400, 403},
		{"a", "member", 200, 1, 400, 403},
		{"a", "reader", 200, 1, 403, 403},
		{"a", "load-balancer_observer", 200, 1, 403, 403},
		{"b", "member", 403, 0, 400, 403},
		{"b", "reader", 403, 0, 403, 403},
		{"b", "load-balancer_global_observer", 200, 1, 403, 403},
		{"b", "admin", 200, 1, 400, 200},
		{"b", "load-balancer_admin", 200, 1, 400, 200},
		{"a", "", 403, -1, 403, 403},
		{"", "member", 403, -1, 400, 403}, // which project?
	} {
		t.Run(c.project+" "+c.role, func(t *testing.T) {
			h := as(c.project, c.role)
			if a := l.do("GET", path, "", h...); a.status != c.show {
				t.Errorf("show: %d, want %d", a.status, c.show)
			}
			a := l.do("GET", "/v2.0/lbaas/loadbalancers", "", h...)
			if c.list < 0 {
				if a.status != 403 {
					t.Errorf("list: %d, want 403", a.status)
				}
			} else if n := len(a.get(t, "loadbalancers").([]any)); n != c.list {
				t.Errorf("list: %d rows, want %d", n, c.list)
			}
			// A body that is allowed and wrong: 400 shows that the right to write was there.
			if a := l.do("POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{}}`, h...); a.status != c.post {
				t.Errorf("post: %d, want %d", a.status, c.post)
			}
			for _, resource := range []string{"amphorae", "clusters", "distributors"} {
				if a := l.do("GET", "/v2.0/octavia/"+resource, "", h...); a.status != c.oper {
					t.Errorf("%s: %d, want %d", resource, a.status, c.oper)
				}
			}
		})
	}
	if a := l.do("GET", "/v2.0/lbaas/loadbalancers?project_id=a", "", as("b", "member")...); a.status != 403 {
		t.Errorf("list of another project: %d, want 403", a.status)
	}
	if a := l.do("DELETE", path, "", as("b", "member")...); a.status != 403 {
		t.Errorf("delete in another project: %d, want 403", a.status)
	}
}

func TestNetworks(t *testing.T) {
	l := newLab(t, nil)
	a := l.must(201, "POST", "/v2.0/colonnade/networks", `{"network":{"name":"n","cidr":"198.18.20.0/24"}}`)
	id := a.id(t, "network")
	a = l.must(200, "GET", "/v2.0/colonnade/networks?name=n", "")
	if got := a.get(t, "networks.0.subnets.0.cidr"); got != "198.18.20.0/24" {
		t.Errorf("cidr %v", got)
	}
	l.must(200, "GET", "/v2.0/colonnade/networks/"+id, "")
	l.must(204, "DELETE", "/v2.0/colonnade/networks/"+id, "")
	l.must(404, "GET", "/v2.0/colonnade/networks/"+id, "")
	l.must(400, "POST", "/v2.0/colonnade/networks", `{"network":{"name":"n","cidr":"x"}}`)
}
