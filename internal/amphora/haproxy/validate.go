package haproxy

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

// Object types of a Problem.
const (
	objListener = "listener"
	objPolicy   = "l7policy"
	objRule     = "l7rule"
	objPool     = "pool"
	objMember   = "member"
	objMonitor  = "healthmonitor"
)

var (
	uuidGrammar = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	hexKey      = regexp.MustCompile(`^[0-9a-f]{32}$`)
	// pathGrammar is RFC 3986's path and query; a fragment is never sent.
	pathGrammar   = regexp.MustCompile(`^/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$`)
	domainGrammar = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$`)
	// cookieGrammar is RFC 6265's token without the apostrophe, which HAProxy reads as a quote inside a fetch's argument.
	cookieGrammar = regexp.MustCompile("^[A-Za-z0-9!#$%&*+.^_`|~-]{1,255}$")
	codesGrammar  = regexp.MustCompile(`^[1-5][0-9]{2}(?:-[1-5][0-9]{2}|(?:\s*,\s*[1-5][0-9]{2})*)$`)
)

var (
	monitorMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"}
	// poolsOf says which pools a listener may use (as in Octavia).
	poolsOf = map[string][]string{
		lb.ProtocolHTTP:  {lb.ProtocolHTTP, lb.ProtocolProxy, lb.ProtocolProxyV2},
		lb.ProtocolHTTPS: {lb.ProtocolHTTPS, lb.ProtocolProxy, lb.ProtocolProxyV2, lb.ProtocolTCP},
		lb.ProtocolTCP:   {lb.ProtocolHTTP, lb.ProtocolHTTPS, lb.ProtocolProxy, lb.ProtocolProxyV2, lb.ProtocolTCP},

		lb.ProtocolTerminatedHTTPS: {lb.ProtocolHTTP, lb.ProtocolProxy, lb.ProtocolProxyV2},
		lb.ProtocolPrometheus:      {},
	}
	algorithms    = []string{lb.RoundRobin, lb.LeastConnections, lb.SourceIP}
	poolProtocols = []string{lb.ProtocolHTTP, lb.ProtocolHTTPS, lb.ProtocolTCP, lb.ProtocolProxy, lb.ProtocolProxyV2}
)

// Check validates every string and number of the document that reaches a file, command or rule, against its grammar, and
// refuses what this agent cannot do. Nothing unsupported is ever ignored.
func Check(d amphora.Desired) []amphora.Problem {
	c := &checker{pools: map[string]amphora.Pool{}, ids: map[string]bool{}, secrets: d.Secrets}
	c.document(d)
	for _, p := range d.Pools {
		c.pool(p)
		c.pools[p.ID] = p
	}
	ports := map[int]bool{}
	for _, l := range d.Listeners {
		c.listener(l)
		c.policies(l)
		if ports[l.Port] {
			c.add(objListener, l.ID, "port %d is taken by another listener", l.Port)
		}
		ports[l.Port] = true
	}
	return c.problems
}

type checker struct {
	problems []amphora.Problem
	pools    map[string]amphora.Pool
	ids      map[string]bool
	secrets  map[string]string
}

func (c *checker) add(kind, id, format string, args ...any) {
	c.problems = append(c.problems, amphora.Problem{ObjectType: kind, ObjectID: id, Reason: fmt.Sprintf(format, args...)})
}

// id accepts canonical UUIDs only, each once: they become names in the configuration.
func (c *checker) id(kind, id string) {
	if !uuidGrammar.MatchString(id) {
		c.add(kind, id, "%s id is no UUID", kind)
	} else if c.ids[kind+id] {
		c.add(kind, id, "%s stands twice in the document", kind)
	}
	c.ids[kind+id] = true
}

func (c *checker) document(d amphora.Desired) {
	if !uuidGrammar.MatchString(d.LoadBalancerID) {
		c.add("", "", "load_balancer_id is no UUID")
	}
	if !hexKey.MatchString(d.ProbeKey) {
		c.add("", "", "probe_key is not 16 bytes in hex")
	}
	if len(d.VIPs) == 0 {
		c.add("", "", "no VIP")
	}
	for _, v := range d.VIPs {
		if !plainAddress(v.Address) {
			c.add("", "", "VIP %q is no address", v.Address)
		}
	}
	macs := map[string]bool{}
	for _, p := range append([]amphora.Port{d.FrontEnd}, d.BackEnds...) {
		c.port(p)
		if macs[p.MAC] {
			c.add("", "", "two ports with MAC %s", p.MAC)
		}
		macs[p.MAC] = true
	}
}

