package linuxnet

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Tracked is a connection as a namespace's connection tracking knows it. Where an address was translated, the way back is
// not the way there turned round.
type Tracked struct {
	Source, Destination           netip.Addr // as its first packet had them
	ReplySource, ReplyDestination netip.Addr // as answers have them
}

// ForgetTracked removes the IPv4 connections that f picks from the connection tracking of the namespace at nsPath; their
// next packets are new ones. It returns how many these were.
func ForgetTracked(nsPath string, f func(Tracked) bool) (n int, err error) {
	err = In(nsPath, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
		if err != nil {
			return fail("open netfilter's netlink in", ownOr(nsPath), err)
		}
		defer h.Close()
		removed, err := h.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, picker(f))
		n = int(removed)
		return fail("forget connections in", ownOr(nsPath), err)
	})
	return n, err
}

type picker func(Tracked) bool

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (p picker) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	addr := func(ip []byte) netip.Addr {
		a, _ := netip.AddrFromSlice(ip)
		return a.Unmap()
	}
	return p(Tracked{
		Source: addr(flow.Forward.SrcIP), Destination: addr(flow.Forward.DstIP),
		ReplySource: addr(flow.Reverse.SrcIP), ReplyDestination: addr(flow.Reverse.DstIP),
	})
}
