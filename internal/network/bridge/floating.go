package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
)

var _ network.FloatingIPs = (*Driver)(nil)

// floatingMark marks packets that come from an address which a floating IP stands for: the gateway lets those out by
// uplinks.
const floatingMark = 0xc010

// floatingTable is the whole translation, applied in one transaction: it replaces what is there, and connections that
// are tracked go on as they were. Source addresses of clients are left alone, both ways pass the gateway.
func floatingTable(wanted map[netip.Addr]netip.Addr) string {
	var floating []netip.Addr
	for f := range wanted {
		floating = append(floating, f)
	}
	slices.SortFunc(floating, netip.Addr.Compare)
	var fixed, back, sources []string
	for _, f := range floating {
		fixed = append(fixed, fmt.Sprintf("%s : %s", f, wanted[f]))
		back = append(back, fmt.Sprintf("%s : %s", wanted[f], f))
		sources = append(sources, wanted[f].String())
	}
	elements := func(all []string) string {
		if len(all) == 0 {
			return ""
		}
		return "elements = { " + strings.Join(all, ", ") + " }"
	}
	return fmt.Sprintf(`
table ip colonnade_floating
delete table ip colonnade_floating
table ip colonnade_floating {
	map fixed { type ipv4_addr : ipv4_addr; %[1]s
	}
	map floating { type ipv4_addr : ipv4_addr; %[2]s
	}
	set sources { type ipv4_addr; %[3]s
	}
	chain marked {
		type filter hook prerouting priority mangle; policy accept;
		iifname "n-*" ip saddr @sources meta mark set %#[4]x
	}
	chain inward {
		type nat hook prerouting priority dstnat; policy accept;
		dnat to ip daddr map @fixed
	}
	chain outward {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "%[5]s*" snat to ip saddr map @floating
	}
}
`, elements(fixed), elements(back), elements(sources), floatingMark, Uplink)
}

// realizeFloating makes the gateway translate as the rows say, but for addresses of the port named (which is about to
// go). The lock is held.
func (d *Driver) realizeFloating(ctx context.Context, without string) error {
	all, err := d.cfg.Store.FloatingIPs(ctx)
	if err != nil {
		return err
	}
	wanted := map[netip.Addr]netip.Addr{}
	for _, f := range all {
		if f.PortID == "" || f.PortID == without {
			continue
		}
		floating, err1 := netip.ParseAddr(f.Address)
		fixed, err2 := netip.ParseAddr(f.FixedAddress)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("floating IP %s: %w", f.ID, err)
		}
		wanted[floating] = fixed
	}
	ns := linuxnet.Path(d.gatewayNS())
	gw, err := linuxnet.Open(ns)
	if err != nil {
		return err
	}
	defer gw.Close()
	if err := gw.SetUp("lo"); err != nil {
		return err
	}
	have, err := floatingAddresses(gw)
	if err != nil {
		return err
	}
	if len(have) == 0 && len(wanted) == 0 {
		return nil
	}
	if err := linuxnet.Nft(ctx, ns, floatingTable(wanted)); err != nil {
		return err
	}
	// As addresses of the gateway's own they are answered for on every uplink.
	for f := range wanted {
		if !slices.Contains(have, f) {
			if err := gw.EnsureAddress("lo", netip.PrefixFrom(f, 32)); err != nil {
				return err
			}
		}
	}
	for _, f := range have {
		if _, ok := wanted[f]; !ok {
			if err := gw.DeleteAddress("lo", netip.PrefixFrom(f, 32)); err != nil {
				return err
			}
		}
	}
	_, err = linuxnet.ForgetTracked(ns, func(c linuxnet.Tracked) bool { return outdated(c, wanted) })
	return err
}

// outdated reports whether a connection is translated otherwise than new ones are.
func outdated(c linuxnet.Tracked, wanted map[netip.Addr]netip.Addr) bool {
	if fixed, ok := wanted[c.Destination]; ok {
		return c.ReplySource != fixed
	}
	if c.Destination != c.ReplySource {
		return true
	}
	return c.Source != c.ReplyDestination && wanted[c.ReplyDestination] != c.Source
}

// floatingAddresses are those that the gateway answers for.
func floatingAddresses(gw *linuxnet.Handle) ([]netip.Addr, error) {
	on, err := gw.Addresses("lo")
	var out []netip.Addr
	for _, p := range on {
		if p.Addr().Is4() && !p.Addr().IsLoopback() {
			out = append(out, p.Addr())
		}
	}
	return out, err
}

