package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
)

// vipTable is the routing table of replies from VIPs: by the front-end gateway, whatever the back-ends say.
const vipTable = 100

// portName is stable: an attachment or a rule by name means the same port for as long as it exists. Front-end and
// back-end ports are told apart for people.
func portName(p amphora.Port, front bool) string {
	prefix := "be"
	if front {
		prefix = "fe"
	}
	return prefix + strings.ReplaceAll(p.MAC, ":", "")
}

// tenant is the namespace in which tenant ports and HAProxy live, so that no tenant packet reaches the agent's own.
type tenant struct {
	path string
	home string // where ports arrive and go back to; "" is the agent's own namespace
}

// open makes the namespace with the settings that have to stand before the first port is up: nothing in it answers or
// announces the VIP by ARP (S16), and nothing is routed through.
func (t tenant) open(ipv6 bool) error {
	if filepath.Dir(t.path) != linuxnet.RunDir {
		return fmt.Errorf("tenant namespace %s is not in %s", t.path, linuxnet.RunDir)
	}
	if _, err := linuxnet.EnsureNamespace(filepath.Base(t.path)); err != nil {
		return err
	}
	settings := [][2]string{
		{"net.ipv4.ip_forward", "0"},
		{"net.ipv4.conf.all.arp_ignore", "1"},
		{"net.ipv4.conf.default.arp_ignore", "1"},
		{"net.ipv4.conf.all.arp_announce", "2"},
		{"net.ipv4.conf.default.arp_announce", "2"},
		// Loose: a client's answer leaves by the VIP's table, and a member may be reached by another port than it answers to.
		{"net.ipv4.conf.all.rp_filter", "2"},
		{"net.ipv4.conf.default.rp_filter", "2"},
		{"net.ipv4.conf.all.accept_redirects", "0"},
		{"net.ipv4.conf.default.accept_redirects", "0"},
		{"net.ipv4.conf.all.send_redirects", "0"},
		{"net.ipv4.conf.default.send_redirects", "0"},
		// 28,000 outgoing ports to one member are soon used up by short connections.
		{"net.ipv4.ip_local_port_range", "10240 65535"},
	}
	for _, s := range settings {
		if err := linuxnet.SetSysctl(t.path, s[0], s[1]); err != nil {
			return err
		}
	}
	return t.setIPv6(ipv6)
}

// setIPv6 switches IPv6 on only where it is used: an unused one is one more way in. A kernel without it is as good.
func (t tenant) setIPv6(on bool) error {
	value := "1"
	if on {
		value = "0"
	}
	for _, key := range []string{
		"net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.default.accept_ra=0",
		"net.ipv6.conf.default.disable_ipv6=" + value, "net.ipv6.conf.all.disable_ipv6=" + value,
	} {
		name, v, _ := strings.Cut(key, "=")
		if err := linuxnet.SetSysctl(t.path, name, v); err != nil && (on || !errors.Is(err, linuxnet.ErrNotFound)) {
			return err
		}
	}
	return nil
}

func usesIPv6(d amphora.Desired) bool {
	for _, v := range d.VIPs {
		if strings.Contains(v.Address, ":") {
			return true
		}
	}
	return slices.ContainsFunc(append([]amphora.Port{d.FrontEnd}, d.BackEnds...), func(p amphora.Port) bool {
		return strings.Contains(p.Address, ":")
	})
}

// layout is what addresses, routes and rules a document means; computed, then compared with what is there.
type layout struct {
	addresses map[string][]netip.Prefix // by device
	routes    []linuxnet.Route
	rules     []linuxnet.Rule
}

