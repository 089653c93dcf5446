package lb_test

import (
	"strings"
	"testing"

	"colonnade/internal/lb"
)

// rule is one object and the fault it must bring; no text, no fault.
type rule struct {
	name string
	err  error
	kind lb.Kind
	text string
}

func checkRules(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			got := ""
			if r.err != nil {
				got = r.err.Error()
			}
			if got != r.text || lb.KindOf(r.err) != r.kind {
				t.Errorf("%q (kind %d), want %q (kind %d)", got, lb.KindOf(r.err), r.text, r.kind)
			}
		})
	}
}

func TestValidateListener(t *testing.T) {
	of := func(protocol string, headers map[string]string) error {
		return lb.ValidateListener(lb.Listener{Protocol: protocol, InsertHeaders: headers})
	}
	checkRules(t, []rule{
		{"HTTP", of("HTTP", nil), 0, ""},
		{"HTTPS", of("HTTPS", nil), 0, ""},
		{"TCP", of("TCP", map[string]string{}), 0, ""},
		{"headers", of("HTTP", map[string]string{"X-Forwarded-For": "true", "X-Forwarded-Port": "False", "X-Forwarded-Proto": "TRUE"}), 0, ""},
		{"headers on TCP", of("TCP", map[string]string{"X-Forwarded-For": "true"}), lb.KindInvalid, "insert-headers is not a valid option for a TCP protocol listener."},
		{"known header, not asked for", of("HTTP", map[string]string{"X-Real-IP": "false"}), 0, ""},
		{"header nobody knows", of("HTTP", map[string]string{"X-Evil": "true"}), lb.KindInvalid, "['X-Evil'] is not a valid option for insert_headers"},
		{"header that needs TLS", of("HTTP", map[string]string{"X-SSL-Client-CN": "true"}), lb.KindInvalid, "['X-SSL-Client-CN'] is not a valid option for HTTP protocol listener."},
		{"neither true nor false", of("HTTP", map[string]string{"X-Forwarded-For": "yes"}), lb.KindInvalid, "yes is not a valid option for insert_headers X-Forwarded-For"},
		{"known header, neither", of("HTTP", map[string]string{"X-Client-IP": ""}), lb.KindInvalid, " is not a valid option for insert_headers X-Client-IP"},
	})
}

func TestValidatePool(t *testing.T) {
	of := func(protocol, persistence, cookie string) error {
		p := lb.Pool{Protocol: protocol, Algorithm: lb.RoundRobin}
		if persistence != "" {
			p.SessionPersistence = &lb.SessionPersistence{Type: persistence, CookieName: cookie}
		}
		return lb.ValidatePool(p)
	}
	checkRules(t, []rule{
		{"HTTP", of("HTTP", "", ""), 0, ""},
		{"PROXYV2", of("PROXYV2", "", ""), 0, ""},
		{"SOURCE_IP", lb.ValidatePool(lb.Pool{Protocol: "TCP", Algorithm: "SOURCE_IP"}), 0, ""},
		{"address", of("TCP", "SOURCE_IP", ""), 0, ""},
		{"address with cookie", of("HTTP", "SOURCE_IP", "c"), lb.KindInvalid, `Validation failure: Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".`},
		{"HTTP cookie", of("HTTP", "HTTP_COOKIE", ""), 0, ""},
		{"HTTP cookie with name", of("HTTP", "HTTP_COOKIE", "c"), lb.KindInvalid, `Validation failure: Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".`},
		{"application's cookie", of("PROXY", "APP_COOKIE", "JSESSIONID"), 0, ""},
		{"application's cookie without name", of("HTTP", "APP_COOKIE", ""), lb.KindInvalid, `Validation failure: Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.`},
		{"longest name", of("HTTP", "APP_COOKIE", strings.Repeat("a", 255)), 0, ""},
		{"name too long", of("HTTP", "APP_COOKIE", strings.Repeat("a", 256)), lb.KindInvalid, `Validation failure: Supplied "cookie_name" is invalid.`},
		{"apostrophe", of("HTTP", "APP_COOKIE", "a'b"), lb.KindInvalid, `Validation failure: Supplied "cookie_name" is invalid.`},
		{"no such persistence", of("HTTP", "X", ""), lb.KindInvalid, "X is not a valid option for session_persistence type"},
	})
}

func TestValidateMember(t *testing.T) {
	of := func(address, monitor string) error {
		return lb.ValidateMember(lb.Member{Address: address, MonitorAddress: monitor})
	}
	field := func(value, reason string) string {
		return "Invalid input for field/attribute address. Value: '" + value + "'. " + reason
	}
	checkRules(t, []rule{
		{"IPv4", of("198.18.0.1", ""), 0, ""},
		{"IPv6, watched elsewhere", of("2001:db8::1", "198.18.0.1"), 0, ""},
		{"name", of("www", ""), lb.KindInvalid, field("www", "Value should be IPv4 or IPv6 format")},
		{"monitor's name", of("198.18.0.1", "www"), lb.KindInvalid, field("www", "Value should be IPv4 or IPv6 format")},
		{"zone", of("fe80::1%eth0", ""), lb.KindInvalid, field("fe80::1%eth0", "Value should be IPv4 or IPv6 format")},
		{"metadata service", of("169.254.169.254", ""), lb.KindInvalid, "169.254.169.254 is not a valid option for member address"},
		{"metadata service as monitor", of("198.18.0.1", "169.254.169.254"), lb.KindInvalid, "169.254.169.254 is not a valid option for member address"},
		{"metadata service in disguise", of("::ffff:169.254.169.254", ""), lb.KindInvalid, "::ffff:169.254.169.254 is not a valid option for member address"},
		{"metadata service in hexadecimal", of("::ffff:a9fe:a9fe", ""), lb.KindInvalid, "::ffff:a9fe:a9fe is not a valid option for member address"},
		{"IPv4 in IPv6", of("::ffff:198.18.0.1", ""), lb.KindInvalid, field("::ffff:198.18.0.1", "Value should be an IPv4 address in IPv4 format")},
	})
}

