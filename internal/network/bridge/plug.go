package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
)

// PlugNamespace makes the port a device named ifname in the namespace at nsPath: a veth pair, the other end on the
// network's bridge. A management or tenant port gets its address, a tenant port also its gateway's default route, and is up;
// the others stay down and bare for the agent, who finds them by MAC and may move them on: a port plugged here
// before counts as plugged wherever its device is now.
func (d *Driver) PlugNamespace(ctx context.Context, portID, nsPath, ifname string) error {
	p, err := d.cfg.Store.Port(ctx, portID)
	if err != nil {
		return err
	}
	release, err := d.exclusive()
	if err != nil {
		return err
	}
	defer release()
	if err := d.plug(ctx, p, nsPath, ifname); err != nil {
		return fmt.Errorf("plug port %s into %s: %w", portID, nsPath, err)
	}
	return nil
}

func (d *Driver) plug(ctx context.Context, p network.Port, nsPath, ifname string) error {
	sw, err := linuxnet.Open(linuxnet.Path(d.switchNS()))
	if err != nil {
		return err
	}
	defer sw.Close()
	in, err := linuxnet.Open(nsPath)
	if err != nil {
		return err
	}
	defer in.Close()
	mac, err := net.ParseMAC(p.MAC)
	if err != nil {
		return err
	}
	undo := linuxnet.NewUndo()
	defer undo.RunUnlessDone()

	side, alias := portLink(p.ID), p.ID+" "+nsPath
	old, err := sw.Link(side)
	switch {
	case errors.Is(err, linuxnet.ErrNotFound):
	case err != nil:
		return err
	case old.Alias != alias:
		// Half-built, or plugged elsewhere before: keep it only when its other end is where it belongs.
		if inner, err := in.LinkByMAC(mac); err != nil || inner.Index != old.PeerIndex {
			if err := sw.DeleteLink(side); err != nil {
				return err
			}
			old = linuxnet.Link{}
		}
	}
	if old.Name == "" {
		err := sw.AddVeth(linuxnet.VethEnd{Name: side, MAC: macOf("switch-port", p.ID), MTU: p.MTU},
			linuxnet.VethEnd{Name: ifname, MAC: mac, MTU: p.MTU}, nsPath)
		if err != nil {
			return err
		}
		undo.Add("delete port device", func() error { return sw.DeleteLink(side) })
	}
	if p.Purpose == network.PurposeTenant {
		if err := linuxnet.Nft(ctx, sw.NamespacePath(), filterElements([]network.Port{p})); err != nil {
			return err
		}
	}
	if err := sw.SetAlias(side, alias); err != nil {
		return err
	}
	if err := d.attach(sw, p); err != nil {
		return err
	}
	configured, err := d.configures(ctx, p)
	if err != nil {
		return err
	}
	if configured {
		if err := configure(in, p, mac); err != nil {
			return err
		}
		if err := awaitCarriers(sw, side, in, mac); err != nil {
			return err
		}
		if err := announce(in, p, mac); err != nil {
			return err
		}
	}
	undo.Done()
	return nil
}

// configures reports whether the port's device gets its address from us.
func (d *Driver) configures(ctx context.Context, p network.Port) (bool, error) {
	if p.Purpose != network.PurposeTenant {
		return p.Purpose == network.PurposeManagement, nil
	}
	s, err := d.cfg.Store.Subnet(ctx, p.SubnetID)
	return !s.NoDHCP, err
}

// attach brings the bridge side of a plugged port in order. It learns nothing and gets no frame for unknown addresses:
// who is behind it is written down.
func (d *Driver) attach(sw *linuxnet.Handle, p network.Port) error {
	side := portLink(p.ID)
	mac, err := net.ParseMAC(p.MAC)
	if err != nil {
		return err
	}
	// Agents have nothing to say to each other.
	isolated := p.Purpose == network.PurposeManagement
	if err := sw.AttachToBridge(side, bridgeName(p.NetworkID), linuxnet.BridgePort{Isolated: isolated}); err != nil {
		return err
	}
	if err := sw.SetFDB(side, mac); err != nil {
		return err
	}
	if isolated {
		// A new agent often gets the address of one just deleted; no cached answer may stand in its way.
		if err := d.inManagement(func(h *linuxnet.Handle, a netip.Addr) error {
			return h.SetNeighbour(managementLink, a, mac)
		}, p); err != nil {
			return err
		}
	}
	return sw.SetUp(side)
}

