package linuxnet

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// TCPState is a state of a TCP socket, in the kernel's numbers.
type TCPState uint8

// States of TCP sockets.
const (
	TCPEstablished TCPState = 1
	TCPSynSent     TCPState = 2
	TCPSynRecv     TCPState = 3
	TCPFinWait1    TCPState = 4
	TCPFinWait2    TCPState = 5
	TCPTimeWait    TCPState = 6
	TCPCloseWait   TCPState = 8
	TCPLastAck     TCPState = 9
	TCPListen      TCPState = 10
	TCPClosing     TCPState = 11
)

// TCPSocket is one socket.
type TCPSocket struct {
	Local, Remote netip.AddrPort
	State         TCPState
}

const (
	sockDiagByFamily = 20
	diagRequestLen   = 56 // struct inet_diag_req_v2
	diagMessageLen   = 72 // struct inet_diag_msg
)

// TCPSockets lists the TCP sockets of both families in the namespace at nsPath that are in one of the states and, when
// local is valid, have that local address (the VIP). IPv4 on IPv6 sockets is unmapped.
func TCPSockets(nsPath string, local netip.Addr, states ...TCPState) (out []TCPSocket, err error) {
	var mask uint32
	for _, s := range states {
		mask |= 1 << s
	}
	err = In(nsPath, func() error {
		for _, fam := range []uint8{unix.AF_INET, unix.AF_INET6} {
			err := retryDump(func() error {
				socks, err := dumpTCP(fam, mask)
				if err != nil {
					return err
				}
				for _, s := range socks {
					if !local.IsValid() || s.Local.Addr() == local.Unmap() {
						out = append(out, s)
					}
				}
				return nil
			})
			if err != nil {
				return fail("list tcp sockets in", ownOr(nsPath), err)
			}
		}
		return nil
	})
	return out, err
}

// dumpTCP asks sock_diag directly: the library always dumps every state, LISTEN and TIME-WAIT included.
func dumpTCP(fam uint8, states uint32) ([]TCPSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return nil, err
	}
	req := make([]byte, unix.NLMSG_HDRLEN+diagRequestLen)
	ne := binary.NativeEndian
	ne.PutUint32(req[0:], uint32(len(req)))
	ne.PutUint16(req[4:], sockDiagByFamily)
	ne.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	req[16], req[17] = fam, unix.IPPROTO_TCP
	ne.PutUint32(req[20:], states)
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var out []TCPSocket
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		for b := buf[:n]; len(b) >= unix.NLMSG_HDRLEN; {
			size := int(ne.Uint32(b))
			if size < unix.NLMSG_HDRLEN || size > len(b) {
				return nil, fmt.Errorf("netlink message of %d bytes in %d", size, len(b))
			}
			switch ne.Uint16(b[4:]) {
			case unix.NLMSG_DONE:
				return out, nil
			case unix.NLMSG_ERROR:
				if size < unix.NLMSG_HDRLEN+4 {
					return nil, fmt.Errorf("short netlink error")
				}
				if errno := int32(ne.Uint32(b[unix.NLMSG_HDRLEN:])); errno != 0 {
					return nil, unix.Errno(-errno)
				}
			case sockDiagByFamily:
				if size >= unix.NLMSG_HDRLEN+diagMessageLen {
					out = append(out, parseDiag(b[unix.NLMSG_HDRLEN:]))
				}
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

// parseDiag reads struct inet_diag_msg: family, state, timer, retrans, sport, dport, src[16], dst[16], …
func parseDiag(m []byte) TCPSocket {
	addr := func(b []byte) netip.Addr {
		if m[0] == unix.AF_INET {
			return netip.AddrFrom4([4]byte(b[:4]))
		}
		return netip.AddrFrom16([16]byte(b[:16])).Unmap()
	}
	return TCPSocket{
		State:  TCPState(m[1]),
		Local:  netip.AddrPortFrom(addr(m[8:]), binary.BigEndian.Uint16(m[4:])),
		Remote: netip.AddrPortFrom(addr(m[24:]), binary.BigEndian.Uint16(m[6:])),
	}
}
