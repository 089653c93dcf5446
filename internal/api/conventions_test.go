package api_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/api"
)

// everyRoot is every way to write the path of a collection of /v2.0/lbaas.
func everyRoot(collection string) (paths []string) {
	for _, root := range []string{"/v2/lbaas/", "/v2.0/lbaas/", "/v2/", "/v2.0/", "/load-balancer/v2.0/lbaas/", "/load-balancer/v2/"} {
		for _, end := range []string{"", "/", ".json"} {
			paths = append(paths, root+collection+end)
		}
	}
	return paths
}

func TestEveryRootOfEveryCollection(t *testing.T) {
	l := newLab(t, nil)
	lbID, _, poolID, _, _ := l.balancer()
	for collection, root := range map[string]string{
		"loadbalancers": "loadbalancers", "listeners": "listeners", "pools": "pools", "pools/" + poolID + "/members": "members",
		"healthmonitors": "healthmonitors", "quotas": "quotas",
	} {
		for _, path := range everyRoot(collection) {
			a := l.do("GET", path, "")
			if a.status != 200 || a.get(t, root) == nil || a.get(t, root+"_links") == nil {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	}
	for _, path := range []string{"/v2/octavia/amphorae", "/v2.0/octavia/amphorae/", "/v2/octavia/amphorae.json"} {
		if a := l.do("GET", path, ""); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/v2/loadbalancers/" + lbID, "/v2/lbaas/loadbalancers/" + lbID + "/", "/v2.0/lbaas/loadbalancers/" + lbID + ".json"} {
		if a := l.do("GET", path, ""); a.status != 200 || a.id(t, "loadbalancer") != lbID {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/v1/loadbalancers", "/v2/lbaas/amphorae", "/v2/amphorae", "/v2/lbaas/lbaas/pools", "/v2/pools/" + poolID + "/bogus", "/v2.1/lbaas/pools"} {
		if a := l.do("GET", path, ""); a.status != 404 || a.get(t, "title") != "Not Found" || a.get(t, "description") == nil {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestContentNegotiation(t *testing.T) {
	l := newLab(t, nil)
	const path = "/v2.0/lbaas/loadbalancers"
	for accept, want := range map[string]int{
		"": 200, " ": 200, "*/*": 200, "application/*": 200, "application/json": 200, "application/json; charset=utf-8": 200, "APPLICATION/JSON": 200,
		"text/html,application/json;q=0.1": 200, "text/html, */*;q=0.01": 200,
		"text/html": 406, "application/xml": 406, "application/json;q=0": 406, "*/*;q=0.0": 406, "text/*": 406, "json": 406,
	} {
		a := l.do("GET", path, "", "Accept", accept)
		if a.status != want || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("Accept %q: %d %s, want %d", accept, a.status, a.body, want)
		}
		if want == 406 && (a.get(t, "code") != 406.0 || a.get(t, "title") != "Not Acceptable" || a.get(t, "faultstring") != nil) {
			t.Errorf("Accept %q: %s", accept, a.body)
		}
	}
	body := `{"loadbalancer":{"vip_subnet_id":"` + subnetID + `"}}`
	for kind, want := range map[string]int{
		"": 201, "application/json": 201, "application/json; charset=utf-8": 201, "text/plain": 415, "text/xml": 415, "multipart/form-data; boundary=x": 415, "bogus": 415,
	} {
		if a := l.do("POST", path, body, "Content-Type", kind); a.status != want || want == 415 && a.get(t, "faultstring") == nil {
			t.Errorf("Content-Type %q: %d %s, want %d", kind, a.status, a.body, want)
		}
	}
	// A call without a body may name any type.
	lbID, _, _, _, _ := l.balancer()
	if a := l.do("PUT", path+"/"+lbID+"/failover", "", "Content-Type", "text/plain"); a.status != 202 || a.body != "" {
		t.Errorf("failover: %d %s", a.status, a.body)
	}
	if a := l.do("PUT", "/v2.0/lbaas/pools/"+strangerID+"/members", `{"members":`+strings.Repeat(" ", 114688)+`[]}`); a.status != 413 || a.get(t, "faultcode") != "Client" {
		t.Errorf("large body: %d %s", a.status, a.body)
	}
	if a := l.do("POST", path, `{"loadbalancer":{"name":"`+strings.Repeat("x", 110000)+`"}}`); a.status != 400 {
		t.Errorf("a body just below the limit: %d", a.status)
	}
}

var requestID = regexp.MustCompile(`^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func TestMethodsAndRequestIDs(t *testing.T) {
	l := newLab(t, people{})
	lbID := l.do("POST", "/v2/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`"}}`, "X-Auth-Token", "member@default").id(t, "loadbalancer")
	seen := map[string]bool{}
	for _, c := range []struct {
		who, method, path string
		status            int
		allow, body       string
	}{
		{"admin@p", "PATCH", "/v2.0/lbaas/loadbalancers", 405, "GET, HEAD, POST", `"code":405`},
		{"admin@p", "POST", "/v2.0/lbaas/loadbalancers/" + lbID, 405, "DELETE, GET, HEAD, PUT", `"title":"Method Not Allowed"`},
		{"admin@p", "POST", "/v2.0/lbaas/quotas", 405, "GET, HEAD", `"description"`},
		{"admin@p", "PUT", "/v2.0", 405, "GET, HEAD", `"code":405`},
		{"", "PATCH", "/v2.0/lbaas/loadbalancers", 401, "", `"error":{"code":401`},
		{"member@other", "GET", "/v2.0/lbaas/loadbalancers/" + lbID, 403, "", `{"faultcode":"Client","faultstring":"Policy does not allow this request to be performed.","debuginfo":null}`},
		{"member@other", "DELETE", "/v2.0/lbaas/loadbalancers/" + strangerID, 404, "", `{"faultcode":"Client","faultstring":"Load Balancer ` + strangerID + ` not found.","debuginfo":null}`},
		{"member@other", "GET", "/v2.0/lbaas/loadbalancers?project_id=default", 403, "", `Policy does not allow`},
		{"member@default", "HEAD", "/v2.0/lbaas/loadbalancers", 200, "", ""},
		{"", "GET", "/healthcheck", 404, "", `"code":404`},
		{"", "GET", "/", 200, "", `"versions"`},
	} {
		a := l.do(c.method, c.path, "", "X-Auth-Token", c.who)
		if a.status != c.status || a.header.Get("Allow") != c.allow || !strings.Contains(a.body, c.body) {
			t.Errorf("%s %s as %q: %d, Allow %q: %s", c.method, c.path, c.who, a.status, a.header.Get("Allow"), a.body)
		}
		if c.status == 401 && a.header.Get("Www-Authenticate") == "" {
			t.Errorf("401 without WWW-Authenticate: %v", a.header)
		}
		id := a.header.Get("X-Openstack-Request-Id")
		if !requestID.MatchString(id) || seen[id] {
			t.Errorf("request id %q", id)
		}
		seen[id] = true
	}
}

// Fields of every show and list; unknown ones are nothing, a comma separates none.
func TestFieldsOfEverything(t *testing.T) {
	l := newLab(t, nil)
	lbID, listenerID, poolID, memberID, monitorID := l.balancer()
	for path, root := range map[string]string{
		"loadbalancers/" + lbID: "loadbalancer", "listeners/" + listenerID: "listener", "pools/" + poolID: "pool",
		"pools/" + poolID + "/members/" + memberID: "member", "healthmonitors/" + monitorID: "healthmonitor",
	} {
		for query, want := range map[string][]string{
			"fields=id": {"id"}, "fields=id&fields=tenant_id&fields=bogus": {"id", "tenant_id"}, "fields=id,name": {}, "fields=": {},
		} {
			one := l.must(200, "GET", "/v2.0/lbaas/"+path+"?"+query, "").get(t, root).(map[string]any)
			collection := path[:strings.LastIndex(path, "/")]
			many := l.must(200, "GET", "/v2.0/lbaas/"+collection+"?"+query, "")
			for _, o := range append(many.get(t, root+"s").([]any), one) {
				var names []string
				for name := range o.(map[string]any) {
					names = append(names, name)
				}
				slices.Sort(names)
				if !slices.Equal(names, want) {
					t.Errorf("%s?%s: %v, want %v", path, query, names, want)
				}
			}
		}
	}
}

// Every attribute that an object shows as a plain value filters a list of them: by its value it is there, by another it
// is not.
func TestEveryPlainAttributeFilters(t *testing.T) {
	l := newLab(t, nil)
	lbID, listenerID, poolID, memberID, monitorID := l.balancer()
	l.must(200, "PUT", "/v2.0/lbaas/pools/"+poolID+"/members/"+memberID, `{"member":{"weight":7,"backup":true,"monitor_port":99,"monitor_address":"198.18.10.77","name":"m"}}`)
	l.settle(lbID)
	// Computed, lists, or of whole objects.
	none := map[string]bool{"tenant_id": true, "vip_vnic_type": true, "vnic_type": true, "client_authentication": true, "hsts_include_subdomains": true, "hsts_preload": true, "tls_enabled": true}
	for path, id := range map[string]string{
		"loadbalancers": lbID, "listeners": listenerID, "pools": poolID, "pools/" + poolID + "/members": memberID, "healthmonitors": monitorID,
	} {
		root := path[strings.LastIndex(path, "/")+1:]
		o := l.must(200, "GET", "/v2.0/lbaas/"+path+"/"+id, "").get(t, strings.TrimSuffix(root, "s")).(map[string]any)
		ids := func(query string) (ids []string) {
			for _, o := range l.must(200, "GET", "/v2.0/lbaas/"+path+"?"+query, "").get(t, root).([]any) {
				ids = append(ids, o.(map[string]any)["id"].(string))
			}
			return ids
		}
		n := 0
		for name, value := range o {
			if none[name] {
				continue
			}
			var values, others []string
			switch v := value.(type) {
			case string:
				values, others = []string{v}, []string{"x" + v}
				if strings.HasSuffix(name, "_at") {
					others = []string{"2001-01-01T00:00:00"}
				}
			case float64:
				b, _ := json.Marshal(v)
				values, others = []string{string(b)}, []string{"12345"}
			case bool:
				values, others = []string{fmt.Sprint(v), strings.ToUpper(fmt.Sprint(v)[:1]) + fmt.Sprint(v)[1:]}, []string{fmt.Sprint(!v)}
			default:
				continue
			}
			n++
			for _, v := range values {
				if got := ids(name + "=" + url.QueryEscape(v)); !slices.Contains(got, id) {
					t.Errorf("%s: %s=%s finds %v", path, name, v, got)
				}
			}
			for _, v := range others {
				if got := ids(name + "=" + url.QueryEscape(v)); slices.Contains(got, id) {
					t.Errorf("%s: %s=%s finds it", path, name, v)
				}
			}
		}
		if n < 8 {
			t.Errorf("%s: %d attributes", path, n)
		}
		for _, query := range []string{"tenant_id=default", "bogus=1", "name=a&name=b", "listeners=x", "created_at=yesterday", "created_at=0000-01-01T00:00:00", "admin_state_up=perhaps"} {
			if a := l.do("GET", "/v2.0/lbaas/"+path+"?"+query, ""); a.status != 400 || a.get(t, "faultcode") != "Client" {
				t.Errorf("%s?%s: %d %s", path, query, a.status, a.body)
			}
		}
	}
}

func TestTagFilters(t *testing.T) {
	l := newLab(t, nil)
	for name, tags := range map[string]string{"none": ``, "a": `"a"`, "b": `"b"`, "ab": `"a","b"`, "odd": `"a b","A","%"`} {
		l.must(201, "POST", "/v2.0/lbaas/loadbalancers", fmt.Sprintf(`{"loadbalancer":{"vip_subnet_id":%q,"name":%q,"tags":[%s]}}`, subnetID, name, tags))
	}
	for query, want := range map[string]string{
		"tags=a": "a ab", "tags=a,b": "ab", "tags=a&tags=b": "ab", "tags=A": "odd", "tags=%25": "odd", "tags=a+b": "odd",
		"tags-any=a,b": "a ab b", "tags-any=a&tags-any=A": "a ab odd",
		"not-tags=a": "b none odd", "not-tags=a,b": "a b none odd", "not-tags-any=a,b": "none odd",
		"tags=a&not-tags=b": "a", "tags-any=a,b&not-tags-any=a": "b", "tags=c": "", "not-tags-any=c": "a ab b none odd",
	} {
		var names []string
		for _, o := range l.must(200, "GET", "/v2.0/lbaas/loadbalancers?sort=name&"+query, "").get(t, "loadbalancers").([]any) {
			names = append(names, o.(map[string]any)["name"].(string))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// Pages forward and backward show the same rows in the same order, by links alone.
func TestPages(t *testing.T) {
	l := newLab(t, nil)
	for i := range 7 {
		l.must(201, "POST", "/v2.0/lbaas/loadbalancers", fmt.Sprintf(`{"loadbalancer":{"vip_subnet_id":%q,"name":"n%d","description":"d%d"}}`, subnetID, i, i%2))
	}
	type page struct {
		names []string
		links map[string]string
	}
	get := func(path string) (p page) {
		t.Helper()
		a := l.must(200, "GET", path, "")
		for _, o := range a.get(t, "loadbalancers").([]any) {
			p.names = append(p.names, o.(map[string]any)["name"].(string))
		}
		p.links = map[string]string{}
		for _, o := range a.get(t, "loadbalancers_links").([]any) {
			o := o.(map[string]any)
			if len(o) != 2 {
				t.Errorf("link %v", o)
			}
			p.links[o["rel"].(string)] = strings.TrimPrefix(o["href"].(string), "http://example.com")
		}
		return p
	}
	for order, want := range map[string][]string{
		"": {"n0", "n1", "n2", "n3", "n4", "n5", "n6"}, "&sort=name:desc": {"n6", "n5", "n4", "n3", "n2", "n1", "n0"},
		"&sort=description:desc,name:ASC": {"n1", "n3", "n5", "n0", "n2", "n4", "n6"}, "&sort_key=description,name&sort_dir=desc": {"n1", "n3", "n5", "n0", "n2", "n4", "n6"},
	} {
		for _, limit := range []int{1, 2, 3, 7, 8} {
			first := get(fmt.Sprintf("/v2/lbaas/loadbalancers?limit=%d%s", limit, order))
			if first.links["previous"] != "" {
				t.Errorf("%q: a page before the first: %v", order, first.links)
			}
			var pages []page
			for p := first; ; p = get(p.links["next"]) {
				if len(p.names) > 0 {
					pages = append(pages, p)
				}
				if full := len(p.names) == limit; full != (p.links["next"] != "") {
					t.Fatalf("%q limit %d: %d rows, next %q", order, limit, len(p.names), p.links["next"])
				} else if !full {
					break
				}
			}
			var all []string
			for _, p := range pages {
				all = append(all, p.names...)
			}
			if d := cmp.Diff(want, all); d != "" {
				t.Errorf("%q limit %d: %s", order, limit, d)
			}
			// Back from the last page: each is the nearest before, in the same order, and leads forward again.
			for i := len(pages) - 1; i > 0; i-- {
				href := pages[i].links["previous"]
				u, err := url.Parse(href)
				if err != nil || u.Path != "/v2/lbaas/loadbalancers" || u.Query().Get("page_reverse") != "True" || u.Query().Get("limit") != fmt.Sprint(limit) || u.Query().Get("marker") == "" {
					t.Fatalf("%q: previous is %q", order, href)
				}
				back := get(href)
				if d := cmp.Diff(pages[i-1].names, back.names); d != "" {
					t.Errorf("%q limit %d: back from page %d: %s", order, limit, i, d)
				}
				if d := cmp.Diff(pages[i].names, get(back.links["next"]).names); d != "" {
					t.Errorf("%q limit %d: forward again to page %d: %s", order, limit, i, d)
				}
			}
		}
	}
	for _, query := range []string{"marker=" + strangerID, "sort=bogus", "sort_key=bogus"} { // of the list
		if a := l.must(400, "GET", "/v2/loadbalancers?"+query, ""); a.get(t, "faultcode") != "Client" {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	for _, query := range []string{"limit=x", "limit=1.5", "sort=name:up", "sort_key=name&sort_dir=up"} { // of the way there
		if a := l.must(400, "GET", "/v2/loadbalancers?"+query, ""); a.get(t, "code") != 400.0 {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	for _, query := range []string{"limit=0", "limit=-1", "limit=infinite", "limit=1000000"} {
		if p := get("/v2/loadbalancers?" + query); len(p.names) != 7 {
			t.Errorf("%s: %v", query, p.names)
		}
	}
	// Links name the path as it was asked, paging and sorting, and nothing else.
	p := get("/load-balancer/v2.0/loadbalancers?limit=2&sort=name&fields=name&name=n0&description=d0&project_id=default")
	if len(p.links) != 0 || len(p.names) != 1 {
		t.Errorf("%v", p)
	}
	p = get("/load-balancer/v2.0/loadbalancers?limit=1&sort=name&fields=name&admin_state_up=true&tags-any=")
	for rel, href := range p.links {
		t.Errorf("%s %s", rel, href)
	}
	p = get("/load-balancer/v2.0/loadbalancers?limit=1&sort=name&fields=id&fields=name&admin_state_up=true")
	u, err := url.Parse(p.links["next"])
	if err != nil || u.Path != "/load-balancer/v2.0/lbaas/loadbalancers" && u.Path != "/load-balancer/v2.0/loadbalancers" || len(u.Query()) != 3 {
		t.Errorf("next is %q", p.links["next"])
	}
}

func TestOperatorsPageLimitAndAddress(t *testing.T) {
	l := newLab(t, nil, api.DefaultSettings())
	for range 3 {
		l.must(201, "POST", "/v2/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`"}}`)
	}
	l.with(func(d *api.Deps) { d.Edge = api.Edge{PageLimit: 2, BaseURI: "https://lb.example"} })
	for _, query := range []string{"", "?limit=infinite", "?limit=100"} {
		a := l.must(200, "GET", "/v2.0/lbaas/loadbalancers"+query, "")
		href, _ := a.get(t, "loadbalancers_links.0.href").(string)
		if n := len(a.get(t, "loadbalancers").([]any)); n != 2 || !strings.HasPrefix(href, "https://lb.example/v2.0/lbaas/loadbalancers?limit=2&marker=") {
			t.Errorf("%s: %d rows, %s", query, n, href)
		}
	}
	if got := l.must(200, "GET", "/", "").get(t, "versions.0.links.0.href"); got != "https://lb.example/v2" {
		t.Error(got)
	}
}
