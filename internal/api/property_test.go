package api_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"colonnade/internal/api"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// choices are valid values of fields, few enough that calls collide; what is not here is drawn by its kind.
var choices = map[string][]string{
	"protocol":      {`"HTTP"`, `"HTTP"`, `"TCP"`, `"HTTPS"`, `"PROXY"`, `"UDP"`},
	"protocol_port": {"80", "81", `"82"`}, "address": {`"198.18.10.1"`, `"198.18.10.2"`, `"2001:db8::1"`}, "lb_algorithm": {`"ROUND_ROBIN"`, `"SOURCE_IP"`, `"SOURCE_IP_PORT"`},
	"name": {`"a"`, `"b"`, `""`}, "delay": {"1", "5"}, "timeout": {"1"}, "max_retries": {"1", "10"},
	"cookie_name": {`"c"`}, "insert_headers": {`{"X-Forwarded-For":"True"}`, "{}"}, "allowed_cidrs": {`["10.0.0.5/8"]`, "[]", `["2001:db8::/32"]`}, "tags": {`["a"]`, "[]"},
	"url_path": {`"/"`, `"/a"`}, "expected_codes": {`"200"`}, "http_version": {"1.1", "1.0"}, "domain_name": {`"a.example"`}, "http_method": {`"HEAD"`},
	"position": {"1", "2", "9"}, "action": {`"REJECT"`, `"REDIRECT_TO_POOL"`, `"REDIRECT_TO_URL"`}, "redirect_url": {`"http://a/"`}, "redirect_prefix": {`"https://a"`}, "redirect_http_code": {"301", `"308"`, "302"},
	"compare_type": {`"REGEX"`, `"EQUAL_TO"`, `"STARTS_WITH"`}, "value": {`"/a"`, `"true"`, `"0"`}, "key": {`"K"`},
	"vip_subnet_id": {quoted(bigSubnetID)}, "provider": {`"octavia"`}, "subnet_id": {quoted(subnetID), quoted(bigSubnetID)}, "connection_limit": {"-1", "5"}, "weight": {"0", "256"},
}

const bigSubnetID = "77777777-7777-4777-8777-777777777777"

// caller makes calls about one load balancer.
type caller struct {
	l     *lab
	table map[string][]field
	tree  lb.Tree
}

// ids are the ids that a field may name now, and one that names nothing.
func (c *caller) ids(field string) []string {
	var out []string
	for _, l := range c.tree.Listeners {
		if field == "listener_id" && l.Protocol == lb.ProtocolHTTP {
			out = append(out, l.ID, l.ID)
		}
	}
	for _, p := range c.tree.Pools {
		if field == "default_pool_id" || field == "pool_id" || field == "redirect_pool_id" {
			out = append(out, p.ID)
		}
	}
	if field == "loadbalancer_id" {
		out = append(out, c.tree.LoadBalancer.ID, c.tree.LoadBalancer.ID, c.tree.LoadBalancer.ID)
	}
	return append(out, strangerID)
}

// object draws an object of a resource: the mandatory fields nearly always, the others at times, now and then a wrong value.
func (c *caller) object(t *rapid.T, resource string, creating bool, depth int) string {
	var fields []byte
	for _, f := range c.table[resource] {
		if creating && !f.create || !creating && !f.update || f.absent || f.nested != "" && depth == 0 {
			continue
		}
		wanted := f.mandatory || f.alone || f.name == "vip_subnet_id" || resource == "pool" && (f.name == "name" || f.name == "loadbalancer_id")
		if resource == "l7policy" && f.name == "listener_id" {
			wanted = depth == 2
		}
		if depth < 2 && (f.name == "loadbalancer_id" || f.name == "pool_id" || f.name == "listener_id") {
			wanted = false
		}
		odds := rapid.IntRange(0, 19).Draw(t, f.name)
		if wanted && odds == 17 || !wanted && odds < 16 { // small numbers are drawn more often

			continue
		}
		fields = fmt.Appendf(fields, "%q:%s,", f.name, c.value(t, f, creating, depth))
	}
	return "{" + string(fields[:max(0, len(fields)-1)]) + "}"
}

