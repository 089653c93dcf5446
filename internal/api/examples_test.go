package api_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"colonnade/internal/api"
	"colonnade/internal/testenv/golden"
)

// exampleCalls are the calls of the document's examples, in order; {lb}, {listener}, … are the ids of what was made.
var exampleCalls = []struct{ op, method, path, body string }{
	{"create-load-balancer", "POST", "loadbalancers", `{"loadbalancer":{"name":"web","description":"the shop","vip_subnet_id":"` + subnetID + `","tags":["shop"],"listeners":[{"name":"http","protocol":"HTTP","protocol_port":80,
		"insert_headers":{"X-Forwarded-For":"true"},"default_pool":{"name":"servers","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[{"address":"198.18.10.50","protocol_port":8080},{"address":"198.18.10.51","protocol_port":8080}],
		"healthmonitor":{"type":"HTTP","delay":5,"timeout":3,"max_retries":2,"url_path":"/health"}}}]}}`},
	{"list-load-balancers", "GET", "loadbalancers?name=web", ""},
	{"show-load-balancer", "GET", "loadbalancers/{lb}", ""},
	{"update-load-balancer", "PUT", "loadbalancers/{lb}", `{"loadbalancer":{"name":"shop","admin_state_up":true}}`},
	{"show-load-balancer-statistics", "GET", "loadbalancers/{lb}/stats", ""},
	{"show-load-balancer-status", "GET", "loadbalancers/{lb}/status", ""},
	{"create-listener", "POST", "listeners", `{"listener":{"loadbalancer_id":"{lb}","name":"tls","protocol":"HTTPS","protocol_port":443,"allowed_cidrs":["198.18.0.0/16"],"connection_limit":20000}}`},
	{"list-listeners", "GET", "listeners?protocol=HTTPS", ""},
	{"show-listener", "GET", "listeners/{listener}", ""},
	{"update-listener", "PUT", "listeners/{listener}", `{"listener":{"timeout_client_data":60000,"allowed_cidrs":null}}`},
	{"show-listener-statistics", "GET", "listeners/{listener}/stats", ""},
	{"create-pool", "POST", "pools", `{"pool":{"listener_id":"{listener}","name":"tls servers","protocol":"HTTPS","lb_algorithm":"SOURCE_IP"}}`},
	{"list-pools", "GET", "pools?protocol=HTTPS", ""},
	{"show-pool", "GET", "pools/{pool}", ""},
	{"update-pool", "PUT", "pools/{pool}", `{"pool":{"lb_algorithm":"LEAST_CONNECTIONS","session_persistence":{"type":"SOURCE_IP"}}}`},
	{"create-member", "POST", "pools/{pool}/members", `{"member":{"address":"198.18.10.60","protocol_port":8443,"weight":10,"subnet_id":"` + subnetID + `"}}`},
	{"list-members", "GET", "pools/{pool}/members", ""},
	{"show-member", "GET", "pools/{pool}/members/{member}", ""},
	{"update-member", "PUT", "pools/{pool}/members/{member}", `{"member":{"weight":0}}`},
	{"replace-members", "PUT", "pools/{pool}/members", `{"members":[{"address":"198.18.10.60","protocol_port":8443},{"address":"198.18.10.61","protocol_port":8443,"backup":true}]}`},
	{"create-l7policy", "POST", "l7policies", `{"l7policy":{"listener_id":"{web}","name":"old paths","action":"REDIRECT_PREFIX","redirect_prefix":"https://new.example","redirect_http_code":301,
		"rules":[{"type":"PATH","compare_type":"STARTS_WITH","value":"/old"}]}}`},
	{"list-l7policies", "GET", "l7policies?listener_id={web}", ""},
	{"show-l7policy", "GET", "l7policies/{l7policy}", ""},
	{"update-l7policy", "PUT", "l7policies/{l7policy}", `{"l7policy":{"action":"REJECT","position":1}}`},
	{"create-l7rule", "POST", "l7policies/{l7policy}/rules", `{"rule":{"type":"HEADER","compare_type":"REGEX","key":"User-Agent","value":"(?i)bot","invert":true}}`},
	{"list-l7rules", "GET", "l7policies/{l7policy}/rules", ""},
	{"show-l7rule", "GET", "l7policies/{l7policy}/rules/{rule}", ""},
	{"update-l7rule", "PUT", "l7policies/{l7policy}/rules/{rule}", `{"rule":{"compare_type":"CONTAINS","value":"Bot","invert":false}}`},
	{"create-health-monitor", "POST", "healthmonitors", `{"healthmonitor":{"pool_id":"{pool}","type":"HTTPS","delay":5,"timeout":3,"max_retries":2,"http_version":1.1,"domain_name":"shop.example"}}`},
	{"list-health-monitors", "GET", "healthmonitors?type=HTTPS", ""},
	{"show-health-monitor", "GET", "healthmonitors/{healthmonitor}", ""},
	{"update-health-monitor", "PUT", "healthmonitors/{healthmonitor}", `{"healthmonitor":{"expected_codes":"200-204","max_retries_down":2}}`},
	{"update-quota", "PUT", "quotas/default", `{"quota":{"loadbalancer":10,"member":500,"pool":null}}`},
	{"list-quotas", "GET", "quotas", ""},
	{"show-quota", "GET", "quotas/default", ""},
	{"show-default-quota", "GET", "quotas/defaults", ""},
	{"show-project-default-quota", "GET", "quotas/default/default", ""},
	{"create-flavor-profile", "POST", "flavorprofiles", `{"flavorprofile":{"name":"gold","provider_name":"amphora","flavor_data":"{\"cluster_size\": 4, \"cluster_min_size\": 2}"}}`},
	{"list-flavor-profiles", "GET", "flavorprofiles", ""},
	{"show-flavor-profile", "GET", "flavorprofiles/{flavorprofile}", ""},
	{"create-flavor", "POST", "flavors", `{"flavor":{"name":"gold","description":"four amphorae","flavor_profile_id":"{flavorprofile}"}}`},
	{"list-flavors", "GET", "flavors?name=gold", ""},
	{"show-flavor", "GET", "flavors/{flavor}", ""},
	{"update-flavor", "PUT", "flavors/{flavor}", `{"flavor":{"enabled":false}}`},
	{"update-flavor-profile", "PUT", "flavorprofiles/{flavorprofile}", `{"flavorprofile":{"name":"gold of 2026"}}`},
	{"create-availability-zone-profile", "POST", "availabilityzoneprofiles", `{"availability_zone_profile":{"name":"east","provider_name":"amphora","availability_zone_data":"{\"valid_vip_networks\": [\"` + netID + `\"]}"}}`},
	{"list-availability-zone-profiles", "GET", "availabilityzoneprofiles", ""},
	{"show-availability-zone-profile", "GET", "availabilityzoneprofiles/{availability_zone_profile}", ""},
	{"create-availability-zone", "POST", "availabilityzones", `{"availability_zone":{"name":"east","availability_zone_profile_id":"{availability_zone_profile}"}}`},
	{"list-availability-zones", "GET", "availabilityzones", ""},
	{"show-availability-zone", "GET", "availabilityzones/east", ""},
	{"update-availability-zone", "PUT", "availabilityzones/east", `{"availability_zone":{"description":"the eastern hall"}}`},
	{"update-availability-zone-profile", "PUT", "availabilityzoneprofiles/{availability_zone_profile}", `{"availability_zone_profile":{"name":"east hall"}}`},
	{"show-providers", "GET", "providers", ""},
	{"show-flavor-capabilities", "GET", "providers/amphora/flavor_capabilities", ""},
	{"show-availability-zone-capabilities", "GET", "providers/amphora/availability_zone_capabilities", ""},
}

