package api

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestEdge(t *testing.T) {
	trusting := Edge{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("2001:db8::1/128")}}
	for _, c := range []struct {
		name         string
		edge         Edge
		remote       string
		header       [][2]string
		client, base string
	}{
		{"direct", Edge{}, "198.19.0.9:1234", nil, "198.19.0.9", "http://lb"},
		{"a client lies", trusting, "198.19.0.9:1", [][2]string{{"X-Forwarded-For", "198.18.7.7"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "evil"}}, "198.19.0.9", "http://lb"},
		{"nobody is trusted", Edge{}, "198.18.0.1:1", [][2]string{{"X-Forwarded-For", "198.18.7.7"}}, "198.18.0.1", "http://lb"},
		{"a proxy", trusting, "198.18.0.1:1", [][2]string{{"X-Forwarded-For", "198.18.7.7"}, {"X-Forwarded-Proto", "HTTPS"}, {"X-Forwarded-Host", "lb.example:443"}}, "198.18.7.7", "https://lb.example:443"},
		{"a client lies to a proxy", trusting, "198.18.0.1:1", [][2]string{{"X-Forwarded-For", "10.0.0.1, 198.18.7.7"}}, "198.18.7.7", "http://lb"},
		{"two proxies", trusting, "198.18.0.1:1", [][2]string{{"X-Forwarded-For", "10.0.0.1,198.18.7.7"}, {"X-Forwarded-For", "2001:db8::1"}}, "198.18.7.7", "http://lb"},
		{"proxies alone", trusting, "198.18.0.1:1", [][2]string{{"X-Forwarded-For", "198.18.0.2, 198.18.0.3"}}, "198.18.0.2", "http://lb"},
		{"mapped address", trusting, "[::ffff:198.18.0.1]:1", [][2]string{{"X-Forwarded-For", "::ffff:198.18.7.7"}}, "198.18.7.7", "http://lb"},
		{"no address", trusting, "198.18.0.1:1", [][2]string{{"X-Forwarded-For", "unknown"}, {"X-Forwarded-Proto", "gopher"}, {"X-Forwarded-Host", "a/b"}}, "198.18.0.1", "http://lb"},
		{"no connection", trusting, "@", nil, "", "http://lb"},
		{"as configured", Edge{BaseURI: "https://public.example/"}, "198.18.0.1:1", nil, "198.18.0.1", "https://public.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://lb/v2.0", nil)
			r.RemoteAddr = c.remote
			for _, h := range c.header {
				r.Header.Add(h[0], h[1])
			}
			if client, base := c.edge.client(r), c.edge.base(r); client != c.client || base != c.base {
				t.Errorf("client %q at %q, want %q at %q", client, base, c.client, c.base)
			}
		})
	}
}
