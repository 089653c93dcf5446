package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"colonnade/internal/lb"
)

// What clients of Octavia trip over, by number. Those about resources that this release does not have
// (4 and 16) hold that nothing is there that would answer differently.
func TestCompatibilityTraps(t *testing.T) {
	const lbs, listeners, pools, monitors = "/v2.0/lbaas/loadbalancers", "/v2.0/lbaas/listeners", "/v2.0/lbaas/pools", "/v2.0/lbaas/healthmonitors"
	l := newLab(t, nil)
	lbID, listenerID, poolID, memberID, monitorID := l.balancer()
	members := pools + "/" + poolID + "/members"
	bare := func() string {
		t.Helper()
		id := l.must(201, "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`"}}`).id(t, "loadbalancer")
		l.settle(id)
		return id
	}
	text := func(a answer) string {
		t.Helper()
		s, _ := a.get(t, "faultstring").(string)
		return s
	}
	// put sets the load balancer's provisioning status as the worker would.
	put := func(id string, s lb.ProvisioningStatus) {
		t.Helper()
		tree, err := l.store.Tree(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		lease := lb.Lease{Kind: lb.WorkWorker, Key: id, Epoch: tree.LoadBalancer.Epoch}
		err = l.store.UpdateTree(t.Context(), lease, func(t *lb.Tree) (lb.Outcome, error) {
			t.LoadBalancer.ProvisioningStatus = s
			return lb.Outcome{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	t.Run("1 absent, null and empty", func(t *testing.T) {
		id := bare()
		pool := l.must(201, "POST", pools, `{"pool":{"loadbalancer_id":"`+id+`","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN"}}`)
		p := pool.get(t, "pool").(map[string]any)
		if _, there := p["healthmonitor_id"]; there {
			t.Error("healthmonitor_id of a pool without a monitor is there")
		}
		if v, there := p["session_persistence"]; !there || v != nil {
			t.Errorf("session_persistence %v, %v", v, there)
		}
		if got := l.must(200, "GET", pools+"/"+poolID, "").get(t, "pool.healthmonitor_id"); got != monitorID {
			t.Errorf("healthmonitor_id %v", got)
		}
		a := l.must(200, "GET", listeners+"/"+listenerID, "")
		for _, want := range []string{`"allowed_cidrs":null`, `"insert_headers":{}`, `"sni_container_refs":[]`} {
			if !strings.Contains(a.body, want) {
				t.Errorf("no %s in %s", want, a.body)
			}
		}
		if !strings.Contains(l.must(200, "GET", lbs+"/"+lbID, "").body, `"vip_sg_ids":[]`) {
			t.Error("vip_sg_ids is not []")
		}
	})
	t.Run("2 name and description are never null, updated_at is before the first change", func(t *testing.T) {
		a := l.must(201, "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","name":null,"description":null}}`)
		for _, want := range []string{`"name":""`, `"description":""`, `"updated_at":null`} {
			if !strings.Contains(a.body, want) {
				t.Errorf("no %s in %s", want, a.body)
			}
		}
	})
	t.Run("3 tenant_id beside project_id", func(t *testing.T) {
		for _, path := range []string{lbs + "/" + lbID, listeners + "/" + listenerID, pools + "/" + poolID, members + "/" + memberID, monitors + "/" + monitorID} {
			for _, o := range l.must(200, "GET", path, "").get(t, "").(map[string]any) {
				o := o.(map[string]any)
				if o["project_id"] == nil || o["tenant_id"] != o["project_id"] {
					t.Errorf("%s: %v, %v", path, o["project_id"], o["tenant_id"])
				}
			}
		}
	})
	t.Run("4 profiles' links are named by the singular", func(t *testing.T) {
		for path, links := range map[string]string{"flavorprofiles": "flavorprofile_links", "availabilityzoneprofiles": "availability_zone_profile_links"} {
			if a := l.must(200, "GET", "/v2.0/lbaas/"+path, ""); a.get(t, links) == nil {
				t.Errorf("%s: no %s: %s", path, links, a.body)
			}
		}
	})
	t.Run("5 an object and a path that are not there differ in shape", func(t *testing.T) {
		if a := l.must(404, "GET", members+"/"+strangerID, ""); text(a) != "Member "+strangerID+" not found." {
			t.Errorf("object: %s", a.body)
		}
		for _, path := range []string{pools + "/" + strangerID + "/members", "/v2.0/lbaas/bogus"} {
			if a := l.must(404, "GET", path, ""); a.get(t, "code") != 404.0 || a.get(t, "faultstring") != nil {
				t.Errorf("path: %s", a.body)
			}
		}
	})
	t.Run("6 an immutable field is 400", func(t *testing.T) {
		if a := l.must(400, "PUT", listeners+"/"+listenerID, `{"listener":{"protocol":"TCP"}}`); text(a) != "Unknown attribute for argument listener_.listener: protocol" {
			t.Error(a.body)
		}
	})
	t.Run("7 busy load balancers have two texts", func(t *testing.T) {
		id := bare()
		l.must(200, "PUT", lbs+"/"+id, `{"loadbalancer":{"name":"x"}}`)
		if got, want := text(l.must(409, "PUT", lbs+"/"+id, `{"loadbalancer":{"name":"y"}}`)), "Invalid state PENDING_UPDATE of loadbalancer resource "+id; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got, want := text(l.must(409, "POST", listeners, `{"listener":{"loadbalancer_id":"`+id+`","protocol":"TCP","protocol_port":1}}`)), "Load Balancer "+id+" is immutable and cannot be updated."; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("8 POST shows the tree, GET and PUT ids", func(t *testing.T) {
		a := l.must(201, "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","pools":[{"name":"p","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[{"address":"198.18.10.9","protocol_port":80}]}]}}`)
		if got := a.get(t, "loadbalancer.pools.0.members.0.address"); got != "198.18.10.9" {
			t.Errorf("POST: %v", got)
		}
		id := a.id(t, "loadbalancer")
		l.settle(id)
		for _, a := range []answer{l.must(200, "GET", lbs+"/"+id, ""), l.must(200, "PUT", lbs+"/"+id, `{"loadbalancer":{}}`)} {
			if got := a.get(t, "loadbalancer.pools.0").(map[string]any); len(got) != 1 || got["id"] == nil {
				t.Errorf("%v", got)
			}
		}
	})
	t.Run("9 ERROR takes DELETE alone", func(t *testing.T) {
		id := bare()
		put(id, lb.Error)
		l.must(409, "PUT", lbs+"/"+id, `{"loadbalancer":{"name":"x"}}`)
		l.must(409, "POST", listeners, `{"listener":{"loadbalancer_id":"`+id+`","protocol":"TCP","protocol_port":1}}`)
		l.must(204, "DELETE", lbs+"/"+id, "")
	})
	t.Run("10 PENDING_DELETE is there, what is gone is 404", func(t *testing.T) {
		id := bare()
		listener := l.must(201, "POST", listeners, `{"listener":{"loadbalancer_id":"`+id+`","protocol":"TCP","protocol_port":1}}`).id(t, "listener")
		l.settle(id)
		l.must(204, "DELETE", listeners+"/"+listener, "")
		if got := l.must(200, "GET", listeners+"/"+listener, "").get(t, "listener.provisioning_status"); got != "PENDING_DELETE" {
			t.Error(got)
		}
		l.settle(id)
		l.must(404, "GET", listeners+"/"+listener, "")
		l.must(204, "DELETE", lbs+"/"+id, "")
		l.must(200, "GET", lbs+"/"+id, "")
		tree, err := l.store.Tree(t.Context(), id)
		if err == nil {
			err = l.store.FinishDelete(t.Context(), lb.Lease{Kind: lb.WorkWorker, Key: id, Epoch: tree.LoadBalancer.Epoch})
		}
		if err != nil {
			t.Fatal(err)
		}
		l.must(404, "GET", lbs+"/"+id, "")
		if strings.Contains(l.must(200, "GET", lbs, "").body, id) {
			t.Error("a DELETED load balancer is listed")
		}
	})
	t.Run("11 fields may be repeated, unknown ones are nothing", func(t *testing.T) {
		o := l.must(200, "GET", lbs+"/"+lbID+"?fields=id&fields=name&fields=bogus", "").get(t, "loadbalancer").(map[string]any)
		if len(o) != 2 || o["id"] != lbID || o["name"] != "web" {
			t.Errorf("%v", o)
		}
		if o := l.must(200, "GET", lbs+"?fields=id,name", "").get(t, "loadbalancers.0").(map[string]any); len(o) != 0 {
			t.Errorf("%v", o)
		}
	})
	t.Run("12 204 for DELETE, 202 for a batch and for quotas", func(t *testing.T) {
		if a := l.must(202, "PUT", members, `{"members":[{"address":"198.18.10.50","protocol_port":8080,"weight":3}]}`); a.body != "" {
			t.Errorf("batch: %q", a.body)
		}
		l.settle(lbID)
		if a := l.must(204, "DELETE", monitors+"/"+monitorID, ""); a.body != "" || a.header.Get("Content-Type") != "" {
			t.Errorf("delete: %q %v", a.body, a.header)
		}
		l.settle(lbID)
		if a := l.must(202, "PUT", quotas+"/default", `{"quota":{"pool":100}}`); a.get(t, "quota.pool") != 100.0 {
			t.Errorf("quota: %s", a.body)
		}
		if a := l.must(202, "DELETE", quotas+"/default", ""); a.body != "" {
			t.Errorf("quota: %q", a.body)
		}
	})
	t.Run("13 ranges are normalised, addresses are not", func(t *testing.T) {
		a := l.must(200, "PUT", listeners+"/"+listenerID, `{"listener":{"allowed_cidrs":["10.0.0.5/8"]}}`)
		if got := a.get(t, "listener.allowed_cidrs.0"); got != "10.0.0.0/8" {
			t.Error(got)
		}
		l.settle(lbID)
		a = l.must(200, "PUT", members+"/"+memberID, `{"member":{"monitor_address":"2001:DB8:0::9"}}`)
		if got := a.get(t, "member.monitor_address"); got != "2001:DB8:0::9" {
			t.Error(got)
		}
		l.settle(lbID)
	})
	t.Run("14 31 versions, the last CURRENT", func(t *testing.T) {
		for _, v := range l.must(200, "GET", "/", "").get(t, "versions").([]any) {
			v := v.(map[string]any)
			if want := map[bool]string{true: "CURRENT", false: "SUPPORTED"}[v["id"] == "v2.30"]; v["status"] != want {
				t.Errorf("%v is %v", v["id"], v["status"])
			}
		}
	})
	t.Run("15 lists of choices are at the end of the text", func(t *testing.T) {
		got := text(l.must(400, "POST", pools, `{"pool":{"loadbalancer_id":"`+lbID+`","protocol":"HTTP","lb_algorithm":"BEST"}}`))
		if !strings.HasPrefix(got, "Invalid input for field/attribute lb_algorithm. Value: 'BEST'. Value should be one of: ") {
			t.Error(got)
		}
	})
	t.Run("16 positions of policies are 1…n", func(t *testing.T) {
		id := bare()
		li := l.must(201, "POST", listeners, `{"listener":{"loadbalancer_id":"`+id+`","protocol":"HTTP","protocol_port":80}}`).id(t, "listener")
		l.settle(id)
		for _, c := range []struct{ name, position string }{{"b", "7"}, {"d", "9"}, {"a", "1"}, {"c", "3"}} {
			l.must(201, "POST", "/v2.0/lbaas/l7policies", `{"l7policy":{"listener_id":"`+li+`","action":"REJECT","name":"`+c.name+`","position":`+c.position+`}}`)
			l.settle(id)
		}
		for i, name := range []string{"a", "b", "c", "d"} {
			if got := l.must(200, "GET", "/v2.0/lbaas/l7policies?listener_id="+li+"&name="+name, "").get(t, "l7policies.0.position"); got != float64(i+1) {
				t.Errorf("%s is at %v", name, got)
			}
		}
	})
	t.Run("17 listeners are alike by transport", func(t *testing.T) {
		id := bare()
		l.must(201, "POST", listeners, `{"listener":{"loadbalancer_id":"`+id+`","protocol":"HTTPS","protocol_port":443}}`)
		l.settle(id)
		for _, p := range []string{"HTTP", "HTTPS", "TCP"} {
			l.must(409, "POST", listeners, `{"listener":{"loadbalancer_id":"`+id+`","protocol":"`+p+`","protocol_port":443}}`)
		}
		for a, row := range map[string]string{"HTTP": "TCP", "HTTPS": "TCP", "TCP": "TCP", "TERMINATED_HTTPS": "TCP", "PROMETHEUS": "TCP", "UDP": "UDP", "SCTP": "SCTP"} {
			for _, b := range []string{"TCP", "UDP", "SCTP"} {
				if lb.SameTransport(a, b) != (row == b) {
					t.Errorf("%s and %s", a, b)
				}
			}
		}
	})
	t.Run("18 a member that is being deleted still has its place", func(t *testing.T) {
		id := l.must(201, "POST", members, `{"member":{"address":"198.18.10.99","protocol_port":1}}`).id(t, "member")
		l.settle(lbID)
		l.must(204, "DELETE", members+"/"+id, "")
		// The pool waits for the worker now; where changes coalesce the place itself says no.
		tree, err := l.store.Tree(t.Context(), lbID)
		if err != nil {
			t.Fatal(err)
		}
		tree.AcceptPending = true
		err = tree.AddMember(poolID, lb.Member{ID: strangerID, Address: "198.18.10.99", ProtocolPort: 1})
		if lb.KindOf(err) != lb.KindConflict || !strings.Contains(err.Error(), "already using ip 198.18.10.99") {
			t.Errorf("%v", err)
		}
		l.settle(lbID)
	})
	t.Run("19 the provider's name and alias", func(t *testing.T) {
		if got := l.must(200, "GET", lbs+"/"+lbID, "").get(t, "loadbalancer.provider"); got != "amphora" {
			t.Error(got)
		}
		a := l.must(201, "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","provider":"octavia"}}`)
		if got := a.get(t, "loadbalancer.provider"); got != "octavia" {
			t.Error(got)
		}
	})
	t.Run("20 what upstream does wrong", func(t *testing.T) {
		for _, c := range []struct {
			method, path, body string
			status             int
		}{
			{"POST", lbs, `{}`, 400},
			{"POST", pools, `{"pool":{"listener_id":"` + strangerID + `","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN"}}`, 404},
			{"GET", lbs + "?name=a&name=b", "", 400},
			{"GET", lbs + "/" + lbID + "/foo", "", 404},
			{"GET", lbs + "?sort=name%27%3B", "", 400},
		} {
			a := l.must(c.status, c.method, c.path, c.body)
			if s := strings.ToLower(a.body); strings.Contains(s, "sql") || strings.Contains(s, "select ") {
				t.Errorf("%s %s: %s", c.method, c.path, a.body)
			}
		}
		// The page before a marker is the nearest one, in the same order.
		var names []string
		for i := range 6 {
			l.must(201, "POST", lbs, fmt.Sprintf(`{"loadbalancer":{"vip_subnet_id":%q,"name":"page%d","project_id":"pages"}}`, subnetID, i))
		}
		last := l.must(200, "GET", lbs+"?project_id=pages&sort=name", "").get(t, "loadbalancers.5.id").(string)
		for _, o := range l.must(200, "GET", lbs+"?project_id=pages&sort=name&limit=2&page_reverse=True&marker="+last, "").get(t, "loadbalancers").([]any) {
			names = append(names, o.(map[string]any)["name"].(string))
		}
		if !slices.Equal(names, []string{"page3", "page4"}) {
			t.Errorf("%v", names)
		}
	})
}