var (
	anyUUID  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	anyStamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}`)
)

// The examples in the document are what the API answers, but for ids and times.
func TestExamplesAreAnswered(t *testing.T) {
	l := newLab(t, nil)
	ids := map[string]string{subnetID: subnetID, netID: netID}
	steady := func(s string) any {
		s = anyStamp.ReplaceAllString(s, "2026-01-01T00:00:00.000000")
		s = anyUUID.ReplaceAllStringFunc(s, func(id string) string {
			if ids[id] == "" {
				ids[id] = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(ids)-1)
			}
			return ids[id]
		})
		if s == "" {
			return nil
		}
		var v any
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	type example struct {
		Request  any `json:"request,omitempty"`
		Response any `json:"response,omitempty"`
	}
	got := map[string]example{}
	made := map[string]string{}
	for _, c := range exampleCalls {
		for name, id := range made {
			c.path, c.body = strings.ReplaceAll(c.path, "{"+name+"}", id), strings.ReplaceAll(c.body, "{"+name+"}", id)
		}
		a := l.do(c.method, "/v2.0/lbaas/"+c.path, c.body)
		if a.status >= 300 {
			t.Fatalf("%s: %d %s", c.op, a.status, a.body)
		}
		if c.method == "POST" {
			root := strings.NewReplacer("create-", "", "health-monitor", "healthmonitor", "load-balancer", "loadbalancer", "flavor-profile", "flavorprofile", "l7rule", "rule", "-", "_").Replace(c.op)
			if root != "availability_zone" { // which is known by its name
				made[strings.ReplaceAll(root, "loadbalancer", "lb")] = a.id(t, root)
			}
			if root == "loadbalancer" {
				made["web"] = a.id(t, "loadbalancer.listeners.0")
			}
		}
		got[c.op] = example{steady(c.body), steady(a.body)}
		if c.method != "GET" {
			l.settle(made["lb"])
		}
	}
	b, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	// After -update of these, the document that shows them needs -update again.
	golden.Want(t, "examples.json", string(b)+"\n")
}

// document is the OpenAPI document as clients read it.
type document struct {
	Paths map[string]map[string]struct {
		OperationID string
		Parameters  []struct{ Name, In string }
		RequestBody struct {
			Content map[string]struct{ Example any }
		}
		Responses map[string]struct {
			Content map[string]struct{ Example any }
		}
	}
	Components struct {
		Schemas map[string]struct {
			Properties map[string]struct {
				Items *struct {
					Format    string
					MaxLength int
				}
				AdditionalProperties any
			}
		}
	}
}

func readDocument(t *testing.T) document {
	t.Helper()
	b, err := api.OpenAPI()
	var d document
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDocumentHasExamplesOfTheFiveResources(t *testing.T) {
	for path, methods := range readDocument(t).Paths {
		if !strings.HasPrefix(path, "/v2.0/lbaas/") {
			continue
		}
		for method, op := range methods {
			if method == "delete" || strings.HasSuffix(path, "/failover") || strings.HasSuffix(path, "/statuses") {
				continue
			}
			if method != "get" && op.RequestBody.Content["application/json"].Example == nil {
				t.Errorf("%s: no example of a request", op.OperationID)
			}
			for status, r := range op.Responses {
				if c, has := r.Content["application/json"]; has && status != "default" && c.Example == nil {
					t.Errorf("%s: no example of answer %s", op.OperationID, status)
				}
			}
		}
	}
}

// Every filter in the document filters, and every other word is refused.
func TestDocumentedFiltersFilter(t *testing.T) {
	l := newLab(t, nil)
	_, listenerID, poolID, _, _ := l.balancer()
	policyID := l.must(201, "POST", "/v2.0/lbaas/l7policies", `{"l7policy":{"listener_id":"`+listenerID+`","action":"REJECT"}}`).id(t, "l7policy")
	values := map[string]string{"admin_state_up": "true", "backup": "false", "invert": "false", "created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00", "cert_expiration": "2026-01-01T00:00:00", "since": "2026-01-01T00:00:00", "until": "2026-01-01T00:00:00"}
	for path, methods := range readDocument(t).Paths {
		op := methods["get"]
		if !strings.HasPrefix(op.OperationID, "list-") || op.OperationID == "list-networks" || op.OperationID == "list-ports" {
			continue
		}
		path = strings.NewReplacer("{pool_id}", poolID, "{l7policy_id}", policyID).Replace(path)
		n := 0
		for _, p := range op.Parameters {
			if p.In != "query" || p.Name == "limit" || p.Name == "marker" || p.Name == "sort" || p.Name == "sort_key" || p.Name == "sort_dir" {
				continue
			}
			n++
			value := values[p.Name]
			if value == "" {
				value = "1"
			}
			if a := l.do("GET", path+"?"+p.Name+"="+value, ""); a.status != 200 {
				t.Errorf("%s: %s: %d %s", op.OperationID, p.Name, a.status, a.body)
			}
		}
		if n < 8 && !strings.Contains(op.OperationID, "flavor") && !strings.Contains(op.OperationID, "zone") {
			t.Errorf("%s: %d filters", op.OperationID, n)
		}
	}
	for _, words := range map[string]string{"loadbalancers": "vip_qos_policy_id listeners"} {
		for word := range strings.FieldsSeq(words) {
			l.must(400, "GET", "/v2.0/lbaas/loadbalancers?"+word+"=1", "")
		}
	}
}

func TestDocumentBoundsListItems(t *testing.T) {
	schemas := readDocument(t).Components.Schemas
	for _, c := range []struct {
		schema, property, format string
		most                     int
	}{
		{"LoadBalancerCreate", "tags", "", 255},
		{"LoadBalancerCreate", "vip_sg_ids", "uuid", 0},
		{"ListenerUpdate", "allowed_cidrs", "cidr", 0},
		{"ListenerCreate", "sni_container_refs", "", 255},
		{"PoolUpdate", "tls_versions", "", 32},
		{"MemberCreate", "tags", "", 255},
		{"HealthMonitorUpdate", "tags", "", 255},
	} {
		items := schemas[c.schema].Properties[c.property].Items
		if items == nil || items.Format != c.format || items.MaxLength != c.most {
			t.Errorf("%s.%s: items %+v", c.schema, c.property, items)
		}
	}
}
