package network

import (
	"fmt"
	"net/netip"
	"strings"
)

// Range is a range of addresses, both ends inclusive.
type Range struct{ First, Last netip.Addr }

// ParseRange reads "198.18.10.192/27", "198.18.10.200-198.18.10.220" or a single address. Only IPv4 addresses have ranges.
func ParseRange(s string) (Range, error) {
	var r Range
	var err error
	switch first, last, isRange := strings.Cut(s, "-"); {
	case isRange:
		if r.First, err = netip.ParseAddr(first); err == nil {
			r.Last, err = netip.ParseAddr(last)
		}
	case strings.Contains(s, "/"):
		var p netip.Prefix
		if p, err = netip.ParsePrefix(s); err == nil && p.Addr().Is4() {
			r = Range{p.Masked().Addr(), LastOf(p)}
		}
	default:
		r.First, err = netip.ParseAddr(s)
		r.Last = r.First
	}
	if err != nil || !r.First.Is4() || !r.Last.Is4() || r.Last.Less(r.First) {
		return Range{}, fmt.Errorf("%q is no range of IPv4 addresses: give one as 198.18.10.192/27 or 198.18.10.200-198.18.10.220", s)
	}
	return r, nil
}

// Contains reports whether the address is in the range.
func (r Range) Contains(a netip.Addr) bool { return !a.Less(r.First) && !r.Last.Less(a) }

// Within cuts the range to what the other one has of it; ok is false when that is nothing.
func (r Range) Within(other Range) (cut Range, ok bool) {
	if r.First.Less(other.First) {
		r.First = other.First
	}
	if other.Last.Less(r.Last) {
		r.Last = other.Last
	}
	return r, !r.Last.Less(r.First)
}

// String is the range as ParseRange reads it.
func (r Range) String() string { return r.First.String() + "-" + r.Last.String() }

// LastOf is the last address of an IPv4 prefix.
func LastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// Hosts are the addresses of an IPv4 prefix that machines may have.
func Hosts(p netip.Prefix) Range { return Range{p.Masked().Addr().Next(), LastOf(p).Prev()} }
