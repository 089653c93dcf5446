package haproxy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/lb"
	"colonnade/internal/testenv/golden"
)

var settings = haproxy.Settings{AmphoraID: "66666666-0000-4000-8000-000000000001", MaxConn: 9000}

// checkWithHAProxy lets the real thing judge, warnings being errors.
func checkWithHAProxy(t *testing.T, text string) error {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"haproxy.cfg": text, "servers.state": "1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return haproxy.CheckFile(t.Context(), dir, "haproxy.cfg", text)
}

func TestRender(t *testing.T) {
	cases := map[string]amphora.Desired{
		"http": edit(func(d *amphora.Desired) {
			d.Listeners[0].ConnectionLimit = 100
			d.Listeners[0].TimeoutTCPInspect = 50
			d.Listeners[0].InsertHeaders = map[string]string{"X-Forwarded-For": "true", "X-Forwarded-Port": "true", "X-Forwarded-Proto": "true"}
			d.Pools[0].Monitor = monitor(lb.MonitorHTTP)
			d.Pools[0].Monitor.HTTPVersion, d.Pools[0].Monitor.DomainName = "1.1", "www.example.com"
			d.Pools[0].Monitor.URLPath, d.Pools[0].Monitor.ExpectedCodes = "/it's%20up?x=$HOME&y=(1)", "200, 202"
			d.Pools[0].Members[0].Backup = true
			d.Pools[0].Members[1].Enabled = false
			d.Pools[0].Members[1].MonitorAddress, d.Pools[0].Members[1].MonitorPort = "198.18.2.77", 9000
		}),
		"tcp_source_ip": edit(func(d *amphora.Desired) {
			d.Listeners[0].Protocol = lb.ProtocolTCP
			d.Pools[0].Protocol, d.Pools[0].Algorithm = lb.ProtocolTCP, lb.SourceIP
			d.Pools[0].Monitor = monitor(lb.MonitorTCP)
			d.Pools[0].Members[0].Weight = 0
		}),
		"https_pass_through": edit(func(d *amphora.Desired) {
			d.Listeners[0].Protocol, d.Listeners[0].Port = lb.ProtocolHTTPS, 443
			d.Pools[0].Protocol, d.Pools[0].Algorithm = lb.ProtocolHTTPS, lb.LeastConnections
			d.Pools[0].Monitor = monitor(lb.MonitorHTTPS)
			d.Pools[0].Monitor.ExpectedCodes = "200-299"
			d.Pools[0].SessionPersistence = &lb.SessionPersistence{Type: lb.PersistSourceIP}
		}),
		"ipv6_two_listeners": edit(func(d *amphora.Desired) {
			d.VIPs = append(d.VIPs, amphora.VIP{Address: "2001:DB8::0:100"})
			d.Listeners = append(d.Listeners, amphora.Listener{ID: listenerTCP, Protocol: lb.ProtocolTCP, Port: 8080, ConnectionLimit: -1, DefaultPoolID: poolA})
			d.Pools[0].Members[0].Address, d.Pools[0].Members[0].MonitorAddress = "2001:db8::2:1", "2001:db8::2:2"
			d.Pools[0].Monitor = monitor(lb.MonitorTCP)
		}),
		"http_cookie_proxy": edit(func(d *amphora.Desired) {
			d.Pools[0].Protocol = lb.ProtocolProxyV2
			d.Pools[0].SessionPersistence = &lb.SessionPersistence{Type: lb.PersistHTTPCookie}
		}),
		"app_cookie_proxy": edit(func(d *amphora.Desired) {
			d.Pools[0].Protocol = lb.ProtocolProxy
			d.Pools[0].SessionPersistence = &lb.SessionPersistence{Type: lb.PersistAppCookie, CookieName: "JSESSION#$%|ID"}
		}),
		"l7": edit(func(d *amphora.Desired) {
			d.Pools = append(d.Pools, amphora.Pool{ID: poolB, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin, Members: []amphora.Member{member(3)}})
			rule := func(n int, kind, compare, key, value string, invert bool) amphora.L7Rule {
				return amphora.L7Rule{ID: ruleID(n), Type: kind, CompareType: compare, Key: key, Value: value, Invert: invert}
			}
			d.Listeners[0].L7Policies = []amphora.L7Policy{
				{ID: policyID(1), Action: lb.ActionRedirectPool, RedirectPoolID: poolB, Rules: []amphora.L7Rule{
					rule(1, lb.RuleHostName, lb.CompareEqualTo, "", "api.example", false), rule(2, lb.RuleHeader, lb.CompareRegex, "X-It's", `^(?i:it's) \d+"ä$`, true),
				}},
				{ID: policyID(2), Action: lb.ActionRedirectPrefix, RedirectPrefix: "https://new.example/100%/%20'", RedirectHTTPCode: 308, Rules: []amphora.L7Rule{
					rule(3, lb.RulePath, lb.CompareStartsWith, "", "--", false), rule(4, lb.RuleCookie, lb.CompareContains, "id", "a=b", false),
				}},
				{ID: policyID(3), Action: lb.ActionReject, Rules: []amphora.L7Rule{
					rule(5, lb.RuleFileType, lb.CompareEqualTo, "", "exe", false), rule(6, lb.RuleHasCert, lb.CompareEqualTo, "", "true", true),
					rule(7, lb.RuleVerifyResult, lb.CompareEqualTo, "", "010", false), rule(8, lb.RuleDNField, lb.CompareEndsWith, "CN", `"my own"`, false),
				}},
			}
		}),
		"no_pool_no_members": edit(func(d *amphora.Desired) {
			d.Pools[0].Members = nil
			d.Listeners = append(d.Listeners, amphora.Listener{ID: listenerTCP, Protocol: lb.ProtocolTCP, Port: 25, ConnectionLimit: 0})
		}),
	}
	for name, d := range cases {
		t.Run("S4 "+name, func(t *testing.T) {
			got, err := haproxy.Render(d, settings)
			if err != nil {
				t.Fatal(err)
			}
			golden.Want(t, filepath.Join("testdata", name+".cfg"), got)
			if err := checkWithHAProxy(t, got); err != nil {
				var refused *amphora.RefusedError
				errors.As(err, &refused)
				t.Errorf("haproxy -c: %v %+v", err, refused)
			}
		})
	}
}