func (c *checker) port(p amphora.Port) {
	if hw, err := net.ParseMAC(p.MAC); err != nil || len(hw) != 6 || hw.String() != p.MAC {
		c.add("", "", "port with MAC %q", p.MAC)
		return
	}
	subnet, err := netip.ParsePrefix(p.SubnetCIDR)
	if err != nil || !plainAddress(p.Address) || !subnet.Contains(netip.MustParseAddr(p.Address)) {
		c.add("", "", "port %s: address %q in subnet %q", p.MAC, p.Address, p.SubnetCIDR)
	}
	if p.Gateway != "" && !plainAddress(p.Gateway) {
		c.add("", "", "port %s: gateway %q", p.MAC, p.Gateway)
	}
	if p.MTU != 0 && (p.MTU < 576 || p.MTU > 65535) {
		c.add("", "", "port %s: MTU %d", p.MAC, p.MTU)
	}
	for _, r := range p.HostRoutes {
		if _, err := netip.ParsePrefix(r.Destination); err != nil || !plainAddress(r.NextHop) {
			c.add("", "", "port %s: host route %q via %q", p.MAC, r.Destination, r.NextHop)
		}
	}
}

func (c *checker) listener(l amphora.Listener) {
	c.id(objListener, l.ID)
	bad := func(format string, args ...any) { c.add(objListener, l.ID, format, args...) }
	allowed, known := poolsOf[l.Protocol]
	if !known {
		bad("listener protocol %q is not supported", l.Protocol)
	}
	if l.Port < 1 || l.Port > 65535 {
		bad("protocol_port %d", l.Port)
	}
	if l.ConnectionLimit < -1 {
		bad("connection_limit %d", l.ConnectionLimit)
	}
	if l.DefaultPoolID != "" {
		pool, found := c.pools[l.DefaultPoolID]
		if !found {
			bad("default pool %q is not in the document", l.DefaultPoolID)
		} else if known && !slices.Contains(allowed, pool.Protocol) {
			bad("listener protocol %s cannot use a pool of protocol %s", l.Protocol, pool.Protocol)
		}
	}
	for name, value := range l.InsertHeaders {
		switch {
		case value == "false":
		case value != "true":
			bad("insert_headers: value %q", value)
		case l.Protocol != lb.ProtocolHTTP && l.Protocol != lb.ProtocolTerminatedHTTPS:
			bad("insert_headers needs a listener that speaks HTTP")
		case !insertable(l.Protocol, name):
			bad("insert_headers: %q is not supported", name)
		}
	}
	c.listenerTLS(l)
	for _, cidr := range l.AllowedCIDRs {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			bad("allowed_cidrs: %q", cidr)
		}
	}
	for _, ms := range []int{l.TimeoutClientData, l.TimeoutMemberConnect, l.TimeoutMemberData, l.TimeoutTCPInspect} {
		if ms < 0 {
			bad("timeout %d ms", ms)
		}
	}
}