func layoutOf(d amphora.Desired) layout {
	l := layout{addresses: map[string][]netip.Prefix{}}
	front := portName(d.FrontEnd, true)
	for _, v := range d.VIPs {
		vip := single(netip.MustParseAddr(v.Address))
		l.addresses["lo"] = append(l.addresses["lo"], vip)
		l.rules = append(l.rules, linuxnet.Rule{Source: vip, Table: vipTable, Priority: vipTable})
	}
	for i, p := range append([]amphora.Port{d.FrontEnd}, d.BackEnds...) {
		name := portName(p, i == 0)
		subnet := netip.MustParsePrefix(p.SubnetCIDR)
		l.addresses[name] = append(l.addresses[name], netip.PrefixFrom(netip.MustParseAddr(p.Address), subnet.Bits()))
		for _, r := range p.HostRoutes {
			l.routes = append(l.routes, linuxnet.Route{
				Destination: netip.MustParsePrefix(r.Destination).Masked(), Gateway: netip.MustParseAddr(r.NextHop), Device: name,
			})
		}
	}
	fe := d.FrontEnd
	subnet := netip.MustParsePrefix(fe.SubnetCIDR).Masked()
	l.routes = append(l.routes, linuxnet.Route{Destination: subnet, Device: front, Table: vipTable})
	for _, r := range fe.HostRoutes {
		l.routes = append(l.routes, linuxnet.Route{
			Destination: netip.MustParsePrefix(r.Destination).Masked(), Gateway: netip.MustParseAddr(r.NextHop), Device: front, Table: vipTable,
		})
	}
	if fe.Gateway != "" {
		gateway := netip.MustParseAddr(fe.Gateway)
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if gateway.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		for _, table := range []int{0, vipTable} {
			l.routes = append(l.routes, linuxnet.Route{Destination: all, Gateway: gateway, Device: front, Table: table})
		}
	}
	return l
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// plug brings in and sets up everything the document needs, and takes nothing away (S25, S51, S68). A port that the
// compute driver has not plugged yet is lb.KindUnavailable.
func (t tenant) plug(d amphora.Desired) error {
	h, err := linuxnet.Open(t.path)
	if err != nil {
		return err
	}
	defer h.Close()
	if usesIPv6(d) {
		if err := t.setIPv6(true); err != nil {
			return err
		}
	}
	l := layoutOf(d)
	for _, vip := range l.addresses["lo"] {
		if err := h.EnsureAddress("lo", vip); err != nil {
			return err
		}
	}
	for i, p := range append([]amphora.Port{d.FrontEnd}, d.BackEnds...) {
		if err := t.bringIn(h, p, portName(p, i == 0), l); err != nil {
			return err
		}
	}
	for _, r := range l.routes {
		if err := h.SetRoute(r); err != nil {
			return err
		}
	}
	for _, r := range l.rules {
		if err := h.EnsureRule(r); err != nil {
			return err
		}
	}
	return nil
}

// bringIn finds the port by its MAC, in here already or where the compute driver put it, and sets it up.
func (t tenant) bringIn(h *linuxnet.Handle, p amphora.Port, name string, l layout) error {
	mac, err := net.ParseMAC(p.MAC)
	if err != nil {
		return fmt.Errorf("plug port: %w", err)
	}
	link, err := h.LinkByMAC(mac)
	if errors.Is(err, linuxnet.ErrNotFound) {
		if err := t.fetch(mac); err != nil {
			return err
		}
		link, err = h.LinkByMAC(mac)
	}
	if err != nil {
		return err
	}
	if link.Name != name {
		if err := h.SetDown(link.Name); err != nil {
			return err
		}
		if err := h.Rename(link.Name, name); err != nil {
			return err
		}
	}
	if p.MTU != 0 && p.MTU != link.MTU {
		if err := h.SetMTU(name, p.MTU); err != nil {
			return err
		}
	}
	for _, a := range l.addresses[name] {
		if err := h.EnsureAddress(name, a); err != nil {
			return err
		}
	}
	if err := t.doubtNeighbours(name); err != nil {
		return err
	}
	return h.SetUp(name)
}

// doubtNeighbours has a port find out within some 6 s that an address is at another MAC now. A member that was replaced
// need not announce itself, and the kernel's defaults believe what they know for up to 45 s, then ask the MAC that is gone
// for 8 s more; all that while the member answers and counts as down.
func (t tenant) doubtNeighbours(device string) error {
	for _, family := range []string{"ipv4", "ipv6"} {
		for _, s := range [][2]string{
			{"base_reachable_time_ms", "3000"}, // believed for half to one and a half of it; traffic that flows confirms
			{"delay_first_probe_time", "1"},
			{"ucast_solicit", "2"},
			{"retrans_time_ms", "500"},
		} {
			err := linuxnet.SetSysctl(t.path, "net."+family+".neigh."+device+"."+s[0], s[1])
			if err != nil && (family == "ipv4" || !errors.Is(err, linuxnet.ErrNotFound)) {
				return err
			}
		}
	}
	return nil
}

// fetch moves a port from the agent's own namespace into the tenant's.
func (t tenant) fetch(mac net.HardwareAddr) error {
	own, err := linuxnet.Open(t.home)
	if err != nil {
		return err
	}
	defer own.Close()
	link, err := own.LinkByMAC(mac)
	if errors.Is(err, linuxnet.ErrNotFound) {
		return lb.Faultf(lb.KindUnavailable, "port %s is not plugged", mac)
	}
	if err != nil {
		return err
	}
	return own.MoveTo(link.Name, t.path)
}

// prune takes away what the document does not name: ports go back, down and bare, to the agent's own namespace, from
// where the compute driver unplugs them or a later document fetches them again.
func (t tenant) prune(d amphora.Desired) error {
	h, err := linuxnet.Open(t.path)
	if err != nil {
		return err
	}
	defer h.Close()
	l := layoutOf(d)
	links, err := h.Links()
	if err != nil {
		return err
	}
	for _, link := range links {
		if _, wanted := l.addresses[link.Name]; link.Name != "lo" && !wanted {
			if len(link.MAC) != 6 || link.Kind == "sit" || link.Kind == "ip6tnl" {
				continue // made by the kernel for itself
			}
			if err := t.giveBack(h, link); err != nil {
				return err
			}
			continue
		}
		if err := pruneAddresses(h, link.Name, l.addresses[link.Name]); err != nil {
			return err
		}
	}
	if err := pruneRoutes(h, l.routes); err != nil {
		return err
	}
	rules, err := h.Rules()
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.Table == vipTable && !slices.Contains(l.rules, r) {
			if err := h.DeleteRule(r); err != nil {
				return err
			}
		}
	}
	if usesIPv6(d) {
		return nil
	}
	return t.setIPv6(false)
}

