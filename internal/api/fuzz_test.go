package api

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/secret"
	"colonnade/internal/testenv/pki"
	"colonnade/internal/worker"
)

// oneSubnet is a network driver with one IPv4 and one IPv6 subnet, whatever the id.
type oneSubnet struct{ Networks }

func (oneSubnet) Subnet(_ context.Context, id string) (network.Subnet, error) {
	s := network.Subnet{ID: id, NetworkID: "n", CIDR: "198.18.10.0/24"}
	if strings.HasPrefix(id, "6") {
		s.CIDR = "2001:db8::/64"
	}
	return s, nil
}

var seeds = []string{
	`{"loadbalancer":{"vip_subnet_id":"22222222-2222-4222-8222-222222222222","name":"web","tags":["a"],"listeners":[{"protocol":"HTTP","protocol_port":80,"insert_headers":{"X-Forwarded-For":"true"},
"allowed_cidrs":["10.0.0.5/8"],"default_pool":{"name":"p","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","session_persistence":{"type":"APP_COOKIE","cookie_name":"c"},
"members":[{"address":"198.18.10.5","protocol_port":80,"weight":0,"backup":true,"monitor_port":81}],
"healthmonitor":{"type":"HTTP","delay":1,"timeout":1,"max_retries":1,"http_version":1.1,"domain_name":"_a.example","url_path":"/a?b=%20","expected_codes":"200-204"}}}],"pools":[{"name":"q","protocol":"TCP","lb_algorithm":"SOURCE_IP"}]}}`,
	`{"listener":{"loadbalancer_id":"22222222-2222-4222-8222-222222222222","protocol":"TCP","protocol_port":"81","connection_limit":-1,"timeout_client_data":0,"admin_state_up":"false"}}`,
	`{"pool":{"listener_id":"22222222222242228222222222222222","protocol":"PROXYV2","lb_algorithm":"LEAST_CONNECTIONS","session_persistence":null,"description":"\ud83d\udca9"}}`,
	`{"listener":{"protocol":"TERMINATED_HTTPS","protocol_port":443,"default_tls_container_ref":"c","sni_container_refs":["s","t"],"client_ca_tls_container_ref":"a","client_crl_container_ref":"r",
"client_authentication":"MANDATORY","tls_ciphers":"HIGH:!aNULL:@SECLEVEL=1","tls_versions":["TLSv1.1","TLSv1.2"],"alpn_protocols":["h2"],"hsts_max_age":1,"hsts_preload":true,"insert_headers":{"X-SSL-Client-CN":"true","X-Real-IP":"True"}}}`,
	`{"loadbalancer":{"vip_subnet_id":"22222222-2222-4222-8222-222222222222","listeners":[{"protocol":"PROMETHEUS","protocol_port":9100},{"protocol":"TERMINATED_HTTPS","protocol_port":443,"sni_container_refs":["s"],
"default_pool":{"name":"p","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","tls_enabled":true,"tls_container_ref":"c","ca_tls_container_ref":"a","crl_container_ref":"r","tls_versions":["TLSv1.3"],
"healthmonitor":{"type":"TLS-HELLO","delay":1,"timeout":1,"max_retries":1}}}]}}`,
	`{"member":{"address":"2001:db8::5","protocol_port":65535,"subnet_id":"62222222-2222-4222-8222-222222222222","monitor_address":"198.18.10.9"}}`,
	`{"members":[{"address":"198.18.10.5","protocol_port":80},{"address":"198.18.10.6","protocol_port":80,"name":null}]}`,
	`{"healthmonitor":{"pool_id":"22222222-2222-4222-8222-222222222222","type":"HTTPS","delay":"5","timeout":3,"max_retries":10,"max_retries_down":1,"http_method":"TRACE","expected_codes":"200, 202"}}`,
	`{"healthmonitor":{"type":"TCP","delay":1,"timeout":1,"max_retries":1}}`,
	`{"loadbalancer":{"name":"\ud800","name":"\u0000"}}`, `{"loadbalancer":null}`, `[{}]`, `{"x":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}`, "{\"pool\":{\"name\":\"\xff\"}}", `{} {}`, ``, `{"listener":{"protocol_port":1e400}}`,
}

