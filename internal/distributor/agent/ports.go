package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"colonnade/internal/distributor"
	"colonnade/internal/linuxnet"
)

// PortName is what a load balancer's port is called in its namespace.
const PortName = "vip0"

// Ports plugs load balancers' ports.
type Ports interface {
	// Ensure makes the port with the plug's MAC own the VIP in the load balancer's namespace, calling install when the
	// port is there and before it has the VIP, so that no packet to the VIP reaches the own stack. Port is where the
	// port is; moved says that it was not there before. It can be repeated and then disturbs nothing.
	Ensure(p distributor.VIPPlug, install func(port distributor.PortConfig, moved bool) error) (port distributor.PortConfig, moved bool, err error)
	// Remove gives the port back to the agent's own namespace and removes the load balancer's; nothing there is no error.
	Remove(lbID string) error
}

// NamespacePorts are ports in network namespaces of their own, so that tenants may use the same addresses (S50).
type NamespacePorts struct {
	// Own is the path of the namespace that the compute driver plugs ports into; "" is the process's.
	Own string
	// Prefix is agentconf.Place.TenantNamespace.
	Prefix string
}

// Path is a load balancer's namespace.
func (n NamespacePorts) Path(lbID string) string { return n.Prefix + "-" + shortID(lbID) }

// shortID is the first 8 hex digits of an id.
func shortID(id string) string { return id[:8] }

// nsSettings hold for every device of a load balancer's namespace. Nothing is routed between ports, whatever a packet
// says; replies to echo may leave although the table of routes knows other ways (rp_filter); only the VIP is answered
// for, on its own port. A new namespace copies the host's values, so each is set whatever its default is.
var nsSettings = [][2]string{
	{"net.ipv4.ip_forward", "0"},
	{"net.ipv4.conf.all.rp_filter", "0"},
	{"net.ipv4.conf.default.rp_filter", "0"},
	{"net.ipv4.conf.all.arp_ignore", "1"},
	{"net.ipv4.conf.all.arp_announce", "2"},
	{"net.ipv4.conf.all.accept_redirects", "0"},
	{"net.ipv4.conf.default.accept_redirects", "0"},
	{"net.ipv4.conf.all.send_redirects", "0"},
	{"net.ipv4.conf.default.send_redirects", "0"},
	{"net.ipv4.conf.all.accept_source_route", "0"},
	{"net.ipv6.conf.all.disable_ipv6", "1"}, // no VIP is IPv6 yet
	{"net.ipv6.conf.default.disable_ipv6", "1"},
}

// portSettings hold for the port, which keeps values of the namespace it comes from.
var portSettings = [][2]string{
	{"rp_filter", "0"}, {"accept_redirects", "0"}, {"send_redirects", "0"},
}

// Ensure is of Ports.
func (n NamespacePorts) Ensure(p distributor.VIPPlug, install func(port distributor.PortConfig, moved bool) error) (distributor.PortConfig, bool, error) {
	port, moved, err := n.ensure(p, install)
	if err != nil {
		return port, moved, fmt.Errorf("plug vip %s of load balancer %s: %w", p.VIPAddress, p.LBID, err)
	}
	return port, moved, nil
}

func (n NamespacePorts) ensure(p distributor.VIPPlug, install func(port distributor.PortConfig, moved bool) error) (port distributor.PortConfig, moved bool, err error) {
	vip, err := netip.ParseAddr(p.VIPAddress)
	if err != nil {
		return port, false, err
	}
	mac, err := net.ParseMAC(p.MACAddress)
	if err != nil {
		return port, false, err
	}
	undo := linuxnet.NewUndo()
	defer undo.RunUnlessDone()

	nsPath := n.Path(p.LBID)
	created, err := n.makeNamespace(p.LBID)
	if err != nil {
		return port, false, err
	}
	if created {
		undo.Add("delete namespace", func() error { return n.deleteNamespace(p.LBID) })
	}
	h, err := linuxnet.Open(nsPath)
	if err != nil {
		return port, false, err
	}
	defer h.Close()
	if moved, err = n.fetchPort(h, p.LBID, mac, undo); err != nil {
		return port, false, err
	}
	if p.MTU != 0 {
		if err := h.SetMTU(PortName, p.MTU); err != nil {
			return port, false, err
		}
	}
	for _, s := range portSettings {
		if err := linuxnet.SetSysctl(nsPath, "net.ipv4.conf."+PortName+"."+s[0], s[1]); err != nil {
			return port, false, err
		}
	}
	port = distributor.PortConfig{NamespacePath: nsPath, Interface: PortName, VIPs: []string{p.VIPAddress}}
	if err := install(port, moved); err != nil {
		return port, false, err
	}
	if err := own(h, p, vip); err != nil {
		return port, false, err
	}
	if err := linuxnet.GratuitousARP(nsPath, PortName, vip, mac); err != nil {
		return port, false, err
	}
	undo.Done()
	return port, moved, nil
}

