package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const l7policies = "/v2.0/lbaas/l7policies"

func TestL7PolicyFields(t *testing.T) {
	l := newLab(t, nil)
	lbID, listenerID, poolID, _, _ := l.balancer()
	a := l.must(201, "POST", l7policies, `{"l7policy":{"listener_id":"`+listenerID+`","action":"REDIRECT_TO_POOL","redirect_pool_id":"`+poolID+`","redirect_http_code":308,"position":7,
		"rules":[{"type":"PATH","compare_type":"STARTS_WITH","value":"/api"}]}}`)
	id := a.id(t, "l7policy")
	ruleID, _ := a.get(t, "l7policy.rules.0.id").(string)
	if updated := a.get(t, "l7policy.updated_at"); updated != nil {
		t.Errorf("updated_at %v", updated)
	}
	same(t, `{"name":"","description":"","project_id":"default","tenant_id":"default","admin_state_up":true,"tags":[],"provisioning_status":"PENDING_CREATE","operating_status":"OFFLINE",
		"action":"REDIRECT_TO_POOL","listener_id":"`+listenerID+`","redirect_pool_id":"`+poolID+`","redirect_url":null,"redirect_prefix":null,"redirect_http_code":null,"position":1,
		"rules":[{"id":"`+ruleID+`"}]}`, object(t, a, "l7policy"))
	for path, want := range map[string]string{
		"listeners/" + listenerID: "PENDING_UPDATE", "loadbalancers/" + lbID: "PENDING_UPDATE", "l7policies/" + id + "/rules/" + ruleID: "PENDING_CREATE",
	} {
		root := map[string]string{"listeners": "listener", "loadbalancers": "loadbalancer", "l7policies": "rule"}[strings.Split(path, "/")[0]]
		if got := l.must(200, "GET", "/v2.0/lbaas/"+path, "").get(t, root+".provisioning_status"); got != want {
			t.Errorf("%s is %v", path, got)
		}
	}
	l.must(409, "PUT", l7policies+"/"+id, `{"l7policy":{"name":"x"}}`)
	l.settle(lbID)
	same(t, `{"project_id":"default","tenant_id":"default","admin_state_up":true,"tags":[],"provisioning_status":"ACTIVE","operating_status":"ONLINE",
		"type":"PATH","compare_type":"STARTS_WITH","key":null,"value":"/api","invert":false}`,
		object(t, l.must(200, "GET", l7policies+"/"+id+"/rules/"+ruleID, ""), "rule"))
	// The pool has its listener by default and by policy, once; it cannot go while the policy names it.
	if d := cmp.Diff([]any{map[string]any{"id": listenerID}}, l.must(200, "GET", "/v2.0/lbaas/pools/"+poolID, "").get(t, "pool.listeners")); d != "" {
		t.Error(d)
	}
	if text := l.must(409, "DELETE", "/v2.0/lbaas/pools/"+poolID, "").get(t, "faultstring"); text != "Pool "+poolID+" is in use by L7 policy "+id {
		t.Error(text)
	}
	if d := cmp.Diff([]any{map[string]any{"id": id}}, l.must(200, "GET", "/v2.0/lbaas/listeners/"+listenerID, "").get(t, "listener.l7policies")); d != "" {
		t.Error(d)
	}
	// Another action, by its target alone.
	a = l.must(200, "PUT", l7policies+"/"+id, `{"l7policy":{"redirect_url":"http://a/"}}`)
	for name, want := range map[string]any{"action": "REDIRECT_TO_URL", "redirect_pool_id": nil, "redirect_url": "http://a/", "redirect_http_code": 302.0, "provisioning_status": "PENDING_UPDATE"} {
		if got := a.get(t, "l7policy."+name); got != want {
			t.Errorf("%s is %v", name, got)
		}
	}
	l.settle(lbID)
	l.must(204, "DELETE", "/v2.0/lbaas/pools/"+poolID, "")
	l.settle(lbID)
	// Rules change and go; the policy takes what is below it along.
	l.must(200, "PUT", l7policies+"/"+id+"/rules/"+ruleID, `{"rule":{"type":"HEADER","key":"k","compare_type":"EQUAL_TO","value":"v","invert":true}}`)
	l.settle(lbID)
	a = l.must(200, "PUT", l7policies+"/"+id+"/rules/"+ruleID, `{"rule":{"type":"PATH","invert":null}}`)
	if key, invert := a.get(t, "rule.key"), a.get(t, "rule.invert"); key != nil || invert != false {
		t.Errorf("key %v, invert %v", key, invert)
	}
	l.settle(lbID)
	l.must(204, "DELETE", l7policies+"/"+id+"/rules/"+ruleID, "")
	l.settle(lbID)
	l.must(404, "GET", l7policies+"/"+id+"/rules/"+ruleID, "")
	l.must(204, "DELETE", l7policies+"/"+id, "")
	l.settle(lbID)
	l.must(404, "GET", l7policies+"/"+id, "")
}

