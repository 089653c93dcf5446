package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// defaultPageLimit is the most rows one answer has, unless Edge.PageLimit says otherwise.
const defaultPageLimit = 1000

// Edge is how the API looks from outside.
type Edge struct {
	// BaseURI stands before the paths of links and versions, as "https://lb.example:9876"; "" is what the client asked.
	BaseURI string
	// TrustedProxies are who may say for whom they ask (X-Forwarded-For, -Proto, -Host). Anybody else's word is not heard.
	TrustedProxies []netip.Prefix
	// PageLimit is the most rows one answer has; 0 is 1000.
	PageLimit int
}

func (e Edge) pageLimit() int {
	if e.PageLimit < 1 {
		return defaultPageLimit
	}
	return e.PageLimit
}

func (e Edge) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(e.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// peer is the address at the other end of the request's connection.
func peer(r *http.Request) (netip.Addr, bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(host)
	return a.Unmap().WithZone(""), err == nil
}

// client is the address that a request came from: the connection's, or the last one that trusted proxies name and that
// is no trusted proxy itself. What stands before it in X-Forwarded-For is whatever the client wrote there.
func (e Edge) client(r *http.Request) string {
	a, ok := peer(r)
	if !ok {
		return ""
	}
	var named []string
	for _, line := range r.Header.Values("X-Forwarded-For") {
		named = append(named, strings.Split(line, ",")...)
	}
	for _, s := range slices.Backward(named) {
		if !e.trusts(a) {
			break
		}
		before, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil {
			break // a proxy that writes no address says nothing
		}
		a = before.Unmap().WithZone("")
	}
	return a.String()
}

// base is the URL of the API's root, as the client knows it.
func (e Edge) base(r *http.Request) string {
	if e.BaseURI != "" {
		return strings.TrimRight(e.BaseURI, "/")
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if a, ok := peer(r); ok && e.trusts(a) {
		if s := strings.ToLower(r.Header.Get("X-Forwarded-Proto")); s == "http" || s == "https" {
			scheme = s
		}
		if h := r.Header.Get("X-Forwarded-Host"); h != "" && !strings.ContainsAny(h, "/?#@, \t") {
			host = h
		}
	}
	return scheme + "://" + host
}

func clientOf(ctx context.Context) string { s, _ := ctx.Value(keyClient).(string); return s }
