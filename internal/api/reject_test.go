package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A rejected request leaves no trace: not a row anywhere, not an address taken.
func TestRejectedRequestsLeaveNoTrace(t *testing.T) {
	l := newLab(t, nil)
	lbID, listenerID, poolID, memberID, monitorID := l.balancer()
	const lbs, lis, pools, hms = "/v2.0/lbaas/loadbalancers", "/v2.0/lbaas/listeners", "/v2.0/lbaas/pools", "/v2.0/lbaas/healthmonitors"
	members := pools + "/" + poolID + "/members"
	before := l.counts()
	vip := `"vip_subnet_id":"` + subnetID + `"`
	inLB := `"loadbalancer_id":"` + lbID + `"`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		text                     string
	}{
		{"empty body", "POST", lbs, ``, 400, `Missing argument: "load_balancer"`},
		{"broken JSON", "POST", lbs, `{"loadbalancer":`, 400, "Request body is not valid JSON"},
		{"two values", "POST", lbs, `{"loadbalancer":{}} {}`, 400, "Request body is not valid JSON: something follows the value"},
		{"a name given twice", "POST", lbs, `{"loadbalancer":{"name":"a","name":"b"}}`, 400, `"name" is given twice`},
		{"no object", "POST", lbs, `[]`, 400, "Request body is not a JSON object."},
		{"empty object", "POST", lbs, `{}`, 400, "Invalid input for field/attribute loadbalancer. Value: 'None'. Mandatory field missing."},
		{"wrong root", "POST", lbs, `{"lb":{}}`, 400, "Unknown attribute for argument load_balancer: lb"},
		{"unknown attribute", "POST", lbs, `{"loadbalancer":{"bogus":1}}`, 400, "Unknown attribute for argument load_balancer.loadbalancer: bogus"},
		{"client's id", "POST", lbs, `{"loadbalancer":{"id":"x","zzz":1}}`, 400, "Unknown attributes for argument load_balancer.loadbalancer: id, zzz"},
		{"no VIP", "POST", lbs, `{"loadbalancer":{"name":"x"}}`, 400, "Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."},
		{"no uuid", "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"nope"}}`, 400, "Invalid input for field/attribute vip_subnet_id. Value: 'nope'. Value should be UUID format"},
		{"long name", "POST", lbs, `{"loadbalancer":{"name":"` + strings.Repeat("a", 256) + `"}}`, 400, "Value should have a maximum character requirement of 255"},
		{"number as name", "POST", lbs, `{"loadbalancer":{"name":1}}`, 400, "Invalid input for field/attribute name. Value: '1'. Value should be string"},
		{"NUL in a name", "POST", lbs, `{"loadbalancer":{"name":"a\u0000b"}}`, 400, "Value should not contain NUL"},
		{"ambiguous boolean", "POST", lbs, `{"loadbalancer":{"admin_state_up":"perhaps"}}`, 400, "Value should be a boolean"},
		{"long tag", "POST", lbs, `{"loadbalancer":{"tags":["` + strings.Repeat("a", 256) + `"]}}`, 400, "maximum character requirement of 255"},
		{"VIP is no address", "POST", lbs, `{"loadbalancer":{"vip_address":"x"}}`, 400, "Value should be IPv4 or IPv6 format"},
		{"unknown subnet", "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"` + strangerID + `"}}`, 400, "Subnet " + strangerID + " not found."},
		{"unknown network", "POST", lbs, `{"loadbalancer":{"vip_network_id":"` + strangerID + `"}}`, 400, "Network " + strangerID + " not found."},
		{"unknown port", "POST", lbs, `{"loadbalancer":{"vip_port_id":"` + strangerID + `"}}`, 400, "Port " + strangerID + " not found."},
		{"VIP outside of its subnet", "POST", lbs, `{"loadbalancer":{` + vip + `,"vip_address":"198.18.11.5"}}`, 400, "VIP address 198.18.11.5 is not in subnet"},
		{"VIP taken", "POST", lbs, `{"loadbalancer":{` + vip + `,"vip_address":"198.18.10.1"}}`, 409, ""},
		{"IPv6 VIP", "POST", lbs, `{"loadbalancer":{"vip_network_id":"` + netID + `","vip_address":"2001:db8::1"}}`, 400, ""},
		{"provider", "POST", lbs, `{"loadbalancer":{` + vip + `,"provider":"f5"}}`, 400, "Provider 'f5' is not enabled."},
		{"flavor", "POST", lbs, `{"loadbalancer":{` + vip + `,"flavor_id":"` + strangerID + `"}}`, 400, "Validation failure: Invalid flavor_id."},
		{"zone", "POST", lbs, `{"loadbalancer":{` + vip + `,"availability_zone":"z"}}`, 400, "Validation failure: Invalid availability zone."},
		{"QoS", "POST", lbs, `{"loadbalancer":{` + vip + `,"vip_qos_policy_id":"` + strangerID + `"}}`, 400, "VIP QoS policy is not allowed in this deployment."},
		{"security groups", "POST", lbs, `{"loadbalancer":{` + vip + `,"vip_sg_ids":["` + strangerID + `"]}}`, 400, "Security Group " + strangerID + " not found."},
		{"more VIPs", "POST", lbs, `{"loadbalancer":{` + vip + `,"additional_vips":[{"subnet_id":"` + strangerID + `"}]}}`, 400, "Subnet " + strangerID + " not found."},
		{"project with a slash", "POST", lbs, `{"loadbalancer":{` + vip + `,"project_id":"../x"}}`, 400, "field/attribute project_id"},
		{"graph: pool without a name", "POST", lbs, `{"loadbalancer":{` + vip + `,"pools":[{"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN"}]}}`, 400, "need a name"},
		{"graph: pool twice", "POST", lbs, `{"loadbalancer":{` + vip + `,"pools":[{"name":"a","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN"},{"name":"a","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN"}]}}`, 400, "Pool names must be unique"},
		{"graph: reference to nothing", "POST", lbs, `{"loadbalancer":{` + vip + `,"listeners":[{"protocol":"HTTP","protocol_port":80,"default_pool":{"name":"x"}}]}}`, 400, "was referenced but no full definition was found"},
		{"graph: pool without an algorithm", "POST", lbs, `{"loadbalancer":{` + vip + `,"pools":[{"name":"a","protocol":"HTTP"}]}}`, 400, "Invalid input for field/attribute lb_algorithm. Value: 'None'. Mandatory field missing."},
		{"graph: same port twice", "POST", lbs, `{"loadbalancer":{` + vip + `,"listeners":[{"protocol":"HTTP","protocol_port":80},{"protocol":"TCP","protocol_port":80}]}}`, 409, "already using protocol"},
		{"graph: member's subnet", "POST", lbs, `{"loadbalancer":{` + vip + `,"pools":[{"name":"a","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[{"address":"198.18.10.5","protocol_port":80,"subnet_id":"` + strangerID + `"}]}]}}`, 400, "Subnet " + strangerID + " not found."},
		{"graph: L7 policy of TCP", "POST", lbs, `{"loadbalancer":{` + vip + `,"listeners":[{"protocol":"TCP","protocol_port":80,"l7policies":[{"action":"REJECT"}]}]}}`, 501, "option: L7 policies of a TCP listener"},
		{"graph: L7 policy of a listener", "POST", lbs, `{"loadbalancer":{` + vip + `,"listeners":[{"protocol":"HTTP","protocol_port":80,"l7policies":[{"action":"REJECT","listener_id":"` + strangerID + `"}]}]}}`, 400, "has no listener_id"},
		{"graph: redirect pool by name of nothing", "POST", lbs, `{"loadbalancer":{` + vip + `,"listeners":[{"protocol":"HTTP","protocol_port":80,"l7policies":[{"action":"REDIRECT_TO_POOL","redirect_pool":{"name":"x"}}]}]}}`, 400, "Pool 'x' was referenced but no full definition was found."},
		{"graph: redirect pool for a REJECT", "POST", lbs, `{"loadbalancer":{` + vip + `,"listeners":[{"protocol":"HTTP","protocol_port":80,"l7policies":[{"action":"REJECT","redirect_pool":{"name":"x"}}]}]}}`, 400, "only for the action"},
		{"graph: 51 rules", "POST", lbs, `{"loadbalancer":{` + vip + `,"listeners":[{"protocol":"HTTP","protocol_port":80,"l7policies":[{"action":"REJECT","rules":[` + strings.Repeat(`{"type":"PATH","compare_type":"EQUAL_TO","value":"/"},`, 50) + `{"type":"PATH","compare_type":"EQUAL_TO","value":"/"}]}]}]}}`, 409, "Too many rules on L7 policy "},
		{"graph: bad rule", "POST", lbs, `{"loadbalancer":{` + vip + `,"listeners":[{"protocol":"HTTP","protocol_port":80,"l7policies":[{"action":"REJECT","rules":[{"type":"HEADER","compare_type":"EQUAL_TO","value":"/"}]}]}]}}`, 400, "Error parsing L7Rule: Invalid L7 Rule: L7 rule type requires a key"},
		{"immutable field", "PUT", lbs + "/" + lbID, `{"loadbalancer":{"vip_address":"198.18.10.9"}}`, 400, "Unknown attribute for argument load_balancer.loadbalancer: vip_address"},
		{"unknown load balancer", "PUT", lbs + "/" + strangerID, `{"loadbalancer":{}}`, 404, "Load Balancer " + strangerID + " not found."},
		{"children and no cascade", "DELETE", lbs + "/" + lbID, ``, 400, ""},
		{"cascade is no boolean", "DELETE", lbs + "/" + lbID + "?cascade=perhaps", ``, 400, "field/attribute cascade"},

		{"listener without a load balancer", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81}}`, 400, "field/attribute loadbalancer_id. Value: 'None'. Mandatory field missing."},
		{"listener of a stranger", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,"loadbalancer_id":"` + strangerID + `"}}`, 404, "Load Balancer " + strangerID + " not found."},
		{"listener without a protocol", "POST", lis, `{"listener":{"protocol_port":81,` + inLB + `}}`, 400, "field/attribute protocol. Value: 'None'. Mandatory field missing."},
		{"listener protocol", "POST", lis, `{"listener":{"protocol":"X","protocol_port":81,` + inLB + `}}`, 400, "Value should be one of: HTTP,"},
		{"port 0", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":0,` + inLB + `}}`, 400, "Invalid input for field/attribute protocol_port. Value: '0'. Value should be greater or equal to 1"},
		{"port 65536", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":65536,` + inLB + `}}`, 400, "Value should be lower or equal to 65535"},
		{"port as a fraction", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":80.5,` + inLB + `}}`, 400, "Value should be an integer"},
		{"port taken by the same transport", "POST", lis, `{"listener":{"protocol":"TCP","protocol_port":80,` + inLB + `}}`, 409, "already using protocol HTTP and protocol_port 80"},
		{"TERMINATED_HTTPS", "POST", lis, `{"listener":{"protocol":"TERMINATED_HTTPS","protocol_port":443,` + inLB + `}}`, 400, "An SNI or default certificate container reference must be provided for TERMINATED_HTTPS protocol listeners."},
		{"no TLS version", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":443,` + inLB + `,"tls_versions":[]}}`, 400, "Validation failure: Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default."},
		{"no ALPN protocol", "PUT", lis + "/" + listenerID, `{"listener":{"alpn_protocols":[]}}`, 400, "Validation failure: Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the default."},
		{"HSTS without an age", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":443,` + inLB + `,"hsts_preload":true}}`, 400, "only make sense if hsts_max_age is set as well."},
		{"client authentication without CA", "PUT", lis + "/" + listenerID, `{"listener":{"client_authentication":"OPTIONAL"}}`, 400, "Client authentication setting OPTIONAL requires a client CA container reference."},
		{"UDP", "POST", lis, `{"listener":{"protocol":"UDP","protocol_port":53,` + inLB + `}}`, 501, "listener protocol UDP"},
		{"SCTP", "POST", lis, `{"listener":{"protocol":"SCTP","protocol_port":53,` + inLB + `}}`, 501, "listener protocol SCTP"},
		{"PROMETHEUS without pools", "POST", lis, `{"listener":{"protocol":"PROMETHEUS","protocol_port":9000,` + inLB + `,"default_pool_id":"` + poolID + `"}}`, 400, "Protocol PROMETHEUS listeners cannot have child objects."},
		{"certificates that are not there", "POST", lis, `{"listener":{"protocol":"TERMINATED_HTTPS","protocol_port":443,` + inLB + `,"default_tls_container_ref":"x","sni_container_refs":["https://a/key-manager/v1/secrets/` + strangerID + `"]}}`, 400, "Could not retrieve certificate: ['x', 'https://a/key-manager/v1/secrets/" + strangerID + "']"},
		{"certificate", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,` + inLB + `,"default_tls_container_ref":"x"}}`, 400, "Certificate container references are not allowed on HTTP protocol listeners."},
		{"HSTS", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,` + inLB + `,"hsts_max_age":1}}`, 400, "The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."},
		{"timeout", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,` + inLB + `,"timeout_client_data":2073600001}}`, 400, "Value should be lower or equal to 2073600000"},
		{"connection limit", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,` + inLB + `,"connection_limit":-2}}`, 400, "Value should be greater or equal to -1"},
		{"header", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,` + inLB + `,"insert_headers":{"X-Evil":"true"}}}`, 400, "['X-Evil'] is not a valid option for insert_headers"},
		{"header of TLS", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,` + inLB + `,"insert_headers":{"X-SSL-Client-DN":"true"}}}`, 400, "['X-SSL-Client-DN'] is not a valid option for HTTP protocol listener."},
		{"header on TCP", "POST", lis, `{"listener":{"protocol":"TCP","protocol_port":81,` + inLB + `,"insert_headers":{"X-Forwarded-For":"true"}}}`, 400, "is not a valid option for a TCP protocol listener."},
		{"CIDR", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,` + inLB + `,"allowed_cidrs":["x"]}}`, 400, "IPv4 or IPv6 CIDR format"},
		{"CIDR of another family", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,` + inLB + `,"allowed_cidrs":["2001:db8::/32"]}}`, 400, "IP version incompatible with all VIPs"},
		{"unknown default pool", "POST", lis, `{"listener":{"protocol":"HTTP","protocol_port":81,` + inLB + `,"default_pool_id":"` + strangerID + `"}}`, 404, "Pool " + strangerID + " not found."},
		{"pool that does not fit", "POST", lis, `{"listener":{"protocol":"HTTPS","protocol_port":81,` + inLB + `,"default_pool_id":"` + poolID + `"}}`, 400, "Validation failure: "},
		{"listener's port on PUT", "PUT", lis + "/" + listenerID, `{"listener":{"protocol_port":81}}`, 400, "Unknown attribute for argument listener_.listener: protocol_port"},

		{"pool without a parent", "POST", pools, `{"pool":{"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN"}}`, 400, "Must provide at least one of: loadbalancer_id, listener_id"},
		{"pool of an unknown listener", "POST", pools, `{"pool":{"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","listener_id":"` + strangerID + `"}}`, 404, "Listener " + strangerID + " not found."},
		{"second default pool", "POST", pools, `{"pool":{"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","listener_id":"` + listenerID + `"}}`, 409, ""},
		{"SOURCE_IP_PORT", "POST", pools, `{"pool":{"protocol":"HTTP","lb_algorithm":"SOURCE_IP_PORT",` + inLB + `}}`, 501, "lb_algorithm SOURCE_IP_PORT"},
		{"UDP pool", "POST", pools, `{"pool":{"protocol":"UDP","lb_algorithm":"ROUND_ROBIN",` + inLB + `}}`, 501, "pool protocol UDP"},
		{"pool with TLS", "POST", pools, `{"pool":{"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN",` + inLB + `,"tls_enabled":true,"tls_container_ref":"x"}}`, 400, "Could not retrieve certificate: ['x']"},
		{"cookie without a name", "POST", pools, `{"pool":{"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN",` + inLB + `,"session_persistence":{"type":"APP_COOKIE"}}}`, 400, "cookie_name"},
		{"cookie that ends a line", "POST", pools, `{"pool":{"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN",` + inLB + `,"session_persistence":{"type":"APP_COOKIE","cookie_name":"a\nb"}}}`, 400, "cookie_name"},
		{"cookie on TCP", "POST", pools, `{"pool":{"protocol":"TCP","lb_algorithm":"ROUND_ROBIN",` + inLB + `,"session_persistence":{"type":"HTTP_COOKIE"}}}`, 501, "session persistence HTTP_COOKIE for a pool of protocol TCP"},
		{"persistence timeout", "POST", pools, `{"pool":{"protocol":"HTTP","lb_algorithm":"ROUND_ROBIN",` + inLB + `,"session_persistence":{"type":"SOURCE_IP","persistence_timeout":3}}}`, 400, "persistence_timeout"},
		{"pool's algorithm to null", "PUT", pools + "/" + poolID, `{"pool":{"lb_algorithm":null}}`, 400, "lb_algorithm"},

		{"member without an address", "POST", members, `{"member":{"protocol_port":80}}`, 400, "field/attribute address. Value: 'None'. Mandatory field missing."},
		{"reserved address", "POST", members, `{"member":{"address":"169.254.169.254","protocol_port":80}}`, 400, "169.254.169.254 is not a valid option for member address"},
		{"reserved address, mapped", "POST", members, `{"member":{"address":"::ffff:169.254.169.254","protocol_port":80}}`, 400, "is not a valid option for member address"},
		{"weight", "POST", members, `{"member":{"address":"198.18.10.60","protocol_port":80,"weight":257}}`, 400, "Value should be lower or equal to 256"},
		{"member twice", "POST", members, `{"member":{"address":"198.18.10.50","protocol_port":8080}}`, 409, "already using ip 198.18.10.50 on protocol_port 8080"},
		{"member's unknown subnet", "POST", members, `{"member":{"address":"198.18.10.60","protocol_port":80,"subnet_id":"` + strangerID + `"}}`, 400, "Subnet " + strangerID + " not found."},
		{"SR-IOV", "POST", members, `{"member":{"address":"198.18.10.60","protocol_port":80,"request_sriov":true}}`, 400, "The load balancer flavor does not allow SR-IOV member ports."},
		{"unknown member", "PUT", members + "/" + strangerID, `{"member":{"weight":1}}`, 404, "Member " + strangerID + " not found."},
		{"member's address on PUT", "PUT", members + "/" + memberID, `{"member":{"address":"198.18.10.61"}}`, 400, "Unknown attribute for argument member_.member: address"},
		{"batch: one bad", "PUT", members, `{"members":[{"address":"198.18.10.60","protocol_port":80},{"address":"198.18.10.61","protocol_port":0}]}`, 400, "greater or equal to 1"},
		{"batch: new one twice", "PUT", members, `{"members":[{"address":"198.18.10.60","protocol_port":80},{"address":"198.18.10.60","protocol_port":80}]}`, 409, ""},
		{"batch: no list", "PUT", members, `{"members":{}}`, 400, "Value should be a list"},

		{"second monitor", "POST", hms, `{"healthmonitor":{"pool_id":"` + poolID + `","type":"TCP","delay":1,"timeout":1,"max_retries":1}}`, 409, ""},
		{"monitor of an unknown pool", "POST", hms, `{"healthmonitor":{"pool_id":"` + strangerID + `","type":"TCP","delay":1,"timeout":1,"max_retries":1}}`, 404, "Pool " + strangerID + " not found."},
		{"PING", "POST", lbs, `{"loadbalancer":{` + vip + `,"pools":[{"name":"p","protocol":"TCP","lb_algorithm":"ROUND_ROBIN","healthmonitor":{"type":"PING","delay":1,"timeout":1,"max_retries":1}}]}}`, 501, "health monitor type PING"},
		{"UDP-CONNECT on HTTP", "POST", hms, `{"healthmonitor":{"pool_id":"` + poolID + `","type":"UDP-CONNECT","delay":5,"timeout":1,"max_retries":1}}`, 400, "The UDP-CONNECT type is only supported for pools of type UDP/SCTP."},
		{"HTTP field on TCP", "POST", hms, `{"healthmonitor":{"pool_id":"` + poolID + `","type":"TCP","delay":1,"timeout":1,"max_retries":1,"url_path":"/"}}`, 400, "url_path is not a valid option for health monitors of type TCP"},
		{"delay 0", "PUT", hms + "/" + monitorID, `{"healthmonitor":{"delay":0}}`, 501, "health monitor delay"},
		{"retries", "POST", hms, `{"healthmonitor":{"pool_id":"` + poolID + `","type":"TCP","delay":1,"timeout":1,"max_retries":11}}`, 400, "lower or equal to 10"},
		{"path that ends a line", "PUT", hms + "/" + monitorID, `{"healthmonitor":{"url_path":"/a\r\nX: y"}}`, 400, "is not a valid path"},
		{"path with a space", "PUT", hms + "/" + monitorID, `{"healthmonitor":{"url_path":"/a b"}}`, 400, "is not a valid path"},
		{"codes", "PUT", hms + "/" + monitorID, `{"healthmonitor":{"expected_codes":"20"}}`, 400, "field/attribute expected_codes"},
		{"domain without HTTP/1.1", "PUT", hms + "/" + monitorID, `{"healthmonitor":{"domain_name":"a.example"}}`, 400, "'http_version' must be specified when 'domain_name' is provided."},
		{"domain", "PUT", hms + "/" + monitorID, `{"healthmonitor":{"domain_name":"-a.example","http_version":1.1}}`, 400, "field/attribute domain_name"},
		{"HTTP/2", "PUT", hms + "/" + monitorID, `{"healthmonitor":{"http_version":2.0}}`, 400, "Value should be one of: 1.0, 1.1"},
		{"delay to null", "PUT", hms + "/" + monitorID, `{"healthmonitor":{"delay":null}}`, 400, "None is not a valid option for delay"},

		{"unknown amphora", "PUT", "/v2.0/octavia/amphorae/" + strangerID + "/failover", ``, 404, "Amphora " + strangerID + " not found."},
		{"unknown filter", "GET", lbs + "?bogus=1", ``, 400, "bogus"},
		{"tenant_id as a filter", "GET", lbs + "?tenant_id=x", ``, 400, "tenant_id"},
		{"a filter twice", "GET", lbs + "?name=a&name=b", ``, 400, "given once"},
		{"unknown sort key", "GET", lbs + "?sort=bogus", ``, 400, "bogus"},
		{"unknown marker", "GET", lbs + "?marker=" + strangerID, ``, 400, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := l.do(c.method, c.path, c.body)
			if a.status != c.status {
				t.Fatalf("%d, want %d: %s", a.status, c.status, a.body)
			}
			if s, _ := a.get(t, "faultstring").(string); !strings.Contains(s, c.text) || s == "" {
				t.Errorf("faultstring %q, want %q in it", s, c.text)
			}
			if diff := cmp.Diff(before, l.counts()); diff != "" {
				t.Errorf("rows differ:\n%s", diff)
			}
		})
	}
}
