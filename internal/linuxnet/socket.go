package linuxnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/packet"
)

// DialContext dials from inside the namespace at nsPath. The address has to be a literal: looking names up would leave
// the namespace. The connection works from any thread.
func DialContext(ctx context.Context, nsPath, network, addr string) (conn net.Conn, err error) {
	if err := literal(addr); err != nil {
		return nil, err
	}
	err = In(nsPath, func() error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// Listen listens inside the namespace at nsPath.
func Listen(ctx context.Context, nsPath, network, addr string) (ln net.Listener, err error) {
	if err := literal(addr); err != nil {
		return nil, err
	}
	err = In(nsPath, func() error {
		var lc net.ListenConfig
		ln, err = lc.Listen(ctx, network, addr)
		return err
	})
	return ln, err
}

// ListenPacket opens a datagram socket inside the namespace at nsPath.
func ListenPacket(ctx context.Context, nsPath, network, addr string) (pc net.PacketConn, err error) {
	if err := literal(addr); err != nil {
		return nil, err
	}
	err = In(nsPath, func() error {
		var lc net.ListenConfig
		pc, err = lc.ListenPacket(ctx, network, addr)
		return err
	})
	return pc, err
}

// OpenPacket opens an AF_PACKET socket for whole Ethernet frames of one type (0x0003: all) on a device inside the
// namespace at nsPath. It is used from anywhere and closed by the caller.
func OpenPacket(nsPath, device string, etherType uint16) (pc *packet.Conn, err error) {
	err = In(nsPath, func() error {
		ifi, err := net.InterfaceByName(device)
		if err != nil {
			return fail("open packet socket on", device, fmt.Errorf("%w: %w", ErrNotFound, err))
		}
		pc, err = packet.Listen(ifi, packet.Raw, int(etherType), nil)
		return fail("open packet socket on", device, err)
	})
	return pc, err
}

// SendFrame sends one whole Ethernet frame out of a device in the namespace at nsPath.
func SendFrame(nsPath, device string, frame []byte) error {
	pc, err := OpenPacket(nsPath, device, etherTypeARP)
	if err != nil {
		return err
	}
	defer func() { _ = pc.Close() }()
	if len(frame) < 14 {
		return fail("send frame on", device, fmt.Errorf("%d bytes are no frame", len(frame)))
	}
	_, err = pc.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])})
	return fail("send frame on", device, err)
}

const etherTypeARP = 0x0806

// GratuitousARP tells everyone on the device's segment that addr is at mac now.
func GratuitousARP(nsPath, device string, addr netip.Addr, mac net.HardwareAddr) error {
	if !addr.Is4() || len(mac) != 6 {
		return fail("announce", addr.String(), fmt.Errorf("needs an IPv4 and an Ethernet address"))
	}
	ip := addr.As4()
	f := make([]byte, 0, 60)
	f = append(f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	f = append(f, mac...)
	f = append(f, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1) // Ethernet, IPv4, request
	f = append(f, mac...)
	f = append(f, ip[:]...)
	f = append(f, 0, 0, 0, 0, 0, 0)
	f = append(f, ip[:]...)
	return SendFrame(nsPath, device, f[:60])
}

// literal refuses host names. An empty host (":0") is every address of the namespace.
func literal(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fail("dial or listen", addr, err)
	}
	if host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fail("dial or listen", addr, fmt.Errorf("not a literal address: %w", err))
	}
	return nil
}
