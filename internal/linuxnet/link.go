package linuxnet

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Handle speaks rtnetlink with one network namespace. Whoever opens it closes it.
type Handle struct {
	nsPath string
	nl     *netlink.Handle
}

// Open opens a handle on the namespace at nsPath; "" is the caller's own.
func Open(nsPath string) (*Handle, error) {
	h := &Handle{nsPath: nsPath}
	err := In(nsPath, func() error {
		nlh, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return fail("open netlink in", ownOr(nsPath), err)
		}
		h.nl = nlh
		return nil
	})
	if err != nil {
		return nil, err
	}
	// No kernel call may hang a role. Deleting a hundred devices at once holds others up for seconds.
	if err := h.nl.SetSocketTimeout(10 * time.Second); err != nil {
		h.nl.Close()
		return nil, fail("open netlink in", ownOr(nsPath), err)
	}
	return h, nil
}

// Close releases the socket.
func (h *Handle) Close() { h.nl.Close() }

// NamespacePath is the path the handle was opened with.
func (h *Handle) NamespacePath() string { return h.nsPath }

// Link is a network device as it is.
type Link struct {
	Index     int
	Name      string
	Kind      string // "veth", "bridge", …
	MAC       net.HardwareAddr
	MTU       int
	Master    int // index of the bridge it is a port of, 0 for none
	PeerIndex int // of a veth: the peer's index in the peer's namespace
	Up        bool
	Alias     string
}

func toLink(l netlink.Link) Link {
	a := l.Attrs()
	return Link{
		Index: a.Index, Name: a.Name, Kind: l.Type(), MAC: a.HardwareAddr, MTU: a.MTU, Master: a.MasterIndex,
		PeerIndex: a.ParentIndex, Up: a.Flags&net.FlagUp != 0, Alias: a.Alias,
	}
}

// Links lists all devices.
func (h *Handle) Links() ([]Link, error) {
	var out []Link
	err := retryDump(func() error {
		links, err := h.nl.LinkList()
		out = out[:0]
		for _, l := range links {
			out = append(out, toLink(l))
		}
		return err
	})
	return out, fail("list links", ownOr(h.nsPath), err)
}

// Link looks a device up by name; errors.Is(err, ErrNotFound) when there is none.
func (h *Handle) Link(name string) (Link, error) {
	l, err := h.nl.LinkByName(name)
	if err != nil {
		return Link{}, fail("find link", name, err)
	}
	return toLink(l), nil
}

// LinkByMAC finds the device with this address; errors.Is(err, ErrNotFound) when there is none.
func (h *Handle) LinkByMAC(mac net.HardwareAddr) (Link, error) {
	links, err := h.Links()
	if err != nil {
		return Link{}, err
	}
	for _, l := range links {
		if bytes.Equal(l.MAC, mac) {
			return l, nil
		}
	}
	return Link{}, fail("find link with address", mac.String(), ErrNotFound)
}

// VethEnd describes one end of a pair to be made.
type VethEnd struct {
	Name string
	MAC  net.HardwareAddr // nil: the kernel's choice
	MTU  int              // 0: the kernel's choice
}

// AddVeth makes a pair, each end in the namespace it belongs to from birth: local in the handle's, peer in the one at
// peerNS ("" is the handle's own too). Both are down. errors.Is(err, ErrExists) when either name is taken.
func (h *Handle) AddVeth(local VethEnd, peer VethEnd, peerNS string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.MTU = local.Name, local.MAC, local.MTU
	v := netlink.NewVeth(attrs)
	v.PeerName, v.PeerHardwareAddr, v.PeerMTU = peer.Name, peer.MAC, uint32(peer.MTU)
	if peerNS != "" {
		ns, err := netns.GetFromPath(peerNS)
		if err != nil {
			return namespaceError(peerNS, err)
		}
		defer func() { _ = ns.Close() }()
		v.PeerNamespace = netlink.NsFd(ns)
	}
	return fail("add veth", local.Name+"<->"+peer.Name, h.nl.LinkAdd(v))
}

// EnsureBridge makes a bridge exist and be up: no spanning tree, no multicast snooping, the given address.
func (h *Handle) EnsureBridge(name string, mac net.HardwareAddr, mtu int) error {
	l, err := h.Link(name)
	switch {
	case errors.Is(err, ErrNotFound):
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr, attrs.MTU = name, mac, mtu
		snooping := false
		if err := h.nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}); err != nil {
			return fail("add bridge", name, err)
		}
	case err != nil:
		return err
	case l.Kind != "bridge":
		return fail("add bridge", name, fmt.Errorf("there is a %s of this name", l.Kind))
	case mtu != 0 && l.MTU != mtu:
		if err := h.SetMTU(name, mtu); err != nil {
			return err
		}
	}
	return h.SetUp(name)
}

// DeleteLink removes a device (both ends of a veth); one that is gone is no error.
func (h *Handle) DeleteLink(name string) error {
	l, err := h.nl.LinkByName(name)
	if err == nil {
		err = h.nl.LinkDel(l)
	}
	if isGone(err) {
		return nil
	}
	return fail("delete link", name, err)
}

// with runs do on the named device.
func (h *Handle) with(op, name string, do func(netlink.Link) error) error {
	l, err := h.nl.LinkByName(name)
	if err == nil {
		err = do(l)
	}
	return fail(op, name, err)
}

// SetUp brings a device up.
func (h *Handle) SetUp(name string) error { return h.with("set up", name, h.nl.LinkSetUp) }

// SetDown takes a device down.
func (h *Handle) SetDown(name string) error { return h.with("set down", name, h.nl.LinkSetDown) }

// AwaitCarrier waits until an upped device has its carrier and so sends: the kernel sees to that some time after both ends
// are up, and until then drops frames silently. It says whether that came within limit.
func (h *Handle) AwaitCarrier(name string, limit time.Duration) (bool, error) {
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		l, err := h.nl.LinkByName(name)
		if err != nil {
			return false, fail("await carrier of", name, err)
		}
		if l.Attrs().OperState == netlink.OperUp {
			return true, nil
		}
		if time.Now().After(end) {
			return false, nil
		}
	}
}

// SetMTU changes the MTU.
func (h *Handle) SetMTU(name string, mtu int) error {
	return h.with("set mtu of", name, func(l netlink.Link) error { return h.nl.LinkSetMTU(l, mtu) })
}

// SetMAC changes the address.
func (h *Handle) SetMAC(name string, mac net.HardwareAddr) error {
	return h.with("set address of", name, func(l netlink.Link) error { return h.nl.LinkSetHardwareAddr(l, mac) })
}

// SetAlias writes a device's description.
func (h *Handle) SetAlias(name, alias string) error {
	return h.with("set alias of", name, func(l netlink.Link) error { return h.nl.LinkSetAlias(l, alias) })
}

// Rename renames a device, which has to be down.
func (h *Handle) Rename(name, to string) error {
	return h.with("rename", name, func(l netlink.Link) error { return h.nl.LinkSetName(l, to) })
}

// MoveTo moves a device into the namespace at nsPath; it arrives down and without addresses.
func (h *Handle) MoveTo(name, nsPath string) error {
	ns, err := netns.GetFromPath(nsPath)
	if err != nil {
		return namespaceError(nsPath, err)
	}
	defer func() { _ = ns.Close() }()
	return h.with("move", name, func(l netlink.Link) error { return h.nl.LinkSetNsFd(l, int(ns)) })
}

// retryDump repeats a dump that the kernel says was interrupted by a change.
func retryDump(dump func() error) error {
	var err error
	for range 5 {
		if err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return err
		}
	}
	return err
}