func (c *caller) value(t *rapid.T, f field, creating bool, depth int) string {
	switch odds := rapid.IntRange(0, 39).Draw(t, "odds"); {
	case odds == 29 && f.nulled != "400":
		return "null"
	case odds == 37:
		w := (place{creating: creating}).wrongs(nil, field{name: f.name, kind: "uuid"})
		return rapid.SampledFrom(w).Filter(func(w wrong) bool { return w.raw != "" && len(w.raw) < 1000 }).Draw(t, "wrong").raw
	}
	if f.kind == "word" && f.name == "type" {
		return quoted(rapid.SampledFrom(f.args).Draw(t, "value"))
	}
	if these := choices[f.name]; these != nil {
		return rapid.SampledFrom(these).Draw(t, "value")
	}
	switch f.kind {
	case "truth":
		return rapid.SampledFrom([]string{"true", "false", "true"}).Draw(t, "value")
	case "whole":
		return fmt.Sprint(rapid.IntRange(0, 10).Draw(t, "value"))
	case "uuid":
		return quoted(rapid.SampledFrom(c.ids(f.name)).Draw(t, "id"))
	case "nested":
		v := c.object(t, f.nested, true, depth-1)
		if f.list {
			v = "[" + v + "]"
		}
		return v
	case "texts", "uuids", "cidrs":
		return "[]"
	case "map":
		return "{}"
	case "word":
		return quoted(rapid.SampledFrom(f.args).Draw(t, "value"))
	}
	return `"default"`
}

// request draws a call.
func (c *caller) request(t *rapid.T) (method, path, body string) {
	lbs := []string{c.tree.LoadBalancer.ID}
	var listeners, pools, monitors, policies []string
	var members, rules [][2]string
	for _, l := range c.tree.Listeners {
		listeners = append(listeners, l.ID)
		for _, p := range l.L7Policies {
			policies = append(policies, p.ID)
			for _, r := range p.Rules {
				rules = append(rules, [2]string{p.ID, r.ID})
			}
			rules = append(rules, [2]string{p.ID, strangerID})
		}
	}
	policies, rules = append(policies, strangerID), append(rules, [2]string{strangerID, strangerID})
	for _, p := range c.tree.Pools {
		pools = append(pools, p.ID)
		for _, m := range p.Members {
			members = append(members, [2]string{p.ID, m.ID})
		}
		members = append(members, [2]string{p.ID, strangerID})
		if p.HealthMonitor != nil {
			monitors = append(monitors, p.HealthMonitor.ID)
		}
	}
	listeners, pools, monitors = append(listeners, strangerID), append(pools, strangerID), append(monitors, strangerID)
	members = append(members, [2]string{strangerID, strangerID})
	pick := func(ids []string) string { return rapid.SampledFrom(ids).Draw(t, "id") }
	resource := rapid.SampledFrom([]string{"loadbalancer", "listener", "pool", "member", "healthmonitor", "listener", "pool", "member", "batch", "l7policy", "l7policy", "rule", "rule"}).Draw(t, "resource")
	method = rapid.SampledFrom([]string{"POST", "POST", "PUT", "PUT", "DELETE", "GET"}).Draw(t, "method")
	path = "/v2.0/lbaas/" + resource + "s"
	id := ""
	switch resource {
	case "loadbalancer":
		if method == "POST" {
			method = "PUT" // one load balancer is enough
		}
		id = pick(lbs)
		if method == "DELETE" {
			id += "?cascade=" + rapid.SampledFrom([]string{"false", "perhaps"}).Draw(t, "cascade")
		}
	case "listener":
		id = pick(listeners)
	case "pool":
		id = pick(pools)
	case "healthmonitor":
		id = pick(monitors)
	case "l7policy":
		path, id = "/v2.0/lbaas/l7policies", pick(policies)
	case "rule":
		at := rapid.SampledFrom(rules).Draw(t, "rule")
		path, id = "/v2.0/lbaas/l7policies/"+at[0]+"/rules", at[1]
	case "member":
		at := rapid.SampledFrom(members).Draw(t, "member")
		path, id = "/v2.0/lbaas/pools/"+at[0]+"/members", at[1]
	case "batch":
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) json.RawMessage {
			return json.RawMessage(c.object(t, "member", true, 2))
		}), 0, 4).Draw(t, "members")
		b := "["
		for i, m := range list {
			if i > 0 {
				b += ","
			}
			b += string(m)
		}
		return "PUT", "/v2.0/lbaas/pools/" + pick(pools) + "/members?additive_only=" + rapid.SampledFrom([]string{"true", "false", ""}).Draw(t, "additive"), `{"members":` + b + `]}`
	}
	if method != "POST" {
		path += "/" + id
	}
	if method == "POST" || method == "PUT" {
		body = `{"` + resource + `":` + c.object(t, resource, method == "POST", 2) + `}`
	}
	return method, path, body
}

