package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/api"
	"colonnade/internal/store/storetest"
)

const events = "/v2.0/colonnade/events"

// history is what a list of events says, oldest first, each in the words of the wanted fields.
func (l *lab) history(who, query string, fields ...string) []string {
	l.t.Helper()
	a := l.do("GET", events+"?sort=id"+query, "", "X-Auth-Token", who)
	if a.status != 200 {
		l.t.Fatalf("%s: %d %s", query, a.status, a.body)
	}
	var lines []string
	for _, o := range a.get(l.t, "events").([]any) {
		lines = append(lines, line(o.(map[string]any), fields...))
	}
	return lines
}

func line(o map[string]any, fields ...string) string {
	var words []string
	for _, f := range fields {
		if v := o[f]; v == nil {
			words = append(words, "-")
		} else if s, text := v.(string); text {
			words = append(words, s)
		} else {
			b, _ := json.Marshal(v)
			words = append(words, string(b))
		}
	}
	return strings.Join(words, "|")
}

func TestE22EveryChangeLeavesAnEvent(t *testing.T) {
	l := newLab(t, people{})
	as := func(who string, status int, method, path, body string) answer {
		t.Helper()
		a := l.do(method, path, body, "X-Auth-Token", who, "X-Forwarded-For", "203.0.113.9")
		if a.status != status {
			t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
		}
		return a
	}
	made := as("member@p", 201, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","pools":[{"name":"a","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[
		{"address":"198.18.10.1","protocol_port":80},{"address":"198.18.10.2","protocol_port":80}]}]}}`)
	id, pool, member := made.id(t, "loadbalancer"), made.id(t, "loadbalancer.pools.0"), made.id(t, "loadbalancer.pools.0.members.0")
	l.settle(id)
	members := "/v2.0/lbaas/pools/" + pool + "/members"
	changed := as("member,reader@p", 200, "PUT", members+"/"+member, `{"member":{"weight":0,"tags":["x"],"name":"new"}}`)
	l.settle(id)
	as("member@p", 200, "PUT", members+"/"+member, `{"member":{"weight":0}}`) // changes nothing
	l.settle(id)
	as("member@p", 200, "PUT", "/v2.0/lbaas/loadbalancers/"+id, `{"loadbalancer":{"name":"web"}}`)
	as("member@p", 409, "PUT", "/v2.0/lbaas/loadbalancers/"+id, `{"loadbalancer":{"name":"shop"}}`)
	as("member@p", 409, "DELETE", members+"/"+member, "")
	as("member@p", 400, "PUT", "/v2.0/lbaas/pools/"+pool, `{"pool":{"protocol":"hunter2"}}`)
	as("member@p", 400, "PUT", "/v2.0/lbaas/pools/"+pool, `{"pool":{"lb_algorithm":"hunter2"}}`)
	as("member@other", 403, "DELETE", "/v2.0/lbaas/loadbalancers/"+id, "")
	as("member@p", 404, "DELETE", "/v2.0/lbaas/loadbalancers/"+strangerID, "")
	as("admin@a", 202, "PUT", quotas+"/p", `{"quota":{"pool":7,"member":null}}`)
	as("admin@a", 202, "DELETE", quotas+"/p", "")
	l.settle(id)
	as("admin@a", 202, "PUT", "/v2.0/lbaas/loadbalancers/"+id+"/failover", "")
	l.settle(id)
	network := as("admin@a", 201, "POST", "/v2.0/colonnade/networks", `{"network":{"name":"n","cidr":"198.18.77.0/24"}}`).id(t, "network")
	as("member@p", 204, "DELETE", "/v2.0/lbaas/loadbalancers/"+id+"?cascade=true", "")

	want := []string{
		"load balancer created|create-load-balancer|user-of-p|p|201|" + id + "|" + id + "|with 1 pool, 2 members",
		"member updated|update-member|user-of-p|p|200|" + id + "|" + member + "|-",
		"member updated|update-member|user-of-p|p|200|" + id + "|" + member + "|-",
		"load balancer updated|update-load-balancer|user-of-p|p|200|" + id + "|" + id + "|-",
		"update load balancer refused|update-load-balancer|user-of-p|p|409|" + id + "|" + id + "|Invalid state PENDING_UPDATE of loadbalancer resource " + id,
		"delete member refused|delete-member|user-of-p|p|409|" + id + "|" + member + "|Load Balancer " + id + " is immutable and cannot be updated.",
		"update pool refused|update-pool|user-of-p|p|400|-|" + pool + "|Unknown attribute for argument pool_.pool: protocol",
		"update pool refused|update-pool|user-of-p|p|400|-|" + pool + "|Invalid input for field/attribute lb_algorithm. Value should be one of: LEAST_CONNECTIONS, ROUND_ROBIN, SOURCE_IP, SOURCE_IP_PORT",
		"delete load balancer refused|delete-load-balancer|user-of-other|other|403|" + id + "|" + id + "|Policy does not allow this request to be performed.",
		"delete load balancer refused|delete-load-balancer|user-of-p|p|404|" + strangerID + "|" + strangerID + "|Load Balancer " + strangerID + " not found.",
		"quota updated|update-quota|user-of-a|p|202|-|p|-",
		"quota reset|reset-quota|user-of-a|p|202|-|p|-",
		"load balancer failover requested|failover-load-balancer|user-of-a|p|202|" + id + "|" + id + "|-",
		"network created|create-network|user-of-a|a|201|-|" + network + "|-",
		"load balancer deletion requested|delete-load-balancer|user-of-p|p|204|" + id + "|" + id + "|-",
	}
	got := l.history("admin@a", "", "action", "operation", "actor", "project_id", "outcome", "loadbalancer_id", "object_id", "reason")
	var own []string // what the children of a deleted load balancer leave is told by the tree's tests
	for _, s := range got {
		if !strings.HasPrefix(s, "pool deletion") && !strings.HasPrefix(s, "member deletion") {
			own = append(own, s)
		}
	}
	if d := cmp.Diff(want, own); d != "" {
		t.Error(d)
	}
	if got := strings.Join(got, "\n"); strings.Contains(got, "hunter2") {
		t.Error("what was sent is in the history")
	}

	t.Run("who, from where, what changed, for which request", func(t *testing.T) {
		e := l.do("GET", events+"?object_id="+member+"&sort=id&limit=1", "", "X-Auth-Token", "reader@p").get(t, "events.0").(map[string]any)
		want := map[string]any{
			"id": e["id"], "at": e["at"], "project_id": "p", "loadbalancer_id": id, "object_kind": "member", "object_id": member,
			"action": "member updated", "actor": "user-of-p", "actor_project_id": "p", "actor_roles": []any{"member", "reader"},
			"address": "192.0.2.1", "operation": "update-member", "request_id": changed.header.Get("X-Openstack-Request-Id"), "outcome": 200.0, "reason": nil,
			"changes": []any{
				map[string]any{"field": "name", "from": "", "to": "new"},
				map[string]any{"field": "weight", "from": 1.0, "to": 0.0},
				map[string]any{"field": "tags"},
			},
		}
		if d := cmp.Diff(want, e); d != "" {
			t.Error(d)
		}
	})
	t.Run("projects see their own, and not where operators are", func(t *testing.T) {
		for who, want := range map[string]int{"reader@other": 1, "load-balancer_global_observer@x": len(got), "member@nobody": 0} {
			if n := len(l.history(who, "", "id")); n != want {
				t.Errorf("%s sees %d events, want %d", who, n, want)
			}
		}
		if a := l.do("GET", events+"?project_id=p", "", "X-Auth-Token", "reader@other"); a.status != 403 {
			t.Errorf("%d %s", a.status, a.body)
		}
		if a := l.do("GET", events, "", "X-Auth-Token", "service@p"); a.status != 403 {
			t.Errorf("%d %s", a.status, a.body)
		}
		const failover = "&action=load+balancer+failover+requested"
		if got := l.history("reader@p", failover, "actor", "address", "actor_roles"); len(got) != 1 || got[0] != "user-of-a|-|[]" {
			t.Errorf("%v", got)
		}
		if got := l.history("admin@a", failover, "actor", "address", "actor_roles"); len(got) != 1 || got[0] != `user-of-a|192.0.2.1|["admin"]` {
			t.Errorf("%v", got)
		}
	})
	t.Run("filters, times, pages", func(t *testing.T) {
		for query, want := range map[string]int{
			"&loadbalancer_id=" + id + "&action=member+updated": 2, "&object_kind=quota": 2, "&actor=user-of-a": 4, "&outcome=409": 2,
			"&operation=update-pool": 2, "&object_id=" + network: 1, "&since=2001-01-01": len(got), "&since=2999-01-01T00:00:00": 0,
			"&until=2001-01-01T00:00:00Z": 0, "&until=2999-01-01": len(got), "&request_id=" + changed.header.Get("X-Openstack-Request-Id"): 1, "&project_id=other": 1,
		} {
			if n := len(l.history("admin@a", query, "id")); n != want {
				t.Errorf("%s: %d events, want %d", query, n, want)
			}
		}
		for _, query := range []string{"?since=yesterday", "?until=0000-01-01", "?marker=x", "?marker=123456", "?bogus=1", "?since=2026-01-01&since=2026-01-02", "?id=x"} {
			if a := l.do("GET", events+query, "", "X-Auth-Token", "admin@a"); a.status != 400 {
				t.Errorf("%s: %d %s", query, a.status, a.body)
			}
		}
		// Newest first, page by page.
		first := l.do("GET", events+"?limit=2", "", "X-Auth-Token", "admin@a")
		href := first.get(t, "events_links.0.href").(string)
		second := l.do("GET", strings.TrimPrefix(href, "http://example.com"), "", "X-Auth-Token", "admin@a")
		back := l.do("GET", strings.TrimPrefix(second.get(t, "events_links.0.href").(string), "http://example.com"), "", "X-Auth-Token", "admin@a")
		newest := fmt.Sprint(first.get(t, "events.0.id"), " ", first.get(t, "events.1.id"), " ", second.get(t, "events.0.id"), " ", back.get(t, "events.0.id"))
		n := len(got)
		if want := fmt.Sprint(n, " ", n-1, " ", n-2, " ", n); newest != want {
			t.Errorf("%s, want %s", newest, want)
		}
	})
}

func TestE22RefusalsDoNotFillTheDisk(t *testing.T) {
	l := newLab(t, people{})
	for range 60 {
		l.do("POST", "/v2.0/lbaas/pools", `{"pool":{}}`, "X-Auth-Token", "member@p")
	}
	id := l.do("POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`"}}`, "X-Auth-Token", "member@p").id(t, "loadbalancer")
	l.settle(id)
	for range 10 { // nothing changes
		l.do("PUT", "/v2.0/lbaas/loadbalancers/"+id, `{"loadbalancer":{}}`, "X-Auth-Token", "member@p")
	}
	got := l.history("admin@a", "&project_id=p", "action")
	if len(got) < 20 || len(got) > 23 { // one more for each ten seconds that it took
		t.Errorf("%d events: %v", len(got), got)
	}
	if n := len(l.history("admin@a", "&project_id=p&action=load+balancer+created", "id")); n != 1 {
		t.Errorf("what was done is not recorded: %v", got)
	}
	l.do("DELETE", "/v2.0/lbaas/pools/"+strangerID, "", "X-Auth-Token", "member@other")
	if n := len(l.history("admin@a", "&project_id=other", "id")); n != 1 {
		t.Errorf("%d events of another project", n)
	}
}

