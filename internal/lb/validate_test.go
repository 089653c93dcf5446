package lb_test

import (
	"testing"

	"colonnade/internal/lb"
)

func TestNormalizeCIDR(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.5/8": "10.0.0.0/8", "10.0.0.1": "10.0.0.1/32", "2001:db8::5/32": "2001:db8::/32", "0.0.0.0/0": "0.0.0.0/0",
		"x": "", "10.0.0.0/33": "", "": "", "fe80::1%eth0": "", "fe80::1%eth0/64": "",
	} {
		got, err := lb.NormalizeCIDR(in)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

// Octavia's matrix of listeners and pools, row by row.
func TestCheckListenerPool(t *testing.T) {
	pools := []string{"HTTP", "HTTPS", "PROXY", "PROXYV2", "TCP", "UDP", "SCTP"}
	for listener, row := range map[string]string{
		"HTTP": "y.yy...", "HTTPS": ".yyyy..", "TCP": "yyyyy..", "TERMINATED_HTTPS": "y.yy...", "UDP": ".....y.", "SCTP": "......y", "PROMETHEUS": ".......",
	} {
		for i, pool := range pools {
			if got := lb.CheckListenerPool(listener, pool) == nil; got != (row[i] == 'y') {
				t.Errorf("%s listener, %s pool: allowed %v", listener, pool, got)
			}
		}
	}
}

// Nothing of a tenant may end the word or the line it stands in.
func TestHostileStrings(t *testing.T) {
	http := lb.HealthMonitor{Type: "HTTP", Delay: 1, Timeout: 1, HTTPMethod: "GET", URLPath: "/", ExpectedCodes: "200", HTTPVersion: "1.1"}
	if err := lb.ValidateHealthMonitor(http); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"a b", "a\nb", "a\rb", "a\tb", "a\x00b", "a\"b", "a\\b", "a#b", "a;b{}", "a%zz", "é", ""} {
		h := http
		h.URLPath = s
		if lb.ValidateHealthMonitor(h) == nil {
			t.Errorf("url_path %q", s)
		}
		if h.URLPath = "/" + s; s != "" && lb.ValidateHealthMonitor(h) == nil {
			t.Errorf("url_path %q", h.URLPath)
		}
		h = http
		if h.DomainName = s; s != "" && lb.ValidateHealthMonitor(h) == nil {
			t.Errorf("domain_name %q", s)
		}
		h = http
		if h.ExpectedCodes = s; lb.ValidateHealthMonitor(h) == nil {
			t.Errorf("expected_codes %q", s)
		}
		p := lb.Pool{Protocol: "HTTP", SessionPersistence: &lb.SessionPersistence{Type: "APP_COOKIE", CookieName: s}}
		if s != "a#b" && s != "a%zz" && lb.ValidatePool(p) == nil { // tokens, quoted where they are written
			t.Errorf("cookie_name %q", s)
		}
	}
	for s, ok := range map[string]bool{"200": true, "200,202": true, "200, 202": true, "200-204": true, "204-200": false, "200-204,300": false, "999": false, "20": false} {
		h := http
		if h.ExpectedCodes = s; (lb.ValidateHealthMonitor(h) == nil) != ok {
			t.Errorf("expected_codes %q: allowed %v", s, !ok)
		}
	}
	for s, ok := range map[string]bool{"www.example.com": true, "_x.example": true, "a-b.c": true, "-a.b": false, "a-.b": false, "a..b": false, "a_b.c": false} {
		h := http
		if h.DomainName = s; (lb.ValidateHealthMonitor(h) == nil) != ok {
			t.Errorf("domain_name %q: allowed %v", s, !ok)
		}
	}
}

func TestCheckMonitorPool(t *testing.T) {
	for monitor, row := range map[string]string{"HTTP": "yy", "HTTPS": "y.", "TCP": "yy", "PING": "y.", "TLS-HELLO": "y.", "UDP-CONNECT": ".y", "SCTP": ".y"} {
		for i, pool := range []string{"HTTP", "UDP"} {
			if got := lb.CheckMonitorPool(monitor, pool) == nil; got != (row[i] == 'y') {
				t.Errorf("%s on %s: allowed %v", monitor, pool, got)
			}
		}
	}
}