// configure gives the inner device address, default route and carrier.
func configure(in *linuxnet.Handle, p network.Port, mac net.HardwareAddr) error {
	l, err := in.LinkByMAC(mac)
	if err != nil {
		return err
	}
	cidr, err := netip.ParsePrefix(p.CIDR)
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddr(p.Address)
	if err != nil {
		return err
	}
	if err := in.EnsureAddress(l.Name, netip.PrefixFrom(addr, cidr.Bits())); err != nil {
		return err
	}
	if err := in.SetUp("lo"); err != nil {
		return err
	}
	if err := in.SetUp(l.Name); err != nil {
		return err
	}
	if p.Purpose != network.PurposeTenant {
		return nil
	}
	return defaultRoute(in, p, l.Name)
}

// defaultRoute leads out of a tenant's machine by the port's gateway. A machine that knows a way out keeps it: it may have
// several ports, or one of its own.
func defaultRoute(in *linuxnet.Handle, p network.Port, device string) error {
	if p.Gateway == "" {
		return nil
	}
	gw, err := netip.ParseAddr(p.Gateway)
	if err != nil {
		return err
	}
	def := linuxnet.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: gw, Device: device}
	routes, err := in.Routes(linuxnet.MainTable)
	if err != nil || slices.ContainsFunc(routes, func(r linuxnet.Route) bool { return r.Destination == def.Destination }) {
		return err
	}
	return in.SetRoute(def)
}

// carrierLimit is far beyond what the kernel needs; a port whose carrier comes later works later.
const carrierLimit = time.Second

// awaitCarriers has a port carry frames when its plug returns: a first packet lost costs its sender a second.
func awaitCarriers(sw *linuxnet.Handle, side string, in *linuxnet.Handle, mac net.HardwareAddr) error {
	l, err := in.LinkByMAC(mac)
	if err != nil {
		return err
	}
	if _, err := in.AwaitCarrier(l.Name, carrierLimit); err != nil {
		return err
	}
	_, err = sw.AwaitCarrier(side, carrierLimit)
	return err
}

// announce has those who knew a tenant's address elsewhere learn it anew.
func announce(in *linuxnet.Handle, p network.Port, mac net.HardwareAddr) error {
	if p.Purpose != network.PurposeTenant {
		return nil
	}
	l, err := in.LinkByMAC(mac)
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddr(p.Address)
	if err != nil {
		return err
	}
	return linuxnet.GratuitousARP(in.NamespacePath(), l.Name, addr, mac)
}

// Unplug removes the port's device, wherever its inner end is; the row and the address stay.
func (d *Driver) Unplug(ctx context.Context, portID string) error {
	release, err := d.exclusive()
	if err != nil {
		return err
	}
	defer release()
	if err := d.unplug(ctx, portID); err != nil {
		return fmt.Errorf("unplug port %s: %w", portID, err)
	}
	return nil
}

func (d *Driver) unplug(ctx context.Context, portID string) error {
	return insideIfThere(linuxnet.Path(d.switchNS()), func(sw *linuxnet.Handle) error { return d.unplugFrom(ctx, sw, portID) })
}

func (d *Driver) unplugFrom(ctx context.Context, sw *linuxnet.Handle, portID string) error {
	if err := sw.DeleteLink(portLink(portID)); err != nil {
		return err
	}
	if d.cfg.Store == nil {
		return nil // everything is being taken away, the switch with its rules next
	}
	p, err := d.cfg.Store.Port(ctx, portID)
	if isNotFound(err) {
		return nil // its filter elements name a device that cannot come again; Ensure sweeps them
	}
	if err != nil {
		return err
	}
	switch p.Purpose {
	case network.PurposeTenant:
		if err := linuxnet.Nft(ctx, sw.NamespacePath(), removeElements(p)); err != nil {
			return err
		}
	case network.PurposeManagement:
		return d.forgetNeighbour(p, d.managementNS(), managementLink)
	}
	return d.forgetNeighbour(p, d.gatewayNS(), gatewayLink(p.NetworkID))
}

// Plugged reports whether the port's device exists.
func (d *Driver) Plugged(portID string) (bool, error) {
	err := inside(linuxnet.Path(d.switchNS()), func(sw *linuxnet.Handle) error {
		_, err := sw.Link(portLink(portID))
		return err
	})
	if errors.Is(err, linuxnet.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (d *Driver) inManagement(do func(*linuxnet.Handle, netip.Addr) error, p network.Port) error {
	a, err := netip.ParseAddr(p.Address)
	if err != nil {
		return err
	}
	return inside(linuxnet.Path(d.managementNS()), func(h *linuxnet.Handle) error { return do(h, a) })
}

// forgetNeighbour keeps whoever reaches the port by a device of ours from sending to a MAC that is gone when the address is
// given out again.
func (d *Driver) forgetNeighbour(p network.Port, namespace, device string) error {
	a, err := netip.ParseAddr(p.Address)
	if err != nil {
		return err
	}
	return inside(linuxnet.Path(namespace), func(h *linuxnet.Handle) error { return h.DeleteNeighbour(device, a) })
}

func isNotFound(err error) bool { return lb.KindOf(err) == lb.KindNotFound }
