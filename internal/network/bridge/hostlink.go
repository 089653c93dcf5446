package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
)

// hostAddress and gatewayAddress are the two ends of the routed link.
func (d *Driver) hostAddress() netip.Addr    { return d.cfg.HostLink.Addr().Next() }
func (d *Driver) gatewayAddress() netip.Addr { return d.hostAddress().Next() }

// inside does something in one namespace; "" is the host's.
func inside(namespace string, do func(*linuxnet.Handle) error) error {
	h, err := linuxnet.Open(namespace)
	if err != nil {
		return err
	}
	defer h.Close()
	return do(h)
}

// insideIfThere is inside, and nothing where the namespace is gone, and with it all that was in there.
func insideIfThere(namespace string, do func(*linuxnet.Handle) error) error {
	h, err := linuxnet.Open(namespace)
	if errors.Is(err, linuxnet.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	return do(h)
}

// checkHostRoutes refuses a range that the host reaches by another way already.
func (d *Driver) checkHostRoutes(wanted netip.Prefix) error {
	return inside("", func(host *linuxnet.Handle) error {
		routes, err := host.Routes(linuxnet.MainTable)
		if err != nil {
			return err
		}
		return clash(routes, d.cfg.Prefix, wanted)
	})
}

// checkUplinks refuses a range that the gateway reaches by an uplink.
func (d *Driver) checkUplinks(wanted netip.Prefix) error {
	h, err := linuxnet.Open(linuxnet.Path(d.gatewayNS()))
	if errors.Is(err, linuxnet.ErrNotFound) {
		return nil // there are no uplinks before Ensure
	}
	if err != nil {
		return err
	}
	defer h.Close()
	routes, err := h.Routes(linuxnet.MainTable)
	for _, r := range routes {
		if strings.HasPrefix(r.Device, Uplink) && r.Destination.Bits() > 0 && r.Destination.Overlaps(wanted) {
			return lb.Faultf(lb.KindConflict, "%s overlaps the gateway's route to %s over %s", wanted, r.Destination, r.Device)
		}
	}
	return err
}

// clash looks for a route other than a default route and those over our own device.
func clash(routes []linuxnet.Route, own string, wanted netip.Prefix) error {
	for _, r := range routes {
		if r.Device != own && r.Destination.Bits() > 0 && r.Destination.Overlaps(wanted) {
			return lb.Faultf(lb.KindConflict, "%s overlaps the host's route to %s over %s: choose another range (network.host_link_cidr, or the network's own)", wanted, r.Destination, r.Device)
		}
	}
	return nil
}

// ensureHostLink makes the one device on the host, with its address.
func (d *Driver) ensureHostLink(ctx context.Context) error {
	host, err := linuxnet.Open("")
	if err != nil {
		return err
	}
	defer host.Close()
	gw, err := linuxnet.Open(linuxnet.Path(d.gatewayNS()))
	if err != nil {
		return err
	}
	defer gw.Close()
	outer, err := host.Link(d.cfg.Prefix)
	if err != nil && !errors.Is(err, linuxnet.ErrNotFound) {
		return err
	}
	if err == nil {
		// It is ours when its other end is in our gateway; one left from a gateway that is gone would be gone too.
		if inner, err := gw.Link(gatewayHostLink); err != nil || inner.Index != outer.PeerIndex {
			return fmt.Errorf("the host has a device %s that is not ours", d.cfg.Prefix)
		}
	} else {
		// Said before the device appears, so that nobody configures it first.
		if err := d.writeUnmanaged(ctx); err != nil {
			return err
		}
		err := host.AddVeth(linuxnet.VethEnd{Name: d.cfg.Prefix, MAC: macOf("host", d.cfg.Prefix), MTU: defaultMTU},
			linuxnet.VethEnd{Name: gatewayHostLink, MAC: macOf("gateway-host", d.cfg.Prefix), MTU: defaultMTU}, gw.NamespacePath())
		if err != nil {
			return err
		}
	}
	err = linuxnet.SetSysctl("", "net/ipv6/conf/"+d.cfg.Prefix+"/disable_ipv6", "1")
	if err != nil && !errors.Is(err, linuxnet.ErrNotFound) {
		return err
	}
	bits := d.cfg.HostLink.Bits()
	if err := host.EnsureAddress(d.cfg.Prefix, netip.PrefixFrom(d.hostAddress(), bits)); err != nil {
		return err
	}
	if err := gw.EnsureAddress(gatewayHostLink, netip.PrefixFrom(d.gatewayAddress(), bits)); err != nil {
		return err
	}
	if err := gw.SetUp(gatewayHostLink); err != nil {
		return err
	}
	if err := host.SetUp(d.cfg.Prefix); err != nil {
		return err
	}
	return gw.SetRoute(linuxnet.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: d.hostAddress(), Device: gatewayHostLink})
}