// No sequence of valid and invalid calls breaks a tree or makes the API fail, and a refused call changes nothing.
func TestNoSequenceOfCallsBreaksATree(t *testing.T) {
	long := os.Getenv("COLONNADE_LONG") != ""
	if given := flag.Lookup("rapid.checks"); !long && given.Value.String() == given.DefValue {
		if err := given.Value.Set("40"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = given.Value.Set(given.DefValue) })
	}
	for _, accept := range []bool{false, true} {
		t.Run(fmt.Sprintf("accept while pending %v", accept), func(t *testing.T) {
			settings := api.DefaultSettings()
			settings.AcceptWhilePending = accept
			l := newLab(t, nil, settings)
			subnet := network.Subnet{
				ID: bigSubnetID, NetworkID: bigSubnetID, Name: "big", CIDR: "198.19.0.0/16", GatewayIP: "198.19.0.1",
				AllocationStart: "198.19.0.2", AllocationEnd: "198.19.255.254",
			}
			if _, err := (rows{l.store}).CreateNetwork(t.Context(), network.Network{ID: bigSubnetID, Name: "big", ProjectID: "default", MTU: 1500, Subnets: []network.Subnet{subnet}}); err != nil {
				t.Fatal(err)
			}
			answers := map[string]int{}
			rapid.Check(t, func(rt *rapid.T) {
				c := &caller{l: l, table: parseFields(t)}
				a := l.do("POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":`+c.object(rt, "loadbalancer", true, 3)+`}`)
				answers[fmt.Sprint("POST tree ", a.status)]++
				if a.status != 201 {
					if a.status >= 500 && a.status != 501 || a.status < 400 {
						rt.Fatalf("create: %d %s", a.status, a.body)
					}
					a = l.must(201, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+bigSubnetID+`",
						"pools":[{"name":"a","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[{"address":"198.18.10.1","protocol_port":80}]},{"name":"b","protocol":"TCP","lb_algorithm":"ROUND_ROBIN",
						"healthmonitor":{"type":"TCP","delay":1,"timeout":1,"max_retries":1}}],"listeners":[{"protocol":"HTTP","protocol_port":80,"default_pool":{"name":"a"}}]}}`)
				}
				lbID := a.id(t, "loadbalancer")
				read := func() lb.Tree {
					tree, err := l.store.Tree(t.Context(), lbID)
					if err == nil {
						err = tree.Check()
					}
					if err != nil {
						rt.Fatal(err)
					}
					return tree
				}
				c.tree = read()
				for range rapid.IntRange(6, 15).Draw(rt, "calls") {
					if !accept || rapid.Bool().Draw(rt, "settle") {
						if c.tree.LoadBalancer.ProvisioningStatus == lb.PendingDelete {
							return
						}
						l.settle(lbID)
						c.tree = read()
					}
					method, path, body := c.request(rt)
					a := l.do(method, path, body)
					answers[fmt.Sprint(method, " ", a.status)]++
					after := read()
					switch {
					case a.status >= 500 && a.status != 501, a.status < 200, a.status >= 300 && a.status < 400:
						rt.Fatalf("%s %s %s: %d %s", method, path, body, a.status, a.body)
					case (a.status >= 400 || method == "GET") && !cmp.Equal(c.tree, after):
						rt.Fatalf("%s %s %s: %d, and changed: %s", method, path, body, a.status, cmp.Diff(c.tree, after))
					case after.LoadBalancer.Revision < c.tree.LoadBalancer.Revision:
						rt.Fatalf("%s %s: revision from %d to %d", method, path, c.tree.LoadBalancer.Revision, after.LoadBalancer.Revision)
					}
					c.tree = after
				}
			})
			for _, want := range []string{"POST tree 201", "POST 201", "POST 400", "POST 501", "PUT 200", "PUT 202", "POST 409", "PUT 400", "PUT 404", "DELETE 204", "GET 200", "GET 404"} {
				if long && answers[want] == 0 { // few calls may miss one
					t.Errorf("never answered %s: %v", want, answers)
				}
			}
			t.Logf("%v", answers)
		})
	}
}
