package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"colonnade/internal/amphora"
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

	{"create-network", "POST", "/v2.0/colonnade/networks", `{"network":{"name":"back","cidr":"198.18.20.0/24"}}`},
	{"list-networks", "GET", "/v2.0/colonnade/networks?name=back", ""},
	{"show-network", "GET", "/v2.0/colonnade/networks/{network}", ""},
	{"create-port", "POST", "/v2.0/colonnade/ports", `{"port":{"network_id":"` + netID + `","name":"server1","ip_address":"198.18.10.77"}}`},
	{"list-ports", "GET", "/v2.0/colonnade/ports?name=server1", ""},
	{"show-port", "GET", "/v2.0/colonnade/ports/{port}", ""},
	{"list-amphorae", "GET", "/v2.0/octavia/amphorae?loadbalancer_id={lb}&status=ALLOCATED", ""},
	{"show-amphora", "GET", "/v2.0/octavia/amphorae/" + ampID, ""},
	{"show-amphora-statistics", "GET", "/v2.0/octavia/amphorae/" + ampID + "/stats", ""},
	{"list-clusters", "GET", "/v2.0/octavia/clusters?loadbalancer_id={lb}", ""},
	{"show-cluster", "GET", "/v2.0/octavia/clusters/{cluster}", ""},
	{"list-distributors", "GET", "/v2.0/octavia/distributors", ""},
	{"show-distributor", "GET", "/v2.0/octavia/distributors/{distributor}", ""},
	{"show-load-balancer-statuses", "GET", "loadbalancers/{lb}/statuses", ""},
	{"list-events", "GET", "/v2.0/colonnade/events?loadbalancer_id={lb}&sort=id&limit=3", ""},
	{"follow-events", "GET", "/v2.0/colonnade/events/stream?loadbalancer_id={lb}", ""},

	{"failover-load-balancer", "PUT", "loadbalancers/{lb}/failover", ""},
	{"failover-amphora", "PUT", "/v2.0/octavia/amphorae/" + ampID + "/failover", ""},
	{"configure-amphora", "PUT", "/v2.0/octavia/amphorae/" + ampID + "/config", ""},
	{"delete-amphora", "DELETE", "/v2.0/octavia/amphorae/" + brokenID, ""},
	{"delete-l7rule", "DELETE", "l7policies/{l7policy}/rules/{rule}", ""},
	{"delete-l7policy", "DELETE", "l7policies/{l7policy}", ""},
	{"delete-health-monitor", "DELETE", "healthmonitors/{healthmonitor}", ""},
	{"delete-member", "DELETE", "pools/{pool}/members/{member}", ""},
	{"delete-pool", "DELETE", "pools/{pool}", ""},
	{"delete-listener", "DELETE", "listeners/{listener}", ""},
	{"reset-quota", "DELETE", "quotas/default", ""},
	{"delete-availability-zone", "DELETE", "availabilityzones/east", ""},
	{"delete-availability-zone-profile", "DELETE", "availabilityzoneprofiles/{availability_zone_profile}", ""},
	{"delete-flavor", "DELETE", "flavors/{flavor}", ""},
	{"delete-flavor-profile", "DELETE", "flavorprofiles/{flavorprofile}", ""},
	{"delete-port", "DELETE", "/v2.0/colonnade/ports/{port}", ""},
	{"delete-network", "DELETE", "/v2.0/colonnade/networks/{network}", ""},
	{"delete-load-balancer", "DELETE", "loadbalancers/{lb}?cascade=true", ""},
}

