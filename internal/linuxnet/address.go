package linuxnet

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// EnsureAddress gives the device the address (IPv6 without duplicate detection: it is unique by our own allocation). The
// subnet route that comes with it is the kernel's.
func (h *Handle) EnsureAddress(name string, addr netip.Prefix) error {
	return h.with("add address "+addr.String()+" to", name, func(l netlink.Link) error {
		a := &netlink.Addr{IPNet: ipNet(addr)}
		if addr.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		return h.nl.AddrReplace(l, a)
	})
}

// DeleteAddress takes the address away; one that is gone is no error.
func (h *Handle) DeleteAddress(name string, addr netip.Prefix) error {
	l, err := h.nl.LinkByName(name)
	if err == nil {
		err = h.nl.AddrDel(l, &netlink.Addr{IPNet: ipNet(addr)})
	}
	if isGone(err) || errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil
	}
	return fail("delete address "+addr.String()+" from", name, err)
}

// Addresses lists the device's addresses, link-local IPv6 ones included.
func (h *Handle) Addresses(name string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	err := h.with("list addresses of", name, func(l netlink.Link) error {
		return retryDump(func() error {
			addrs, err := h.nl.AddrList(l, netlink.FAMILY_ALL)
			out = out[:0]
			for _, a := range addrs {
				out = append(out, prefixOf(a.IPNet))
			}
			return err
		})
	})
	return out, err
}

// SetNeighbour writes a permanent entry: the address is reached at this MAC, no ARP asked.
func (h *Handle) SetNeighbour(name string, addr netip.Addr, mac net.HardwareAddr) error {
	return h.with("set neighbour "+addr.String()+" on", name, func(l netlink.Link) error {
		return h.nl.NeighSet(&netlink.Neigh{
			LinkIndex: l.Attrs().Index, IP: addr.AsSlice(), HardwareAddr: mac,
			Family: family(addr), State: netlink.NUD_PERMANENT, Type: unix.RTN_UNICAST,
		})
	})
}

// DeleteNeighbour removes an entry; one that is gone is no error.
func (h *Handle) DeleteNeighbour(name string, addr netip.Addr) error {
	l, err := h.nl.LinkByName(name)
	if err == nil {
		err = h.nl.NeighDel(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: addr.AsSlice(), Family: family(addr)})
	}
	if isGone(err) {
		return nil
	}
	return fail("delete neighbour "+addr.String()+" on", name, err)
}

// Neighbours returns what the device knows: address -> MAC.
func (h *Handle) Neighbours(name string) (map[netip.Addr]net.HardwareAddr, error) {
	out := map[netip.Addr]net.HardwareAddr{}
	err := h.with("list neighbours of", name, func(l netlink.Link) error {
		return retryDump(func() error {
			ns, err := h.nl.NeighList(l.Attrs().Index, netlink.FAMILY_ALL)
			for _, n := range ns {
				if a, ok := netip.AddrFromSlice(n.IP); ok && len(n.HardwareAddr) == 6 {
					out[a.Unmap()] = n.HardwareAddr
				}
			}
			return err
		})
	})
	return out, err
}

func family(a netip.Addr) int {
	if a.Unmap().Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

// ipNet converts; the zero prefix is nil.
func ipNet(p netip.Prefix) *net.IPNet {
	if !p.IsValid() {
		return nil
	}
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// prefixOf converts; nil is the zero prefix.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}
	}
	ones, bits := n.Mask.Size()
	if a = a.Unmap(); a.Is4() && bits == 128 {
		ones -= 96
	}
	return netip.PrefixFrom(a, ones)
}