// translate is realizeFloating for callers that do not hold the lock.
func (d *Driver) translate(ctx context.Context, without string) error {
	release, err := d.exclusive()
	if err != nil {
		return err
	}
	defer release()
	if !linuxnet.NamespaceExists(linuxnet.Path(d.gatewayNS())) {
		return nil // `down`, or Ensure has still to come
	}
	if err := d.realizeFloating(ctx, without); err != nil {
		return fmt.Errorf("translate floating IPs: %w", err)
	}
	return nil
}

// floatable refuses ports that no floating IP can stand for.
func (d *Driver) floatable(ctx context.Context, portID string) error {
	if portID == "" {
		return nil
	}
	p, err := d.cfg.Store.Port(ctx, portID)
	if err != nil {
		return err
	}
	if p.Purpose != network.PurposeVIP && p.Purpose != network.PurposeTenant {
		return lb.Faultf(lb.KindInvalid, "Port %s is not one that a floating IP can stand for.", portID)
	}
	n, err := d.cfg.Store.Network(ctx, p.NetworkID)
	if err != nil {
		return err
	}
	if n.External || p.Gateway == "" {
		return lb.Faultf(lb.KindInvalid, "No external network is reachable from subnet %s of port %s: it has no gateway.", p.SubnetID, portID)
	}
	return nil
}

// EnsureFloatingIP takes an address of an external network, and has it stand for a port if one is named.
func (d *Driver) EnsureFloatingIP(ctx context.Context, spec network.FloatingIPSpec) (network.FloatingIP, error) {
	if spec.ID == "" {
		return network.FloatingIP{}, lb.Faultf(lb.KindInvalid, "a floating IP needs an id")
	}
	n, err := d.cfg.Store.Network(ctx, spec.NetworkID)
	if err != nil {
		return network.FloatingIP{}, err
	}
	if !n.External {
		return network.FloatingIP{}, lb.Faultf(lb.KindInvalid, "Network %s is not a valid external network.", spec.NetworkID)
	}
	if err := d.floatable(ctx, spec.PortID); err != nil {
		return network.FloatingIP{}, err
	}
	f, err := d.cfg.Store.InsertFloatingIP(ctx,
		network.FloatingIP{ID: spec.ID, ProjectID: spec.ProjectID, Description: spec.Description, PortID: spec.PortID},
		network.Port{
			ID: spec.ID, NetworkID: n.ID, MAC: macOf("port", spec.ID).String(), Purpose: network.PurposeFloating,
			OwnerID: spec.ID, ProjectID: spec.ProjectID,
		},
		func(taken map[string]bool) (string, string, error) {
			return chooseAddress(network.PortSpec{NetworkID: n.ID, SubnetID: spec.SubnetID, Address: spec.Address}, n.Subnets, taken)
		})
	if err != nil || f.PortID == "" {
		return f, err
	}
	if err := d.translate(ctx, ""); err != nil {
		return network.FloatingIP{}, firstOf(err, d.cfg.Store.DeleteFloatingIP(context.WithoutCancel(ctx), f.ID))
	}
	return f, nil
}

// FloatingIP reads one.
func (d *Driver) FloatingIP(ctx context.Context, id string) (network.FloatingIP, error) {
	return d.cfg.Store.FloatingIP(ctx, id)
}

// FloatingIPs lists all.
func (d *Driver) FloatingIPs(ctx context.Context) ([]network.FloatingIP, error) {
	return d.cfg.Store.FloatingIPs(ctx)
}

// UpdateFloatingIP changes what a floating IP stands for, or its description.
func (d *Driver) UpdateFloatingIP(ctx context.Context, id string, change func(*network.FloatingIP) error) (network.FloatingIP, error) {
	asked, err := d.cfg.Store.FloatingIP(ctx, id)
	if err != nil {
		return network.FloatingIP{}, err
	}
	if err := change(&asked); err != nil {
		return network.FloatingIP{}, err
	}
	if err := d.floatable(ctx, asked.PortID); err != nil {
		return network.FloatingIP{}, err
	}
	f, err := d.cfg.Store.UpdateFloatingIP(ctx, id, func(f *network.FloatingIP) error {
		f.PortID, f.Description = asked.PortID, asked.Description
		return nil
	})
	if err != nil {
		return network.FloatingIP{}, err
	}
	return f, d.translate(ctx, "")
}

// DeleteFloatingIP gives the address back.
func (d *Driver) DeleteFloatingIP(ctx context.Context, id string) error {
	f, err := d.cfg.Store.FloatingIP(ctx, id)
	if isNotFound(err) {
		return nil
	}
	if err == nil && f.PortID != "" {
		// First, so that nobody gets the address while it leads to this port.
		err = d.translate(ctx, f.PortID)
	}
	if err != nil {
		return err
	}
	return d.cfg.Store.DeleteFloatingIP(ctx, id)
}
