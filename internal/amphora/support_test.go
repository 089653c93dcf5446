package amphora_test

import (
	"errors"
	"testing"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

func TestHAProxySupports(t *testing.T) {
	listener := func(protocol string, headers map[string]string) lb.Tree {
		return lb.Tree{Listeners: []lb.Listener{{Protocol: protocol, InsertHeaders: headers}}}
	}
	tls := func(versions ...string) lb.Tree {
		l := lb.Listener{Protocol: lb.ProtocolTerminatedHTTPS}
		l.TLSVersions = versions
		return lb.Tree{Listeners: []lb.Listener{l}}
	}
	pool := func(edit func(*lb.Pool)) lb.Tree {
		p := lb.Pool{Protocol: lb.ProtocolTCP, Algorithm: lb.RoundRobin}
		edit(&p)
		return lb.Tree{Pools: []lb.Pool{p}}
	}
	persistence := func(protocol, kind string) lb.Tree {
		return pool(func(p *lb.Pool) { p.Protocol, p.SessionPersistence = protocol, &lb.SessionPersistence{Type: kind} })
	}
	member := func(address, subnet string) lb.Tree {
		return pool(func(p *lb.Pool) { p.Members = []lb.Member{{Address: address, SubnetID: subnet}} })
	}
	monitor := func(kind string, delay, timeout int) lb.Tree {
		return pool(func(p *lb.Pool) { p.HealthMonitor = &lb.HealthMonitor{Type: kind, Delay: delay, Timeout: timeout} })
	}
	vip := func(address string) lb.Tree { return lb.Tree{LoadBalancer: lb.LoadBalancer{VIPAddress: address}} }
	const outside = "health monitor delay or timeout outside of 1 to 1728000"
	policies := func(protocol string) lb.Tree {
		t := listener(protocol, nil)
		t.Listeners[0].L7Policies = []lb.L7Policy{{ID: "p"}}
		return t
	}
	for _, c := range []struct {
		name string
		tree lb.Tree
		want string // what is not supported; "" for all is
	}{
		{"nothing", lb.Tree{}, ""},
		{"IPv4 VIP", vip("198.18.0.1"), ""},
		{"IPv6 VIP", vip("2001:db8::1"), "an IPv6 VIP"},
		{"VIP not chosen yet", vip(""), ""},
		{"HTTP listener", listener("HTTP", map[string]string{"X-Forwarded-For": "true", "X-Real-IP": "false"}), ""},
		{"UDP listener", listener("UDP", nil), "listener protocol UDP"},
		{"SCTP listener", listener("SCTP", nil), "listener protocol SCTP"},
		{"header", listener("HTTP", map[string]string{"X-Real-IP": "true"}), ""},
		{"L7 policy of HTTP", policies("HTTP"), ""},
		{"L7 policy of HTTPS", policies("HTTPS"), "L7 policies of a HTTPS listener"},
		{"more VIPs", lb.Tree{LoadBalancer: lb.LoadBalancer{AdditionalVIPs: []lb.AdditionalVIP{{}}}}, "additional_vips"},
		{"QoS", lb.Tree{LoadBalancer: lb.LoadBalancer{VIPQoSPolicyID: "q"}}, "vip_qos_policy_id"},
		{"security groups", lb.Tree{LoadBalancer: lb.LoadBalancer{VIPSecurityGroups: []string{"g"}}}, "vip_sg_ids"},
		{"VIP by SR-IOV", lb.Tree{LoadBalancer: lb.LoadBalancer{VIPVnicType: lb.VnicDirect}}, "vip_vnic_type direct"},
		{"member by SR-IOV", pool(func(p *lb.Pool) { p.Members = []lb.Member{{VnicType: lb.VnicDirect}} }), "request_sriov"},
		{"UDP pool", pool(func(p *lb.Pool) { p.Protocol = "UDP" }), "pool protocol UDP"},
		{"TERMINATED_HTTPS listener", tls("TLSv1.2", "TLSv1.3"), ""},
		{"TERMINATED_HTTPS listener, old", tls("TLSv1.1", "TLSv1.2", "TLSv1"), ""},
		{"SSLv3", tls("TLSv1", "SSLv3"), "tls_versions SSLv3"},
		{"a hole", tls("TLSv1.3", "TLSv1"), "tls_versions with TLSv1 and TLSv1.3 and without TLSv1.1 between them"},
		{"PROMETHEUS listener", listener("PROMETHEUS", nil), ""},
		{"TLS to members", pool(func(p *lb.Pool) { p.TLSEnabled = true }), ""},
		{"SSLv3 to members", pool(func(p *lb.Pool) { p.TLSEnabled, p.TLSVersions = true, []string{"SSLv3"} }), "tls_versions SSLv3"},
		{"SSLv3 for later", pool(func(p *lb.Pool) { p.TLSVersions = []string{"SSLv3"} }), ""},
		{"SOURCE_IP", pool(func(p *lb.Pool) { p.Algorithm = "SOURCE_IP" }), ""},
		{"SOURCE_IP_PORT", pool(func(p *lb.Pool) { p.Algorithm = "SOURCE_IP_PORT" }), "lb_algorithm SOURCE_IP_PORT"},
		{"address persists in TCP", persistence("TCP", "SOURCE_IP"), ""},
		{"HTTP cookie in TCP", persistence("TCP", "HTTP_COOKIE"), "session persistence HTTP_COOKIE for a pool of protocol TCP"},
		{"application's cookie in HTTPS", persistence("HTTPS", "APP_COOKIE"), "session persistence APP_COOKIE for a pool of protocol HTTPS"},
		{"IPv6 member on a subnet", member("2001:db8::1", "s"), ""},
		{"IPv6 member without one", member("2001:db8::1", ""), "an IPv6 member without a subnet_id (VIPs are IPv4)"},
		{"TCP monitor, 20 days", monitor("TCP", 1728000, 1728000), ""},
		{"PING monitor", monitor("PING", 5, 3), "health monitor type PING"},
		{"no delay", monitor("HTTP", 0, 3), outside},
		{"no timeout", monitor("HTTP", 5, 0), outside},
		{"delay beyond", monitor("HTTP", 1728001, 3), outside},
		{"timeout beyond", monitor("TCP", 5, 1728001), outside},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := amphora.HAProxy{}.Supports(&c.tree)
			if c.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var f *lb.Fault
			if !errors.As(err, &f) || f.Kind != lb.KindUnsupported || f.Text != "Provider 'amphora' does not support a requested option: "+c.want {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