// decodes checks what decodeBody says of a body, and that what it accepts it accepts again as it writes it.
func decodes[T any](t *testing.T, body []byte, argument, root string) (T, bool) {
	t.Helper()
	var in, again T
	if err := decodeBody(body, argument, root, &in); err != nil {
		if lb.KindOf(err) != lb.KindInvalid || err.Error() == "" {
			t.Fatalf("%s: %v is no refusal", root, err)
		}
		return in, false
	}
	b, err := json.Marshal(map[string]any{root: in})
	if err != nil {
		t.Fatalf("%s: %v", root, err)
	}
	if err := decodeBody(b, argument, root, &again); err != nil {
		t.Fatalf("%s: accepted %s and refuses its own %s: %v", root, body, b, err)
	}
	if diff := cmp.Diff(in, again); diff != "" {
		t.Fatalf("%s: %s", root, diff)
	}
	return in, true
}

// refusal checks an error of the rules behind the decoder.
func refusal(t *testing.T, err error) {
	t.Helper()
	switch lb.KindOf(err) {
	case lb.KindInvalid, lb.KindUnsupported, lb.KindConflict, lb.KindNotFound:
	default:
		t.Fatalf("%v is no refusal", err)
	}
}

// Bodies of all requests: none is decoded in part, none makes a panic, and the trees that come of those that are
// accepted are whole and can be rendered.
func FuzzBodies(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	ca := pki.New(f, "Tenant")
	leaf, authority, revoked = ca.Issue("a.example").PEM(), ca.PEM, ca.CRL()
	s := &server{Deps: Deps{Networks: oneSubnet{}, Provider: amphora.HAProxy{}, Certificates: secret.Anything{}, Settings: DefaultSettings()}}
	f.Fuzz(func(t *testing.T, body []byte) {
		parent := lb.LoadBalancer{
			ID: "33333333-3333-4333-8333-333333333333", ProjectID: "p", Enabled: true, VIPAddress: "198.18.10.1",
			ProvisioningStatus: lb.Active, OperatingStatus: lb.Online, Revision: 1,
		}
		tree := lb.Tree{LoadBalancer: parent}
		if in, ok := decodes[wire.LoadBalancerCreate](t, body, "load_balancer", "loadbalancer"); ok {
			var err error
			if tree, err = s.newTree(t.Context(), parent, in); err != nil {
				refusal(t, err)
				return
			}
		}
		decodes[wire.LoadBalancerUpdate](t, body, "load_balancer", "loadbalancer")
		decodes[wire.ListenerUpdate](t, body, "listener_", "listener")
		decodes[wire.PoolUpdate](t, body, "pool_", "pool")
		decodes[wire.MemberUpdate](t, body, "member_", "member")
		decodes[wire.HealthMonitorUpdate](t, body, "health_monitor_", "healthmonitor")
		decodes[wire.NetworkCreate](t, body, "network_", "network")
		pool := lb.Pool{ID: "44444444-4444-4444-8444-444444444444", LoadBalancerID: parent.ID, Protocol: "HTTP", Algorithm: "ROUND_ROBIN", Enabled: true}
		tree.AcceptPending = true
		err := tree.AddPool(pool, "")
		if in, ok := decodes[wire.ListenerCreate](t, body, "listener_", "listener"); ok && err == nil {
			var l lb.Listener
			if l, err = newListener(in, parent, s.Settings.Rules); err == nil {
				err = tree.AddListener(l)
			}
		}
		if in, ok := decodes[wire.PoolCreate](t, body, "pool_", "pool"); ok && err == nil {
			var p lb.Pool
			if p, err = newPool(in, parent, s.Settings.Rules); err == nil {
				err = tree.AddPool(p, "")
			}
		}
		members, ok := decodes[[]wire.MemberCreate](t, body, "members_", "members")
		if in, isOne := decodes[wire.MemberCreate](t, body, "member_", "member"); isOne {
			members, ok = []wire.MemberCreate{in}, true
		}
		if ok && err == nil {
			want := make([]lb.Member, len(members))
			for i := range members {
				if want[i], err = newMember(members[i], "p"); err == nil {
					err = s.checkMemberSubnet(t.Context(), want[i])
				}
				if err != nil {
					break
				}
			}
			if err == nil {
				err = tree.ReplaceMembers(pool.ID, want, false)
			}
		}
		if in, ok := decodes[wire.HealthMonitorCreate](t, body, "health_monitor_", "healthmonitor"); ok && err == nil {
			var h lb.HealthMonitor
			if h, err = newMonitor(in, pool, s.Settings.Rules); err == nil {
				err = tree.AddHealthMonitor(h)
			}
		}
		if err == nil {
			err = s.Provider.Supports(&tree)
		}
		if err != nil {
			refusal(t, err)
			return
		}
		if err := tree.Check(); err != nil {
			t.Fatal(err)
		}
		renderable(t, tree)
	})
}

