package linuxnet

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// MainTable is the routing table used where no rule says otherwise.
const MainTable = unix.RT_TABLE_MAIN

// Route is one route. Destination 0.0.0.0/0 or ::/0 is the default route.
type Route struct {
	Destination netip.Prefix
	Gateway     netip.Addr // zero: on the link itself
	Device      string     // may be "" with a Gateway
	Source      netip.Addr // preferred source address; zero: the kernel's choice
	Table       int        // 0: MainTable
	Unreachable bool       // answer "host unreachable" instead of forwarding; Gateway and Device are not used
	Protocol    int        // 0: static (4); 2 marks what the kernel made itself
}

// SetRoute adds the route or replaces the one to the same destination in the same table.
func (h *Handle) SetRoute(r Route) error {
	nr, err := h.route(r)
	if err == nil {
		err = h.nl.RouteReplace(nr)
	}
	return fail("set route", r.Destination.String(), err)
}

// DeleteRoute removes the route to this destination; Gateway and Device need only be given where they tell it from
// another. One that is gone is no error.
func (h *Handle) DeleteRoute(r Route) error {
	nr, err := h.route(r)
	if err == nil {
		nr.Scope = unix.RT_SCOPE_NOWHERE // any
		err = h.nl.RouteDel(nr)
	}
	if isGone(err) {
		return nil
	}
	return fail("delete route", r.Destination.String(), err)
}

// Routes lists the routes of a table (0: MainTable) of both families, unicast and unreachable ones.
func (h *Handle) Routes(table int) ([]Route, error) {
	if table == 0 {
		table = MainTable
	}
	links, err := h.Links()
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Index] = l.Name
	}
	var out []Route
	err = retryDump(func() error {
		rs, err := h.nl.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
		out = out[:0]
		for _, r := range rs {
			if r.Type != unix.RTN_UNICAST && r.Type != unix.RTN_UNREACHABLE {
				continue
			}
			out = append(out, Route{
				Destination: destination(r), Gateway: addrOf(r.Gw), Device: names[r.LinkIndex],
				Source: addrOf(r.Src), Table: r.Table, Unreachable: r.Type == unix.RTN_UNREACHABLE, Protocol: int(r.Protocol),
			})
		}
		return err
	})
	return out, fail("list routes in", ownOr(h.nsPath), err)
}

func (h *Handle) route(r Route) (*netlink.Route, error) {
	nr := &netlink.Route{
		Dst: ipNet(r.Destination.Masked()), Table: r.Table, Protocol: unix.RTPROT_STATIC,
		Family: family(r.Destination.Addr()),
	}
	if r.Table == 0 {
		nr.Table = MainTable
	}
	if r.Protocol != 0 {
		nr.Protocol = netlink.RouteProtocol(r.Protocol)
	}
	if r.Unreachable {
		nr.Type = unix.RTN_UNREACHABLE
		return nr, nil
	}
	if r.Device != "" {
		l, err := h.nl.LinkByName(r.Device)
		if err != nil {
			return nil, err
		}
		nr.LinkIndex = l.Attrs().Index
	}
	if r.Gateway.IsValid() {
		nr.Gw = r.Gateway.AsSlice()
	} else {
		nr.Scope = unix.RT_SCOPE_LINK
	}
	if r.Source.IsValid() {
		nr.Src = r.Source.AsSlice()
	}
	return nr, nil
}

func destination(r netlink.Route) netip.Prefix {
	if p := prefixOf(r.Dst); p.IsValid() {
		return p
	}
	if r.Family == netlink.FAMILY_V6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

func addrOf(ip []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// Rule sends packets from a source to a routing table.
type Rule struct {
	Source   netip.Prefix
	Table    int
	Priority int
	Mark     uint32 // 0: any
}

// EnsureRule makes the rule exist, once.
func (h *Handle) EnsureRule(r Rule) error {
	have, err := h.Rules()
	if err != nil {
		return err
	}
	for _, x := range have {
		if x == r {
			return nil
		}
	}
	return fail("add rule from", r.Source.String(), h.nl.RuleAdd(nlRule(r)))
}

// DeleteRule removes the rule; one that is gone is no error.
func (h *Handle) DeleteRule(r Rule) error {
	err := h.nl.RuleDel(nlRule(r))
	if isGone(err) {
		return nil
	}
	return fail("delete rule from", r.Source.String(), err)
}

// Rules lists the rules of both families that look at a source.
func (h *Handle) Rules() ([]Rule, error) {
	var out []Rule
	err := retryDump(func() error {
		rs, err := h.nl.RuleList(netlink.FAMILY_ALL)
		out = out[:0]
		for _, r := range rs {
			if r.Src != nil {
				out = append(out, Rule{Source: prefixOf(r.Src), Table: r.Table, Priority: r.Priority, Mark: r.Mark})
			}
		}
		return err
	})
	return out, fail("list rules in", ownOr(h.nsPath), err)
}

func nlRule(r Rule) *netlink.Rule {
	nr := netlink.NewRule()
	nr.Src, nr.Table, nr.Priority, nr.Mark, nr.Family = ipNet(r.Source), r.Table, r.Priority, r.Mark, family(r.Source.Addr())
	return nr
}