func (t tenant) giveBack(h *linuxnet.Handle, link linuxnet.Link) error {
	if err := h.SetDown(link.Name); err != nil {
		return err
	}
	home := t.home
	if home == "" {
		home = "/proc/thread-self/ns/net"
	}
	return h.MoveTo(link.Name, home)
}

func pruneAddresses(h *linuxnet.Handle, device string, wanted []netip.Prefix) error {
	have, err := h.Addresses(device)
	if err != nil {
		return err
	}
	for _, a := range have {
		if a.Addr().IsLoopback() || a.Addr().IsLinkLocalUnicast() || slices.Contains(wanted, a) {
			continue
		}
		if err := h.DeleteAddress(device, a); err != nil {
			return err
		}
	}
	return nil
}

// routeStatic is the protocol of routes that we made; the kernel's own are 2.
const routeStatic = 4

func pruneRoutes(h *linuxnet.Handle, wanted []linuxnet.Route) error {
	key := func(r linuxnet.Route) string {
		return fmt.Sprint(r.Destination, r.Gateway, r.Device)
	}
	for _, table := range []int{linuxnet.MainTable, vipTable} {
		keep := map[string]bool{}
		for _, r := range wanted {
			if r.Table == table || r.Table == 0 && table == linuxnet.MainTable {
				keep[key(r)] = true
			}
		}
		have, err := h.Routes(table)
		if err != nil {
			return err
		}
		for _, r := range have {
			if r.Protocol == routeStatic && !keep[key(r)] {
				if err := h.DeleteRoute(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