func TestValidateHealthMonitor(t *testing.T) {
	of := func(edit func(*lb.HealthMonitor)) error {
		h := lb.HealthMonitor{Type: "HTTP", Delay: 5, Timeout: 3, HTTPMethod: "GET", URLPath: "/", ExpectedCodes: "200"}
		edit(&h)
		return lb.ValidateHealthMonitor(h)
	}
	checkRules(t, []rule{
		{"HTTP", of(func(*lb.HealthMonitor) {}), 0, ""},
		{"TCP looks at no HTTP field", of(func(h *lb.HealthMonitor) { h.Type, h.URLPath, h.ExpectedCodes = "TCP", "", "" }), 0, ""},
		{"20 days", of(func(h *lb.HealthMonitor) { h.Delay, h.Timeout = 1728000, 1728000 }), 0, ""},
		{"domain without HTTP/1.1", of(func(h *lb.HealthMonitor) { h.DomainName, h.HTTPVersion = "a.example", "1.0" }), lb.KindInvalid, "http_version 1.0 is not a valid option for health monitors HTTP 1.1 domain name health check"},
		{"domain without a version", of(func(h *lb.HealthMonitor) { h.DomainName = "a.example" }), lb.KindInvalid, "Validation failure: 'http_version' must be specified when 'domain_name' is provided."},
		{"domain", of(func(h *lb.HealthMonitor) { h.DomainName, h.HTTPVersion = "a.example.", "1.1" }), 0, ""},
		{"codes that HTTP has not", of(func(h *lb.HealthMonitor) { h.ExpectedCodes = "200,600" }), lb.KindInvalid, "Invalid input for field/attribute expected_codes. Value: '200,600'. Value should name HTTP status codes"},
	})
}

func TestCheckAllowedCIDRs(t *testing.T) {
	of := func(vip string, cidrs ...string) error {
		return lb.CheckAllowedCIDRs(cidrs, lb.LoadBalancer{VIPAddress: vip})
	}
	dual := lb.LoadBalancer{VIPAddress: "198.18.0.1", AdditionalVIPs: []lb.AdditionalVIP{{Address: "2001:db8::1"}}}
	other := func(cidr, vips string) string {
		return "Validation failure: CIDR " + cidr + " IP version incompatible with all VIPs [" + vips + "] IP version."
	}
	checkRules(t, []rule{
		{"none", of("198.18.0.1"), 0, ""},
		{"IPv4", of("198.18.0.1", "10.0.0.0/8", "0.0.0.0/0"), 0, ""},
		{"IPv6", of("2001:db8::1", "2001:db8::/32"), 0, ""},
		{"both on both", lb.CheckAllowedCIDRs([]string{"::/0", "0.0.0.0/0"}, dual), 0, ""},
		{"IPv6 on IPv4", of("198.18.0.1", "10.0.0.0/8", "::/0"), lb.KindInvalid, other("::/0", "'198.18.0.1'")},
		{"IPv4 on IPv6", of("2001:db8::1", "10.0.0.0/8"), lb.KindInvalid, other("10.0.0.0/8", "'2001:db8::1'")},
		{"VIP not allocated yet", of("", "10.0.0.0/8"), 0, ""},
		{"VIP not allocated yet, IPv6", of("", "::/0"), lb.KindInvalid, other("::/0", "''")},
		{"no CIDR", lb.CheckAllowedCIDRs([]string{"10.0.0.1"}, dual), lb.KindInvalid, other("10.0.0.1", "'198.18.0.1', '2001:db8::1'")},
		{"security groups", lb.CheckAllowedCIDRs([]string{"::/0"}, lb.LoadBalancer{VIPSecurityGroups: []string{"g"}}), lb.KindInvalid, "Validation failure: Allowed CIDRs are not allowed when using custom VIP Security Groups."},
		{"security groups and no CIDR", lb.CheckAllowedCIDRs(nil, lb.LoadBalancer{VIPSecurityGroups: []string{"g"}}), 0, ""},
	})
}

func TestCheckProvider(t *testing.T) {
	of := func(provider string) error {
		return lb.DefaultRules().CheckProvider(provider)
	}
	checkRules(t, []rule{
		{"own name", of("amphora"), 0, ""},
		{"alias", of("octavia"), 0, ""},
		{"another", of("ovn"), lb.KindInvalid, "Provider 'ovn' is not enabled."},
		{"none", of(""), lb.KindInvalid, "Provider '' is not enabled."},
	})
}