// following is a client of the stream.
type following struct {
	resp   *http.Response
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func follow(t *testing.T, base, who, query, lastID string) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", base+events+"/stream"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", who)
	r.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	f := &following{resp, bufio.NewScanner(resp.Body), cancel}
	t.Cleanup(func() { cancel(); _ = resp.Body.Close() })
	return f
}

// next is the next event in the words of its fields; "" when the stream has ended.
func (f *following) next(t *testing.T, fields ...string) string {
	t.Helper()
	for f.lines.Scan() {
		data, found := strings.CutPrefix(f.lines.Text(), "data: ")
		if !found {
			continue
		}
		var o map[string]any
		if err := json.Unmarshal([]byte(data), &o); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		return line(o, fields...)
	}
	return ""
}

func TestE22EventsAreFollowed(t *testing.T) {
	for _, d := range storetest.Databases {
		t.Run(d.Name, func(t *testing.T) {
			dsn := d.New(t)
			// Two processes over one database: what is done at one is seen at both.
			one, two := newLabOn(t, dsn, people{}), newLabOn(t, dsn, people{})
			here, there := serve(t, one), serve(t, two)
			create := func(name string) string {
				t.Helper()
				return one.do("POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"name":"`+name+`","vip_subnet_id":"`+subnetID+`"}}`, "X-Auth-Token", "member@"+name).id(t, "loadbalancer")
			}
			streams := map[string]*following{
				"here":    follow(t, here.URL, "admin@a", "", ""),
				"there":   follow(t, there.URL, "admin@a", "?action=load+balancer+created", ""),
				"project": follow(t, there.URL, "reader@p", "", ""),
			}
			for name, f := range streams {
				if f.resp.StatusCode != 200 || f.resp.Header.Get("Content-Type") != "text/event-stream" {
					t.Fatalf("%s: %d %v", name, f.resp.StatusCode, f.resp.Header)
				}
			}
			first, own := create("q"), create("p")
			for name, want := range map[string][]string{"here": {first, own}, "there": {first, own}, "project": {own}} {
				for _, id := range want {
					if got := streams[name].next(t, "action", "object_id", "project_id"); got != "load balancer created|"+id+"|"+map[string]string{first: "q", own: "p"}[id] {
						t.Errorf("%s: %s, want %s", name, got, id)
					}
				}
			}
			// Whoever comes back gets what they missed, and nothing twice.
			streams["there"].cancel()
			third := create("p")
			again := follow(t, there.URL, "admin@a", "?object_kind=load+balancer", "1")
			fourth := create("q")
			for _, id := range []string{own, third, fourth} {
				if got := again.next(t, "object_id"); got != id {
					t.Errorf("%s, want %s", got, id)
				}
			}
			// A server that is stopped lets all go at once.
			began := time.Now()
			stop, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := there.Config.Shutdown(stop); err != nil {
				t.Errorf("after %s: %v", time.Since(began), err)
			}
			if got := again.next(t, "id"); got != "" {
				t.Errorf("after the end: %s", got)
			}
			if got := streams["here"].next(t, "object_id"); got != third {
				t.Errorf("the other process: %s, want %s", got, third)
			}
		})
	}
}

func TestE22StreamsAreRefused(t *testing.T) {
	l := newLab(t, people{})
	s := serve(t, l)
	for _, c := range []struct {
		who, query, last string
		status           int
	}{
		{"reader@p", "?project_id=other", "", 403},
		{"service@p", "", "", 403},
		{"", "", "", 401},
		{"reader@p", "?bogus=1", "", 400},
		{"reader@p", "?since=2026-01-01", "", 400},
		{"reader@p", "", "x", 400},
		{"reader@p", "", "-1", 400},
		{"reader@p", "", "1234567", 200},
	} {
		if f := follow(t, s.URL, c.who, c.query, c.last); f.resp.StatusCode != c.status {
			t.Errorf("%s %s %s: %d, want %d", c.who, c.query, c.last, f.resp.StatusCode, c.status)
		} else {
			f.cancel()
		}
	}
	if a := l.do("GET", events+"/stream", "", "X-Auth-Token", "reader@p", "Accept", "application/json"); a.status != 406 {
		t.Errorf("%d %s", a.status, a.body)
	}
	for i := range 17 {
		want := 200
		if i == 16 {
			want = 503
		}
		if f := follow(t, s.URL, "reader@many", "", ""); f.resp.StatusCode != want {
			t.Errorf("stream %d of one user: %d", i, f.resp.StatusCode)
		}
	}
}

func serve(t *testing.T, l *lab) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = api.NewServer(l.handler)
	s.Start()
	t.Cleanup(func() {
		_ = l.handler.(interface{ Close() error }).Close()
		s.Close()
	})
	return s
}

