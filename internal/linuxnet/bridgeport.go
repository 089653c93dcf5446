package linuxnet

import (
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// BridgePort is how a bridge treats one of its ports.
type BridgePort struct {
	Learning bool // learn source addresses
	Flood    bool // send it unicast frames whose target is not known
	Isolated bool // no frames from and to other isolated ports
}

// AttachToBridge makes a device a port of a bridge, treated as given.
func (h *Handle) AttachToBridge(name, bridge string, p BridgePort) error {
	br, err := h.Link(bridge)
	if err != nil {
		return err
	}
	return h.with("attach to bridge "+bridge, name, func(l netlink.Link) error {
		if l.Attrs().MasterIndex != br.Index {
			if err := h.nl.LinkSetMasterByIndex(l, br.Index); err != nil {
				return err
			}
		}
		if err := h.nl.LinkSetLearning(l, p.Learning); err != nil {
			return err
		}
		if err := h.nl.LinkSetFlood(l, p.Flood); err != nil {
			return err
		}
		return h.nl.LinkSetIsolated(l, p.Isolated)
	})
}

// BridgePort reads how the bridge treats a port.
func (h *Handle) BridgePort(name string) (p BridgePort, err error) {
	err = h.with("read bridge port", name, func(l netlink.Link) error {
		info, err := h.nl.LinkGetProtinfo(l)
		p = BridgePort{Learning: info.Learning, Flood: info.Flood, Isolated: info.Isolated}
		return err
	})
	return p, err
}

// SetFDB writes the static forwarding entry "this address is behind that bridge port".
func (h *Handle) SetFDB(port string, mac net.HardwareAddr) error {
	return h.with("set forwarding entry "+mac.String()+" on", port, func(l netlink.Link) error {
		return h.nl.NeighSet(fdbEntry(l, mac))
	})
}

// DeleteFDB removes such an entry; one that is gone is no error.
func (h *Handle) DeleteFDB(port string, mac net.HardwareAddr) error {
	l, err := h.nl.LinkByName(port)
	if err == nil {
		err = h.nl.NeighDel(fdbEntry(l, mac))
	}
	if isGone(err) {
		return nil
	}
	return fail("delete forwarding entry "+mac.String()+" on", port, err)
}

// fdbEntry: NOARP is what iproute2 calls "static"; PERMANENT would make the address the bridge's own.
func fdbEntry(l netlink.Link, mac net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{
		LinkIndex: l.Attrs().Index, Family: unix.AF_BRIDGE, State: netlink.NUD_NOARP,
		Flags: netlink.NTF_MASTER, HardwareAddr: mac,
	}
}

// FDBEntry is one forwarding entry of a bridge.
type FDBEntry struct {
	Port   int // link index
	MAC    net.HardwareAddr
	Static bool // neither learned nor the bridge's own
}

// FDB lists the forwarding entries of all bridges, the bridges' own addresses left out, and so what is kept for VLANs: a
// kernel that can filter by VLAN repeats each entry for the VLAN that every port begins with.
func (h *Handle) FDB() ([]FDBEntry, error) {
	var out []FDBEntry
	err := retryDump(func() error {
		ns, err := h.nl.NeighList(0, unix.AF_BRIDGE)
		out = out[:0]
		for _, n := range ns {
			if n.State&netlink.NUD_PERMANENT == 0 && n.MasterIndex != 0 && n.Vlan == 0 {
				out = append(out, FDBEntry{Port: n.LinkIndex, MAC: n.HardwareAddr, Static: n.State&netlink.NUD_NOARP != 0})
			}
		}
		return err
	})
	return out, fail("list forwarding entries in", ownOr(h.nsPath), err)
}