func (d *Driver) hostRoute(cidr netip.Prefix) linuxnet.Route {
	return linuxnet.Route{Destination: cidr, Gateway: d.gatewayAddress(), Device: d.cfg.Prefix}
}

func (d *Driver) setHostRoute(cidr netip.Prefix) error {
	return inside("", func(host *linuxnet.Handle) error { return host.SetRoute(d.hostRoute(cidr)) })
}

func (d *Driver) deleteHostRoute(cidr netip.Prefix) error {
	return inside("", func(host *linuxnet.Handle) error { return host.DeleteRoute(d.hostRoute(cidr)) })
}

// deleteForeignRoutes removes routes over our device to subnets that are no more.
func (d *Driver) deleteForeignRoutes(nets []network.Network) error {
	keep := map[netip.Prefix]bool{d.cfg.HostLink: true}
	for _, n := range nets {
		for _, s := range n.Subnets {
			if routed(n, s) && !n.Isolated {
				keep[netip.MustParsePrefix(s.CIDR)] = true
			}
		}
	}
	return inside("", func(host *linuxnet.Handle) error {
		routes, err := host.Routes(linuxnet.MainTable)
		if err != nil {
			return err
		}
		for _, r := range routes {
			if r.Device == d.cfg.Prefix && r.Destination.Addr().Is4() && !keep[r.Destination] {
				if err := host.DeleteRoute(r); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (d *Driver) removeHostLink(ctx context.Context) error {
	err := inside("", func(host *linuxnet.Handle) error { return host.DeleteLink(d.cfg.Prefix) })
	return errors.Join(err, d.removeUnmanaged(ctx))
}

// dropIn is a file that tells one network configuration service to leave our device alone. They live under /run: a
// reboot takes device and file together.
type dropIn struct {
	runs    string // exists while the service runs, relative to /run
	path    string // relative to /run
	content string
	reload  []string
}

func dropIns(device string) []dropIn {
	return []dropIn{
		{
			"systemd/netif/state", "systemd/network/00-" + device + ".network",
			"[Match]\nName=" + device + "\n\n[Link]\nUnmanaged=yes\n",
			[]string{"networkctl", "reload"},
		},
		{
			"NetworkManager", "NetworkManager/conf.d/00-" + device + ".conf",
			"[keyfile]\nunmanaged-devices+=interface-name:" + device + "\n",
			[]string{"nmcli", "general", "reload", "conf"},
		},
	}
}

func (d *Driver) writeUnmanaged(ctx context.Context) error {
	for _, f := range dropIns(d.cfg.Prefix) {
		if _, err := os.Stat(filepath.Join(d.cfg.RunDir, f.runs)); err != nil {
			continue
		}
		path := filepath.Join(d.cfg.RunDir, f.path)
		err := d.ensureDir(filepath.Dir(path))
		if err == nil {
			err = os.WriteFile(path, []byte(f.content), 0o644)
		}
		if err != nil {
			return fmt.Errorf("mark %s unmanaged: %w", d.cfg.Prefix, err)
		}
		reload(ctx, f.reload)
	}
	return nil
}

func (d *Driver) removeUnmanaged(ctx context.Context) error {
	var errs []error
	for _, f := range dropIns(d.cfg.Prefix) {
		switch err := os.Remove(filepath.Join(d.cfg.RunDir, f.path)); {
		case err == nil:
			reload(ctx, f.reload)
		case !os.IsNotExist(err):
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// reload tells a service; one that cannot be told reads the file when it starts, and an explicit address stays either way.
func reload(ctx context.Context, argv []string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = exec.CommandContext(ctx, argv[0], argv[1:]...).Run()
}