var (
	anyUUID  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	anyMAC   = regexp.MustCompile(`(?:[0-9a-f]{2}:){5}[0-9a-f]{2}`)
	anyName  = regexp.MustCompile(`cluster-[0-9a-f]{8}`)
	anyStamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}`)
)

// The examples in the document are what the API answers, but for ids and times.
func TestExamplesAreAnswered(t *testing.T) {
	l := newLab(t, nil)
	ids := map[string]string{subnetID: subnetID, netID: netID}
	text := func(s string) string {
		s = anyStamp.ReplaceAllString(s, "2026-01-01T00:00:00.000000")
		s = anyName.ReplaceAllString(anyMAC.ReplaceAllString(s, "02:00:00:00:00:01"), "cluster-00000000")
		return anyUUID.ReplaceAllStringFunc(s, func(id string) string {
			if ids[id] == "" {
				ids[id] = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(ids)-1)
			}
			return ids[id]
		})
	}
	steady := func(s string) any {
		if s == "" {
			return nil
		}
		var v any
		if err := json.Unmarshal([]byte(text(s)), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	type example struct {
		Request  any `json:"request,omitempty"`
		Response any `json:"response,omitempty"`
	}
	got := map[string]example{}
	statuses := readDocument(t).statuses(t)
	made := map[string]string{}
	for _, c := range exampleCalls {
		for name, id := range made {
			c.path, c.body = strings.ReplaceAll(c.path, "{"+name+"}", id), strings.ReplaceAll(c.body, "{"+name+"}", id)
		}
		if !strings.HasPrefix(c.path, "/") {
			c.path = "/v2.0/lbaas/" + c.path
		}
		if c.op == "follow-events" {
			got[c.op] = example{nil, text(l.secondEvent(c.path))}
			continue
		}
		a := l.do(c.method, c.path, c.body)
		if a.status >= 300 || statuses[c.op] == 0 || a.status != statuses[c.op] {
			t.Fatalf("%s: %d %s; the document says %d", c.op, a.status, a.body, statuses[c.op])
		}
		if c.method == "POST" {
			root := strings.NewReplacer("create-", "", "health-monitor", "healthmonitor", "load-balancer", "loadbalancer", "flavor-profile", "flavorprofile", "l7rule", "rule", "-", "_").Replace(c.op)
			if root != "availability_zone" { // which is known by its name
				made[strings.ReplaceAll(root, "loadbalancer", "lb")] = a.id(t, root)
			}
			if root == "loadbalancer" {
				made["web"] = a.id(t, "loadbalancer.listeners.0")
				l.settle(made["lb"])
				d, _, _ := l.cluster(made["lb"])
				made["distributor"] = d.ID
				made["cluster"] = l.must(200, "GET", "/v2.0/octavia/clusters", "").id(t, "clusters.0")
				err := l.store.SaveListenerStatistics(t.Context(), map[string][]amphora.ListenerStats{ampID: {{
					ListenerID: made["web"], Full: true, BytesIn: 65671420, BytesOut: 774771186, ActiveConnections: 12, TotalConnections: 26189, RequestErrors: 3,
				}}})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if c.body != "" || a.body != "" {
			got[c.op] = example{steady(c.body), steady(a.body)}
		}
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

// secondEvent is what a client that has the first event is sent.
func (l *lab) secondEvent(path string) string {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", path, nil)
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("Last-Event-ID", "1")
	w := &firstEvent{ResponseRecorder: httptest.NewRecorder(), enough: cancel}
	l.handler.ServeHTTP(w, r)
	_, event, found := strings.Cut(w.Body.String(), "id: ")
	if !found {
		l.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	event, _, _ = strings.Cut(event, "\n\n")
	return "id: " + event + "\n\n"
}

// firstEvent lets the client go after the first event.
type firstEvent struct {
	*httptest.ResponseRecorder
	enough context.CancelFunc
}

func (w *firstEvent) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("id: ")) {
		defer w.enough()
	}
	return w.ResponseRecorder.Write(b)
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

// statuses are the statuses of success, by operation.
func (d document) statuses(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, methods := range d.Paths {
		for _, op := range methods {
			for status := range op.Responses {
				if n, err := strconv.Atoi(status); err == nil {
					out[op.OperationID] = n
				}
			}
		}
	}
	return out
}

// An operation that nobody calls for an example, or whose bodies the document does not show, is not documented.
func TestEveryOperationHasAnExample(t *testing.T) {
	called := map[string]bool{}
	for _, c := range exampleCalls {
		called[c.op] = true
	}
	d := readDocument(t)
	for _, methods := range d.Paths {
		for _, op := range methods {
			if !called[op.OperationID] {
				t.Errorf("%s: add a call to exampleCalls", op.OperationID)
			}
			delete(called, op.OperationID)
			for kind, c := range op.RequestBody.Content {
				if c.Example == nil {
					t.Errorf("%s: no example of a request in %s", op.OperationID, kind)
				}
			}
			for status, r := range op.Responses {
				for kind, c := range r.Content {
					if status != "default" && c.Example == nil {
						t.Errorf("%s: no example of answer %s in %s", op.OperationID, status, kind)
					}
				}
			}
		}
	}
	for op := range called {
		t.Errorf("%s: no such operation", op)
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
	for _, words := range map[string]string{"loadbalancers": "vip_sg_ids listeners"} {
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