// What references name.
var leaf, authority, revoked string

// renderable checks that every amphora takes what the API took.
func renderable(t interface {
	Helper()
	Fatalf(string, ...any)
}, tree lb.Tree,
) {
	t.Helper()
	tree = tree.Clone()
	for i := range tree.Pools { // pools that nobody uses reach no document
		tree.Listeners = append(tree.Listeners, lb.Listener{
			ID: "55555555-5555-4555-8555-5555555555" + string("0123456789abcdef"[i>>4&15]) + string("0123456789abcdef"[i&15]), Enabled: true,
			Protocol:     map[string]string{"HTTPS": "HTTPS"}[tree.Pools[i].Protocol] + map[bool]string{true: "TCP"}[tree.Pools[i].Protocol != "HTTPS"],
			ProtocolPort: 20000 + i, ConnectionLimit: -1, DefaultPoolID: tree.Pools[i].ID,
		})
	}
	doc := worker.Document(tree, lb.Cluster{ProbeKey: strings.Repeat("0", 32)}, worker.Settings{DefaultConnectionLimit: 50000}, nil)
	doc.Secrets = map[string]string{} // whatever is named is there
	for _, l := range doc.Listeners {
		if l.TLS != nil {
			for _, name := range l.TLS.Certificates {
				doc.Secrets[name] = leaf
			}
			doc.Secrets[l.TLS.ClientCA], doc.Secrets[l.TLS.ClientCRL] = authority, revoked
		}
	}
	for _, p := range doc.Pools {
		if p.TLS != nil {
			doc.Secrets[p.TLS.Certificate], doc.Secrets[p.TLS.CA], doc.Secrets[p.TLS.CRL] = leaf, authority, revoked
		}
	}
	for _, p := range haproxy.Check(doc) {
		if p.ObjectType != "" { // of the document itself: it has no ports here
			t.Fatalf("accepted, and amphorae refuse it: %+v", p)
		}
	}
}

// Content negotiation and paths.
func FuzzNegotiation(f *testing.F) {
	for _, s := range []string{"", "*/*", "application/json", "text/html, application/*;q=0.1", "application/json;q=0", ";", ",", "a/b;c=\"", "application/json; charset=\x00"} {
		f.Add(s, "/v2.0/lbaas/loadbalancers")
	}
	for _, s := range []string{"/v2", "/load-balancer/v2.0/pools.json", "//v2//lbaas/..", "/v2/octavia/amphorae/", "\x00", "", "/v2.0/lbaas/lbaas/x.json.json", "/openapi.json"} {
		f.Add("*/*", s)
	}
	f.Fuzz(func(t *testing.T, accept, path string) {
		if accepts(accept, "application/json") && accept != "" && strings.TrimSpace(accept) != "" && !strings.ContainsAny(accept, "*") && !strings.Contains(strings.ToLower(accept), "application/json") {
			t.Errorf("Accept %q is taken", accept)
		}
		c := canonicalPath(path)
		if !strings.HasPrefix(c, "/") || strings.Contains(c, "/../") || len(c) > len(path)+len("/v2.0/lbaas") {
			t.Errorf("path %q is %q", path, c)
		}
		if again := canonicalPath(c); again != c && !strings.HasSuffix(c, ".json") {
			t.Errorf("path %q is %q and then %q", path, c, again)
		}
	})
}

// A fault is always one of those that become 4xx, 501 or 503; nothing else is said in words.
func TestEveryKindHasAStatus(t *testing.T) {
	for kind := lb.KindInvalid; kind <= lb.KindUnavailable; kind++ {
		a := answerFor(errors.Join(lb.Faultf(kind, "text")))
		if a.status == 500 || reflect.ValueOf(a.body).FieldByName("FaultString").String() != "text" {
			t.Errorf("kind %d: %+v", kind, a)
		}
	}
}
