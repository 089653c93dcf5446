package bpftest

import (
	"encoding/binary"
	"net/netip"
)

// Protocol numbers and ethertypes.
const (
	ICMP = 1
	TCP  = 6
	UDP  = 17

	TypeIPv4 = 0x0800
	TypeARP  = 0x0806
)

// TCP flags.
const (
	FIN = 1
	SYN = 2
	RST = 4
	ACK = 16
)

// Ethernet puts a header before payload.
func Ethernet(dst, src [6]byte, etherType uint16, payload []byte) []byte {
	b := append(append(append([]byte{}, dst[:]...), src[:]...), byte(etherType>>8), byte(etherType))
	return append(b, payload...)
}

// IPv4 is a header; zero TTL means 64.
type IPv4 struct {
	Src, Dst string
	Protocol byte
	TTL      byte
	Fragment uint16 // flags and offset as on the wire: 0x2000 more fragments, 0x1fff offset
	Options  []byte // a multiple of four bytes
}

// Bytes is the packet with payload.
func (h IPv4) Bytes(payload []byte) []byte {
	n := 20 + len(h.Options)
	b := make([]byte, n, n+len(payload))
	b[0] = 0x40 | byte(n/4)
	binary.BigEndian.PutUint16(b[2:], uint16(n+len(payload)))
	binary.BigEndian.PutUint16(b[6:], h.Fragment)
	b[8], b[9] = h.TTL, h.Protocol
	if h.TTL == 0 {
		b[8] = 64
	}
	copy(b[12:], addr(h.Src))
	copy(b[16:], addr(h.Dst))
	copy(b[20:], h.Options)
	binary.BigEndian.PutUint16(b[10:], ^fold(sum(0, b)))
	return append(b, payload...)
}

func addr(s string) []byte { a := netip.MustParseAddr(s).As4(); return a[:] }

// Segment is a TCP segment between two addresses, checksum included.
func Segment(src, dst string, sport, dport uint16, flags byte, seq, ack uint32, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	binary.BigEndian.PutUint16(b[0:], sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[8:], ack)
	b[12], b[13] = 5<<4, flags
	binary.BigEndian.PutUint16(b[14:], 64000)
	b = append(b, payload...)
	s := sum(sum(0, addr(src)), addr(dst)) + TCP + uint32(len(b))
	binary.BigEndian.PutUint16(b[16:], ^fold(sum(s, b)))
	return b
}

// Datagram is a UDP datagram without checksum.
func Datagram(sport, dport uint16, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b[0:], sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	return append(b, payload...)
}

// Message is an ICMP message.
func Message(kind, code byte, payload []byte) []byte {
	b := append([]byte{kind, code, 0, 0, 0, 0, 0, 0}, payload...)
	binary.BigEndian.PutUint16(b[2:], ^fold(sum(0, b)))
	return b
}

// HeaderSumOK reports whether the IPv4 header at the start of b has a right checksum.
func HeaderSumOK(b []byte) bool { return fold(sum(0, b[:int(b[0]&15)*4])) == 0xffff }

func sum(s uint32, b []byte) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