func TestL7Refusals(t *testing.T) {
	l := newLab(t, nil)
	lbID, listenerID, poolID, _, _ := l.balancer()
	id := l.must(201, "POST", l7policies, `{"l7policy":{"listener_id":"`+listenerID+`","action":"REJECT"}}`).id(t, "l7policy")
	l.settle(lbID)
	tcp := l.must(201, "POST", "/v2.0/lbaas/pools", `{"pool":{"loadbalancer_id":"`+lbID+`","protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}}`).id(t, "pool")
	l.settle(lbID)
	li := `"listener_id":"` + listenerID + `"`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		text                     string
	}{
		{"no listener", "POST", "", `{"l7policy":{"action":"REJECT"}}`, 400, "Invalid input for field/attribute listener_id. Value: 'None'. Mandatory field missing."},
		{"listener of nobody", "POST", "", `{"l7policy":{"action":"REJECT","listener_id":"` + strangerID + `"}}`, 404, "Listener " + strangerID + " not found."},
		{"pool of nobody", "POST", "", `{"l7policy":{"action":"REDIRECT_TO_POOL",` + li + `,"redirect_pool_id":"` + strangerID + `"}}`, 404, "Pool " + strangerID + " not found."},
		{"pool that does not fit", "POST", "", `{"l7policy":{"action":"REDIRECT_TO_POOL",` + li + `,"redirect_pool_id":"` + tcp + `"}}`, 400, "Validation failure: The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'."},
		{"bad URL", "POST", "", `{"l7policy":{"action":"REDIRECT_TO_URL",` + li + `,"redirect_url":"bad url"}}`, 400, "Invalid input for field/attribute redirect_url. Value: 'bad url'. Not a valid URL: bad url"},
		{"bad code", "POST", "", `{"l7policy":{"action":"REDIRECT_TO_URL",` + li + `,"redirect_url":"http://a","redirect_http_code":1}}`, 400, "Invalid input for field/attribute redirect_http_code. Value: '1'. Value should be one of: 301, 302, 303, 307, 308"},
		{"nothing to change", "PUT", "/" + id, `{"l7policy":{}}`, 400, "Invalid L7 Policy arguments: Invalid update options"},
		{"listener of a policy", "PUT", "/" + id, `{"l7policy":{` + li + `}}`, 400, "Unknown attribute for argument l7policy_.l7policy: listener_id"},
		{"pool and URL", "PUT", "/" + id, `{"l7policy":{"redirect_pool_id":"` + poolID + `","redirect_url":"http://a"}}`, 400, "Invalid L7 Policy arguments: Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time"},
		{"policy of nobody", "GET", "/" + strangerID, ``, 404, "L7 Policy " + strangerID + " not found."},
		{"rule of nobody", "GET", "/" + id + "/rules/" + strangerID, ``, 404, "L7 Rule " + strangerID + " not found."},
		{"rule of nobody to change", "PUT", "/" + id + "/rules/" + strangerID, `{"rule":{}}`, 404, "L7 Rule " + strangerID + " not found."},
		{"header without a key", "POST", "/" + id + "/rules", `{"rule":{"type":"HEADER","compare_type":"EQUAL_TO","value":"v"}}`, 400, "Error parsing L7Rule: Invalid L7 Rule: L7 rule type requires a key"},
		{"rule with two unknown fields", "PUT", "/" + id + "/rules/" + strangerID, `{"rule":{"x":1,"y":2}}`, 400, "Unknown attributes for argument l7rule_.rule: x, y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := l.must(c.status, c.method, l7policies+c.path, c.body)
			if got := a.get(t, "faultstring"); got != c.text {
				t.Errorf("%q, want %q", got, c.text)
			}
		})
	}
	t.Run("the rules of no policy are a fault of the path", func(t *testing.T) {
		same(t, `{"code":404,"title":"Not Found","description":"L7Policy `+strangerID+` not found."}`, parse(t, l.must(404, "GET", l7policies+"/"+strangerID+"/rules", "").body))
	})
	t.Run("a rule belongs to one policy", func(t *testing.T) {
		rule := l.must(201, "POST", l7policies+"/"+id+"/rules", `{"rule":{"type":"PATH","compare_type":"EQUAL_TO","value":"/"}}`).id(t, "rule")
		l.settle(lbID)
		other := l.must(201, "POST", l7policies, `{"l7policy":{`+li+`,"action":"REJECT"}}`).id(t, "l7policy")
		l.settle(lbID)
		l.must(404, "GET", l7policies+"/"+other+"/rules/"+rule, "")
		l.must(404, "DELETE", l7policies+"/"+other+"/rules/"+rule, "")
		if n := len(l.must(200, "GET", l7policies+"/"+other+"/rules", "").get(t, "rules").([]any)); n != 0 {
			t.Errorf("%d rules", n)
		}
	})
}

