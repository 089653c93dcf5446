package config

import (
	"net/netip"
	"net/url"
)

// Proxies are the trusted proxies as ranges; an address is a range of one.
func (a API) Proxies() (ranges []netip.Prefix) {
	for _, s := range a.TrustedProxies {
		if p, ok := proxy(s); ok {
			ranges = append(ranges, p)
		}
	}
	return ranges
}

func proxy(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil && p == p.Masked()
}

func (a API) checkEdge(wrong func(format string, args ...any)) {
	for _, s := range a.TrustedProxies {
		if _, ok := proxy(s); !ok {
			wrong("api.trusted_proxies: %q: want an address or a network, like 198.18.0.1 or 198.18.0.0/24", s)
		}
	}
	if u, err := url.Parse(a.BaseURI); a.BaseURI != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil) {
		wrong("api.base_uri %q: want an address like https://lb.example:9876, or nothing", a.BaseURI)
	}
	if a.PaginationMaxLimit < 1 {
		wrong("api.pagination_max_limit %d: want 1 or more", a.PaginationMaxLimit)
	}
}