// own gives the port the VIP and no other address, and the ways by which echo replies leave.
func own(h *linuxnet.Handle, p distributor.VIPPlug, vip netip.Addr) error {
	have, err := h.Addresses(PortName)
	if err != nil {
		return err
	}
	want := netip.PrefixFrom(vip, vip.BitLen())
	for _, a := range have {
		if a != want {
			if err := h.DeleteAddress(PortName, a); err != nil {
				return err
			}
		}
	}
	if err := h.EnsureAddress(PortName, want); err != nil {
		return err
	}
	if err := h.SetUp(PortName); err != nil {
		return err
	}
	routes := []linuxnet.Route{{Destination: netip.MustParsePrefix(p.SubnetCIDR), Device: PortName, Source: vip}}
	for _, r := range p.HostRoutes {
		routes = append(routes, linuxnet.Route{
			Destination: netip.MustParsePrefix(r.Destination),
			Gateway:     netip.MustParseAddr(r.NextHop), Device: PortName, Source: vip,
		})
	}
	if p.Gateway != "" {
		routes = append(routes, linuxnet.Route{
			Destination: netip.PrefixFrom(netip.IPv4Unspecified(), 0),
			Gateway:     netip.MustParseAddr(p.Gateway), Device: PortName, Source: vip,
		})
	}
	for _, r := range routes {
		if err := h.SetRoute(r); err != nil {
			return err
		}
	}
	return dropOtherRoutes(h, routes)
}

// staticRoute is the protocol number of routes that we set; others are the kernel's own.
const staticRoute = 4

// dropOtherRoutes removes what an earlier plug with other host routes left.
func dropOtherRoutes(h *linuxnet.Handle, want []linuxnet.Route) error {
	have, err := h.Routes(linuxnet.MainTable)
	if err != nil {
		return err
	}
	for _, r := range have {
		wanted := slices.ContainsFunc(want, func(w linuxnet.Route) bool { return w.Destination == r.Destination })
		if r.Protocol == staticRoute && !wanted {
			if err := h.DeleteRoute(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetchPort makes the port with this MAC the namespace's PortName, moving it from the own namespace if need be.
func (n NamespacePorts) fetchPort(h *linuxnet.Handle, lbID string, mac net.HardwareAddr, undo *linuxnet.Undo) (moved bool, err error) {
	l, err := h.LinkByMAC(mac)
	if err == nil && l.Name == PortName {
		return false, nil
	}
	if err != nil && !errors.Is(err, linuxnet.ErrNotFound) {
		return false, err
	}
	// Another port under the name is one that a crash or an earlier plug left.
	if err := n.giveBack(h); err != nil {
		return false, err
	}
	if l.Name == "" {
		own, err := linuxnet.Open(n.Own)
		if err != nil {
			return false, err
		}
		defer own.Close()
		if l, err = own.LinkByMAC(mac); err != nil {
			return false, err
		}
		if err := own.SetDown(l.Name); err != nil {
			return false, err
		}
		spare := spareName(mac)
		if l.Name != spare {
			if err := own.Rename(l.Name, spare); err != nil {
				return false, err
			}
		}
		l.Name = spare
		if err := own.MoveTo(spare, n.Path(lbID)); err != nil {
			return false, err
		}
	}
	undo.Add("give port back", func() error { return n.Remove(lbID) })
	if err := h.SetDown(l.Name); err != nil {
		return false, err
	}
	return true, h.Rename(l.Name, PortName)
}

// spareName is what a port is called while it serves no load balancer.
func spareName(mac net.HardwareAddr) string { return "cn" + strings.ReplaceAll(mac.String(), ":", "") }

// giveBack moves the port, if there is one, to the own namespace, where a repeated plug or the compute driver finds it.
func (n NamespacePorts) giveBack(h *linuxnet.Handle) error {
	l, err := h.Link(PortName)
	if errors.Is(err, linuxnet.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := h.SetDown(PortName); err != nil {
		return err
	}
	spare := spareName(l.MAC)
	if err := h.Rename(PortName, spare); err != nil {
		return err
	}
	to := n.Own
	if to == "" {
		to = "/proc/thread-self/ns/net"
	}
	return h.MoveTo(spare, to)
}

// Remove is of Ports.
func (n NamespacePorts) Remove(lbID string) error {
	h, err := linuxnet.Open(n.Path(lbID))
	if err == nil {
		err = n.giveBack(h)
		h.Close()
	}
	if err != nil && !errors.Is(err, linuxnet.ErrNoNamespace) {
		return fmt.Errorf("unplug vip of load balancer %s: %w", lbID, err)
	}
	return n.deleteNamespace(lbID)
}

func (n NamespacePorts) makeNamespace(lbID string) (created bool, err error) {
	path := n.Path(lbID)
	if filepath.Dir(path) != linuxnet.RunDir {
		return false, fmt.Errorf("namespace %s is not under %s", path, linuxnet.RunDir)
	}
	if created, err = linuxnet.EnsureNamespace(filepath.Base(path)); err != nil {
		return false, err
	}
	for _, s := range nsSettings {
		err := linuxnet.SetSysctl(path, s[0], s[1])
		if errors.Is(err, linuxnet.ErrNotFound) && strings.HasPrefix(s[0], "net.ipv6.") {
			continue // a kernel without IPv6
		}
		if err != nil {
			if created {
				err = errors.Join(err, n.deleteNamespace(lbID))
			}
			return false, err
		}
	}
	return created, nil
}

func (n NamespacePorts) deleteNamespace(lbID string) error {
	return linuxnet.DeleteNamespace(filepath.Base(n.Path(lbID)))
}