func (c *checker) pool(p amphora.Pool) {
	c.id(objPool, p.ID)
	bad := func(format string, args ...any) { c.add(objPool, p.ID, format, args...) }
	if !slices.Contains(poolProtocols, p.Protocol) {
		bad("pool protocol %q is not supported", p.Protocol)
	}
	if !slices.Contains(algorithms, p.Algorithm) {
		bad("lb_algorithm %q is not supported", p.Algorithm)
	}
	if sp := p.SessionPersistence; sp != nil {
		switch sp.Type {
		case lb.PersistSourceIP:
		case lb.PersistHTTPCookie, lb.PersistAppCookie:
			if p.Protocol == lb.ProtocolTCP || p.Protocol == lb.ProtocolHTTPS {
				bad("session persistence %s needs a pool that speaks HTTP", sp.Type)
			}
			if sp.Type == lb.PersistAppCookie && !cookieGrammar.MatchString(sp.CookieName) {
				bad("session persistence: cookie_name %q", sp.CookieName)
			}
		default:
			bad("session persistence %q is not supported", sp.Type)
		}
	}
	c.poolTLS(p)
	servers, places := map[int]bool{}, map[netip.AddrPort]bool{}
	for _, m := range p.Members {
		c.member(m)
		// HAProxy makes a member's cookie of its address and names nobody when two are alike.
		if a, err := netip.ParseAddr(m.Address); err == nil {
			place := netip.AddrPortFrom(a, uint16(m.Port))
			if places[place] {
				c.add(objMember, m.ID, "another member has address %s and port %d", m.Address, m.Port)
			}
			places[place] = true
		}
		if servers[m.ServerID] {
			c.add(objMember, m.ID, "server id %d is taken", m.ServerID)
		}
		servers[m.ServerID] = true
	}
	if p.Monitor != nil {
		c.monitor(*p.Monitor)
	}
}

func (c *checker) member(m amphora.Member) {
	c.id(objMember, m.ID)
	bad := func(format string, args ...any) { c.add(objMember, m.ID, format, args...) }
	if m.ServerID < 1 || m.ServerID > 1<<31-1 {
		bad("server id %d", m.ServerID)
	}
	if !plainAddress(m.Address) {
		bad("address %q", m.Address)
	}
	if m.Port < 1 || m.Port > 65535 {
		bad("protocol_port %d", m.Port)
	}
	if m.Weight < 0 || m.Weight > 256 {
		bad("weight %d", m.Weight)
	}
	if m.MonitorAddress != "" && !plainAddress(m.MonitorAddress) {
		bad("monitor_address %q", m.MonitorAddress)
	}
	if m.MonitorPort < 0 || m.MonitorPort > 65535 {
		bad("monitor_port %d", m.MonitorPort)
	}
}

func (c *checker) monitor(m amphora.Monitor) {
	c.id(objMonitor, m.ID)
	bad := func(format string, args ...any) { c.add(objMonitor, m.ID, format, args...) }
	const day = 24 * 3600
	if m.Delay < 1 || m.Delay > 20*day || m.Timeout < 1 || m.Timeout > 20*day {
		bad("delay %d s, timeout %d s", m.Delay, m.Timeout)
	}
	if m.MaxRetries < 1 || m.MaxRetries > 10 || m.MaxRetriesDown < 1 || m.MaxRetriesDown > 10 {
		bad("max_retries %d, max_retries_down %d", m.MaxRetries, m.MaxRetriesDown)
	}
	switch m.Type {
	case lb.MonitorTCP, lb.MonitorTLSHello:
		return
	case lb.MonitorHTTP, lb.MonitorHTTPS:
	default:
		bad("monitor type %q is not supported", m.Type)
		return
	}
	if m.HTTPMethod != "" && !slices.Contains(monitorMethods, m.HTTPMethod) {
		bad("http_method %q", m.HTTPMethod)
	}
	if m.URLPath != "" && !pathGrammar.MatchString(m.URLPath) {
		bad("url_path %q", m.URLPath)
	}
	if m.ExpectedCodes != "" && !codesGrammar.MatchString(m.ExpectedCodes) {
		bad("expected_codes %q", m.ExpectedCodes)
	} else if from, to, ranged := strings.Cut(m.ExpectedCodes, "-"); ranged && atoi(from) > atoi(to) {
		bad("expected_codes %q", m.ExpectedCodes)
	}
	if m.HTTPVersion != "" && m.HTTPVersion != "1.0" && m.HTTPVersion != "1.1" {
		bad("http_version %q", m.HTTPVersion)
	}
	if m.DomainName != "" && (len(m.DomainName) > 255 || !domainGrammar.MatchString(m.DomainName)) {
		bad("domain_name %q", m.DomainName)
	}
}

// plainAddress accepts an IP address without zone; the renderer writes it in canonical form.
func plainAddress(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == "" && !a.Is4In6()
}

// atoi is for digits that a grammar has checked.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
