package agent

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/linuxnet"
)

const firewallTimeout = 5 * time.Second

// renderFirewall writes the whole rule set of the tenant namespace, replacing the former in one transaction. It does what
// security groups cannot, because flows are seen one way only. It keeps no state: a connection may have
// begun at another amphora, and a table of connections could be filled by strangers. What comes back from members is
// told from what they would begin by its flags.
func renderFirewall(d amphora.Desired) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("add table inet colonnade")
	line("delete table inet colonnade")
	line("table inet colonnade {")
	line("  chain input {")
	line("    type filter hook input priority filter; policy drop;")
	line("    iifname \"lo\" accept")
	line("    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept")
	line("    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept")
	line("    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept")
	front := portName(d.FrontEnd, true)
	for _, v := range d.VIPs {
		vip := netip.MustParseAddr(v.Address)
		fam := family(vip)
		for _, l := range d.Listeners {
			rule := fmt.Sprintf("    iifname %q %s daddr %s tcp dport %d", front, fam, vip, l.Port)
			if len(l.AllowedCIDRs) > 0 {
				allowed := ranges(l.AllowedCIDRs, vip)
				if len(allowed) == 0 {
					continue
				}
				rule += fmt.Sprintf(" %s saddr { %s }", fam, strings.Join(allowed, ", "))
			}
			line("%s accept", rule)
		}
		line("    %s daddr %s drop", fam, vip)
	}
	for _, p := range append([]amphora.Port{d.FrontEnd}, d.BackEnds...) {
		own := netip.MustParseAddr(p.Address)
		fam, echo := family(own), "icmp type echo-request"
		if own.Is6() {
			echo = "icmpv6 type echo-request"
		}
		line("    %s daddr %s %s accept", fam, own, echo)
		line("    %s daddr %s tcp flags & (syn | ack) != syn accept", fam, own)
	}
	line("  }")
	// A SYN that comes while HAProxy is dead or about to listen again is the only packet that the kernel answers by a reset of
	// sequence 0 with an ACK. Nobody is told so: the client asks again after a second, and is served by the standby that was
	// swapped in by then, or by HAProxy once it is back. What HAProxy itself resets has a sequence of its own.
	line("  chain output {")
	line("    type filter hook output priority filter; policy accept;")
	for _, v := range d.VIPs {
		vip := netip.MustParseAddr(v.Address)
		line("    %s saddr %s tcp flags & (rst | ack) == (rst | ack) tcp sequence 0 drop", family(vip), vip)
	}
	line("  }")
	line("  chain forward {")
	line("    type filter hook forward priority filter; policy drop;")
	line("  }")
	line("}")
	return b.String()
}

// ranges are the CIDRs of the address's family; those inside another are left out, because a set refuses overlaps.
func ranges(cidrs []string, of netip.Addr) []string {
	var all []netip.Prefix
	for _, c := range cidrs {
		if p := netip.MustParsePrefix(c).Masked(); p.Addr().Is4() == of.Is4() {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		if a.Bits() != b.Bits() {
			return a.Bits() - b.Bits()
		}
		return a.Addr().Compare(b.Addr())
	})
	var kept []netip.Prefix
	for _, p := range all {
		if !slices.ContainsFunc(kept, func(k netip.Prefix) bool { return k.Contains(p.Addr()) }) {
			kept = append(kept, p)
		}
	}
	var out []string
	for _, p := range kept {
		out = append(out, p.String())
	}
	return out
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "ip"
	}
	return "ip6"
}

// setFirewall loads a rule set in the namespace.
func setFirewall(ctx context.Context, nsPath, rules string) error {
	ctx, cancel := context.WithTimeout(ctx, firewallTimeout)
	defer cancel()
	return linuxnet.In(nsPath, func() error {
		cmd := exec.CommandContext(ctx, "nft", "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("load firewall: %w: %s", err, out)
		}
		return nil
	})
}