// The Network API and the key manager have routers of their own; what is changed by them is recorded all the same, and
// no secret is.
func TestE22OtherAPIsLeaveEvents(t *testing.T) {
	l, _ := networkLab(t)
	l.header = project("p", "member")
	n := l.must(201, "POST", "/network/v2.0/networks", `{"network":{"name":"back"}}`).id(t, "network")
	l.must(400, "POST", "/network/v2.0/networks", `{"network":{"bogus":1}}`)
	ref := l.keep("tell nobody")
	secret := ref[strings.LastIndex(ref, "/")+1:]
	l.must(400, "POST", keyManager+"/secrets", `{"payload":"tell nobody","payload_content_type":"text/plain","bogus":1}`)
	l.must(204, "DELETE", pathOf(ref), "")
	l.must(204, "DELETE", "/network/v2.0/networks/"+n, "")
	a := l.must(200, "GET", events+"?sort=id", "")
	var got []string
	for _, o := range a.get(t, "events").([]any) {
		got = append(got, line(o.(map[string]any), "action", "object_id", "project_id", "outcome"))
	}
	want := []string{
		"network created|" + n + "|p|201", "create network refused|-|p|400", "secret created|" + secret + "|p|201", "create secret refused|-|p|400",
		"secret deleted|" + secret + "|p|204", "network deleted|" + n + "|p|204",
	}
	if d := cmp.Diff(want, got); d != "" || strings.Contains(a.body, "tell nobody") {
		t.Error(d)
	}
}
