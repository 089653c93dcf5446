package bridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"colonnade/internal/atomicfile"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
)

func (d *Driver) switchNS() string     { return d.cfg.Prefix + "-switch" }
func (d *Driver) gatewayNS() string    { return d.cfg.Prefix + "-gateway" }
func (d *Driver) managementNS() string { return d.cfg.Prefix + "-mgmt" }

// madeDirsFile, in the state directory, lists directories of the machine that were not there before us.
const madeDirsFile = "made-directories"

// Ensure makes the kernel match the store: it builds what is missing, adopts what is there and removes what has no row.
// Ports keep carrying frames meanwhile.
func (d *Driver) Ensure(ctx context.Context) error {
	release, err := d.exclusive()
	if err != nil {
		return err
	}
	defer release()
	if err := d.ensure(ctx); err != nil {
		return fmt.Errorf("realize networks: %w", err)
	}
	return nil
}

func (d *Driver) ensure(ctx context.Context) error {
	if err := d.ensureManagementRow(ctx); err != nil {
		return err
	}
	nets, err := d.cfg.Store.Networks(ctx)
	if err != nil {
		return err
	}
	ports, err := d.cfg.Store.Ports(ctx, "")
	if err != nil {
		return err
	}
	// Before anything is made: what clashes with the host's routes is refused with both named.
	wanted := []netip.Prefix{d.cfg.HostLink}
	for _, n := range nets {
		for _, s := range n.Subnets {
			if routed(n, s) && !n.Isolated {
				wanted = append(wanted, netip.MustParsePrefix(s.CIDR))
			}
		}
	}
	for _, w := range wanted {
		if err := d.checkHostRoutes(w); err != nil {
			return err
		}
	}
	if err := d.ensureNamespaces(ctx); err != nil {
		return err
	}
	if err := d.ensureHostLink(ctx); err != nil {
		return err
	}
	for _, n := range nets {
		if n.ID == ManagementNetworkID {
			err = d.realizeManagement(n)
		} else {
			err = d.realizeNetwork(n)
		}
		if err != nil {
			return err
		}
	}
	if err := d.adopt(ctx, nets, ports); err != nil {
		return err
	}
	return d.realizeFloating(ctx, "")
}

func (d *Driver) ensureManagementRow(ctx context.Context) error {
	n, err := d.cfg.Store.Network(ctx, ManagementNetworkID)
	if err == nil {
		if len(n.Subnets) != 1 || n.Subnets[0].CIDR != d.cfg.Management.String() {
			return fmt.Errorf("the management network was made as %+v, the configuration says %s: a change needs an empty state directory",
				n.Subnets, d.cfg.Management)
		}
		return nil
	}
	if !isNotFound(err) {
		return err
	}
	s, err := completeSubnet(managementSubnet(d.cfg.Management))
	if err != nil {
		return err
	}
	n = network.Network{ID: ManagementNetworkID, Name: "management", MTU: defaultMTU, CreatedAt: d.cfg.Now().UTC(), Subnets: []network.Subnet{s}}
	return d.cfg.Store.CreateNetwork(ctx, n, func(existing []network.Subnet) error { return checkOverlap(s, existing) })
}

func (d *Driver) ensureNamespaces(ctx context.Context) error {
	if err := d.shareRunDir(); err != nil {
		return err
	}
	type setting struct{ ns, key, value string }
	var settings []setting
	for _, key := range []string{
		"bridge.bridge-nf-call-iptables", "bridge.bridge-nf-call-ip6tables", "bridge.bridge-nf-call-arptables",
		"ipv6.conf.all.disable_ipv6", "ipv6.conf.default.disable_ipv6",
	} {
		value := "0"
		if strings.HasPrefix(key, "ipv6") {
			value = "1" // the switch has no address, not even a link-local one
		}
		settings = append(settings, setting{d.switchNS(), key, value})
	}
	settings = append(settings,
		// A new namespace takes forwarding over from the host.
		setting{d.switchNS(), "ipv4.ip_forward", "0"},
		setting{d.managementNS(), "ipv4.ip_forward", "0"},
		setting{d.gatewayNS(), "ipv4.ip_forward", "1"},
		setting{d.gatewayNS(), "ipv6.conf.all.disable_ipv6", "1"},
		setting{d.gatewayNS(), "ipv6.conf.default.disable_ipv6", "1"},
		// Replies come from an amphora while requests go through a distributor, and hand-overs end connections with
		// numbers the tracker has not seen: it must not take them for invalid.
		setting{d.gatewayNS(), "netfilter.nf_conntrack_tcp_be_liberal", "1"},
		setting{d.managementNS(), "ipv6.conf.all.disable_ipv6", "1"},
		setting{d.managementNS(), "ipv6.conf.default.disable_ipv6", "1"},
	)
	for _, ns := range []string{d.switchNS(), d.gatewayNS(), d.managementNS()} {
		if _, err := linuxnet.EnsureNamespace(ns); err != nil {
			return err
		}
	}
	if err := linuxnet.Nft(ctx, linuxnet.Path(d.gatewayNS()), gatewayTable); err != nil {
		return err
	}
	for _, s := range settings {
		// A kernel without br_netfilter, IPv6 or conntrack has no such setting and does not need it.
		err := linuxnet.SetSysctl(linuxnet.Path(s.ns), "net."+s.key, s.value)
		if err != nil && (!errors.Is(err, linuxnet.ErrNotFound) || s.key == "ipv4.ip_forward") {
			return err
		}
	}
	return nil
}