// A whole load balancer, a listener and a policy are made with all that is in them, at any depth.
func TestPoliciesAreMadeWithTheirParents(t *testing.T) {
	l := newLab(t, nil)
	const pool = `"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[{"address":"198.18.10.5","protocol_port":80}]`
	const rules = `"rules":[{"type":"PATH","compare_type":"EQUAL_TO","value":"/1"},{"type":"HEADER","key":"k","compare_type":"REGEX","value":"^2"}]`
	listener := func(name, port string) string {
		return `"protocol":"HTTP","protocol_port":` + port + `,"default_pool":{"name":"` + name + `d",` + pool + `},"l7policies":[
			{"name":"p2","action":"REDIRECT_TO_POOL","redirect_pool":{"name":"` + name + `r",` + pool + `},` + rules + `},
			{"name":"p3","action":"REDIRECT_TO_POOL","redirect_pool":{"name":"` + name + `d"}},
			{"name":"p1","action":"REJECT","position":1,` + rules + `}]`
	}
	a := l.must(201, "POST", "/v2.0/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","listeners":[{`+listener("a", "80")+`}]}}`)
	lbID := a.id(t, "loadbalancer")
	for i, want := range []string{"p1", "p2", "p3"} {
		at := fmt.Sprint("loadbalancer.listeners.0.l7policies.", i)
		if name, position := a.get(t, at+".name"), a.get(t, at+".position"); name != want || position != float64(i+1) {
			t.Errorf("%v at %v, want %s", name, position, want)
		}
	}
	if got := a.get(t, "loadbalancer.listeners.0.l7policies.1.rules.1.value"); got != "^2" {
		t.Errorf("rule %v", got)
	}
	if a.get(t, "loadbalancer.listeners.0.l7policies.2.redirect_pool_id") != a.get(t, "loadbalancer.listeners.0.default_pool_id") {
		t.Error("a name stands for another pool")
	}
	l.settle(lbID)
	// By its own call, a listener too, and a policy.
	id := l.must(201, "POST", "/v2.0/lbaas/listeners", `{"listener":{"loadbalancer_id":"`+lbID+`",`+listener("b", "81")+`}}`).id(t, "listener")
	l.settle(lbID)
	l.must(201, "POST", l7policies, `{"l7policy":{"listener_id":"`+id+`","action":"REDIRECT_TO_POOL","redirect_pool":{"name":"c",`+pool+`},`+rules+`}}`)
	l.settle(lbID)
	l.must(201, "POST", "/v2.0/lbaas/pools", `{"pool":{"loadbalancer_id":"`+lbID+`","name":"e",`+pool+`,"healthmonitor":{"type":"TCP","delay":1,"timeout":1,"max_retries":1}}}`)
	l.settle(lbID)
	if n := len(l.must(200, "GET", "/v2.0/lbaas/pools", "").get(t, "pools").([]any)); n != 6 {
		t.Errorf("%d pools", n)
	}
	// The status tree has a listener's default pool and the redirect pools of its policies with rules.
	a = l.must(200, "GET", "/v2.0/lbaas/loadbalancers/"+lbID+"/status", "")
	for i, want := range [][]string{{"ad", "ar"}, {"bd", "br", "c"}} {
		var got []string
		for _, p := range a.get(t, fmt.Sprint("statuses.loadbalancer.listeners.", i, ".pools")).([]any) {
			got = append(got, p.(map[string]any)["name"].(string))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	l.must(204, "DELETE", "/v2.0/lbaas/loadbalancers/"+lbID+"?cascade=true", "")
}