func servers(t *testing.T, d amphora.Desired, amphoraID string) string {
	t.Helper()
	text, err := haproxy.Render(d, haproxy.Settings{AmphoraID: amphoraID, MaxConn: 9000})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "server" {
			out = append(out, f[1])
		}
	}
	return strings.Join(out, " ")
}

func TestMemberOrder(t *testing.T) {
	many := edit(func(d *amphora.Desired) {
		for n := 3; n <= 20; n++ {
			d.Pools[0].Members = append(d.Pools[0].Members, member(n))
		}
	})
	source := edit(func(d *amphora.Desired) {
		d.Pools[0].Members = many.Pools[0].Members
		d.Pools[0].Algorithm = lb.SourceIP
	})
	const one, two = "66666666-0000-4000-8000-000000000001", "66666666-0000-4000-8000-000000000002"
	t.Run("S26 amphorae differ", func(t *testing.T) {
		if servers(t, many, one) == servers(t, many, two) {
			t.Error("two amphorae have the same order")
		}
	})
	t.Run("S33 SOURCE_IP is the same everywhere", func(t *testing.T) {
		if servers(t, source, one) != servers(t, source, two) {
			t.Error("SOURCE_IP differs between amphorae")
		}
	})
}

func TestMaxConn(t *testing.T) {
	for limit, want := range map[uint64]int{20000: 9000, 1 << 20: 9000, 1024: 412, 64: 10} {
		if got := haproxy.MaxConnFor(limit); got != want {
			t.Errorf("MaxConnFor(%d) = %d, want %d", limit, got, want)
		}
	}
}