// realizeNetwork makes bridge, gateway port, gateway addresses and host routes of a tenant network.
func (d *Driver) realizeNetwork(n network.Network) error {
	if err := d.ensureTrunk(n, gatewaySwitchLink(n.ID), gatewayLink(n.ID), d.gatewayNS(), "gateway"); err != nil {
		return err
	}
	gw, err := linuxnet.Open(linuxnet.Path(d.gatewayNS()))
	if err != nil {
		return err
	}
	defer gw.Close()
	for _, s := range n.Subnets {
		if s.GatewayIP == "" {
			continue
		}
		cidr := netip.MustParsePrefix(s.CIDR)
		addr := netip.PrefixFrom(netip.MustParseAddr(s.GatewayIP), cidr.Bits())
		if err := gw.EnsureAddress(gatewayLink(n.ID), addr); err != nil {
			return err
		}
		if n.Isolated {
			continue
		}
		if err := d.setHostRoute(cidr); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) realizeManagement(n network.Network) error {
	if err := d.ensureTrunk(n, managementSwitchLink, managementLink, d.managementNS(), "management"); err != nil {
		return err
	}
	return inside(linuxnet.Path(d.managementNS()), func(h *linuxnet.Handle) error {
		return h.EnsureAddress(managementLink, netip.PrefixFrom(d.cfg.Management.Addr().Next(), d.cfg.Management.Bits()))
	})
}

// ensureTrunk makes the network's bridge and the veth that joins it to one of our own namespaces.
func (d *Driver) ensureTrunk(n network.Network, side, inner, ns, kind string) error {
	sw, err := linuxnet.Open(linuxnet.Path(d.switchNS()))
	if err != nil {
		return err
	}
	defer sw.Close()
	h, err := linuxnet.Open(linuxnet.Path(ns))
	if err != nil {
		return err
	}
	defer h.Close()
	br, mac := bridgeName(n.ID), macOf(kind, n.ID)
	if err := sw.EnsureBridge(br, macOf("bridge", n.ID), n.MTU); err != nil {
		return err
	}
	if _, err := sw.Link(side); errors.Is(err, linuxnet.ErrNotFound) {
		err := sw.AddVeth(linuxnet.VethEnd{Name: side, MAC: macOf("switch-"+kind, n.ID), MTU: n.MTU},
			linuxnet.VethEnd{Name: inner, MAC: mac, MTU: n.MTU}, h.NamespacePath())
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := sw.AttachToBridge(side, br, linuxnet.BridgePort{}); err != nil {
		return err
	}
	if err := sw.SetFDB(side, mac); err != nil {
		return err
	}
	if err := sw.SetUp(side); err != nil {
		return err
	}
	if err := h.SetUp(inner); err != nil {
		return err
	}
	return awaitCarriers(sw, side, h, mac)
}

func (d *Driver) dropSubnet(s network.Subnet) error {
	cidr, err := netip.ParsePrefix(s.CIDR)
	if err != nil {
		return err
	}
	if err := d.deleteHostRoute(cidr); err != nil || s.GatewayIP == "" {
		return err
	}
	return insideIfThere(linuxnet.Path(d.gatewayNS()), func(gw *linuxnet.Handle) error {
		return gw.DeleteAddress(gatewayLink(s.NetworkID), netip.PrefixFrom(netip.MustParseAddr(s.GatewayIP), cidr.Bits()))
	})
}

func (d *Driver) dropNetwork(n network.Network) error {
	for _, s := range n.Subnets {
		if err := d.dropSubnet(s); err != nil {
			return err
		}
	}
	return insideIfThere(linuxnet.Path(d.switchNS()), func(sw *linuxnet.Handle) error {
		if err := sw.DeleteLink(gatewaySwitchLink(n.ID)); err != nil {
			return err
		}
		return sw.DeleteLink(bridgeName(n.ID))
	})
}

// adopt puts every plugged port back in order and removes devices and routes that no row names.
func (d *Driver) adopt(ctx context.Context, nets []network.Network, ports []network.Port) error {
	sw, err := linuxnet.Open(linuxnet.Path(d.switchNS()))
	if err != nil {
		return err
	}
	defer sw.Close()
	known := map[string]network.Port{}
	for _, p := range ports {
		known[portLink(p.ID)] = p
	}
	keep := map[string]bool{"lo": true, managementSwitchLink: true}
	for _, n := range nets {
		keep[bridgeName(n.ID)], keep[gatewaySwitchLink(n.ID)] = true, true
	}
	links, err := sw.Links()
	if err != nil {
		return err
	}
	var plugged []network.Port
	for _, l := range links {
		p, isPort := known[l.Name]
		switch {
		case isPort:
			plugged = append(plugged, p)
		case !keep[l.Name] && l.Kind != "sit": // some kernels put fallback tunnel devices into every namespace
			if err := sw.DeleteLink(l.Name); err != nil {
				d.cfg.Log.WarnContext(ctx, "device without a row stays", "device", l.Name, "error", err)
			}
		}
	}
	if err := linuxnet.Nft(ctx, sw.NamespacePath(), switchTable+filterElements(plugged)); err != nil {
		return err
	}
	for _, p := range plugged {
		// A device may go while we look: its instance died just now.
		if err := d.attach(sw, p); err != nil && !errors.Is(err, linuxnet.ErrNotFound) {
			return err
		}
	}
	d.plugTenants(ctx, sw, ports)
	return d.deleteForeignRoutes(nets)
}

// Remove takes everything away: it needs no store and may be repeated. Instances have to be gone.
func (d *Driver) Remove(ctx context.Context) error {
	release, err := d.exclusive()
	if err != nil {
		return err
	}
	defer release()
	errs := []error{d.removeHostLink(ctx)}
	names, err := linuxnet.Namespaces(d.cfg.Prefix + "-")
	errs = append(errs, err)
	for _, ns := range []string{d.switchNS(), d.gatewayNS(), d.managementNS(), d.cfg.Prefix + "-probe"} {
		for _, name := range names {
			if name == ns {
				errs = append(errs, linuxnet.DeleteNamespace(name))
			}
		}
	}
	errs = append(errs, d.unshareRunDir(), d.removeMadeDirs())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove networks: %w", err)
	}
	return nil
}

// Standing is what there is of networks on the machine.
type Standing struct {
	Networks   int // of tenants
	Ports      int // plugged in
	HostDevice string
}

// Standing counts what Remove would take away.
func (d *Driver) Standing() (Standing, error) {
	var s Standing
	host, err := linuxnet.Open("")
	if err != nil {
		return s, err
	}
	defer host.Close()
	if l, err := host.Link(d.cfg.Prefix); err == nil {
		s.HostDevice = l.Name
	}
	sw, err := linuxnet.Open(linuxnet.Path(d.switchNS()))
	if errors.Is(err, linuxnet.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer sw.Close()
	links, err := sw.Links()
	for _, l := range links {
		switch {
		case l.Kind == "bridge" && l.Name != managementBridge:
			s.Networks++
		case strings.HasPrefix(l.Name, "p-"):
			s.Ports++
		}
	}
	return s, err
}

// ensureDir makes a directory outside the state directory and remembers, first, that it has to go again.
func (d *Driver) ensureDir(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := d.note(madeDirsFile, path); err != nil {
		return err
	}
	return os.MkdirAll(path, 0o755)
}

// note appends a line to a file of the state directory.
func (d *Driver) note(file, line string) error {
	if err := os.MkdirAll(d.cfg.StateDir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(d.cfg.StateDir, file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}

// removeMadeDirs removes them when they are empty; a mount or another's file in them means that they are used, and that
// they are kept in mind for a later call.
func (d *Driver) removeMadeDirs() error {
	file := filepath.Join(d.cfg.StateDir, madeDirsFile)
	b, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	used := ""
	for _, dir := range strings.Fields(string(b)) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			used += dir + "\n"
		}
	}
	if used != "" {
		return atomicfile.Write(file, []byte(used), 0o600)
	}
	return os.Remove(file)
}
