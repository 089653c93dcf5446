package linuxnet

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Where a device's ingress program sits among its filters: the first, and always the same one.
const (
	ingressPriority = 1
	ingressHandle   = 0xc01
)

// IngressProgram is the BPF program that a device has as its direct-action filter at clsact ingress.
type IngressProgram struct {
	Name      string // given by who attached it
	ProgramID uint32
}

// HasClsact reports whether the device has a clsact qdisc.
func (h *Handle) HasClsact(ifindex int) (bool, error) {
	found := false
	err := retryDump(func() error {
		qs, err := h.nl.QdiscList(byIndex(ifindex))
		found = false
		for _, q := range qs {
			found = found || q.Type() == "clsact"
		}
		return err
	})
	return found, fail("list qdiscs of", device(ifindex), err)
}

// EnsureClsact gives the device a clsact qdisc, under which filters hang. errors.Is(err, ErrNotFound) when there is no
// such device or the kernel has no sch_ingress.
func (h *Handle) EnsureClsact(ifindex int) error {
	if found, err := h.HasClsact(ifindex); found || err != nil {
		return err
	}
	return fail("add clsact qdisc to", device(ifindex), h.nl.QdiscAdd(clsact(ifindex)))
}

// DeleteUnusedClsact takes the clsact qdisc away unless a filter hangs under it; one that is gone is no error.
func (h *Handle) DeleteUnusedClsact(ifindex int) error {
	found, err := h.HasClsact(ifindex)
	if err != nil || !found {
		return err
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if fs, err := h.filters(ifindex, parent); err != nil || len(fs) > 0 {
			return err
		}
	}
	if err := h.nl.QdiscDel(clsact(ifindex)); !isGone(err) {
		return fail("delete clsact qdisc of", device(ifindex), err)
	}
	return nil
}

// SetIngressProgram puts the program open at fd at the ingress of a device with a clsact qdisc, in one step in place of
// the one there: every packet sees one of the two. The filter holds the program; fd may be closed. errors.Is(err,
// ErrNotFound) when there is no such device or the kernel has no cls_bpf.
func (h *Handle) SetIngressProgram(ifindex, fd int, name string) error {
	f := ingressFilter(ifindex)
	f.Fd, f.Name = fd, name
	return fail("set ingress program of", device(ifindex), h.nl.FilterReplace(f))
}

// IngressProgram says what SetIngressProgram put there; errors.Is(err, ErrNotFound) when nothing is.
func (h *Handle) IngressProgram(ifindex int) (IngressProgram, error) {
	fs, err := h.filters(ifindex, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return IngressProgram{}, err
	}
	for _, f := range fs {
		b, ok := f.(*netlink.BpfFilter)
		if ok && b.Priority == ingressPriority && b.Handle == ingressHandle {
			return IngressProgram{Name: b.Name, ProgramID: uint32(b.Id)}, nil
		}
	}
	return IngressProgram{}, fail("find ingress program of", device(ifindex), ErrNotFound)
}

// DeleteIngressProgram takes away what SetIngressProgram put there; that it is gone is no error.
func (h *Handle) DeleteIngressProgram(ifindex int) error {
	// Asked first, because the kernel says in many ways that a filter, its qdisc or its device is not there.
	if _, err := h.IngressProgram(ifindex); err != nil {
		if isGone(err) {
			return nil
		}
		return err
	}
	if err := h.nl.FilterDel(ingressFilter(ifindex)); !isGone(err) {
		return fail("delete ingress program of", device(ifindex), err)
	}
	return nil
}

// filters lists the filters of one side of clsact; without the qdisc or the device there are none.
func (h *Handle) filters(ifindex int, parent uint32) (out []netlink.Filter, err error) {
	err = retryDump(func() error {
		out, err = h.nl.FilterList(byIndex(ifindex), parent)
		return err
	})
	if isGone(err) {
		return nil, nil
	}
	return out, fail("list filters of", device(ifindex), err)
}

func ingressFilter(ifindex int) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: ifindex, Parent: netlink.HANDLE_MIN_INGRESS, Handle: ingressHandle, Priority: ingressPriority,
			Protocol: unix.ETH_P_ALL,
		},
		Fd: -1, DirectAction: true,
	}
}

func clsact(ifindex int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

func byIndex(ifindex int) netlink.Link {
	attrs := netlink.NewLinkAttrs()
	attrs.Index = ifindex
	return &netlink.Device{LinkAttrs: attrs}
}

func device(ifindex int) string { return fmt.Sprint("device ", ifindex) }
