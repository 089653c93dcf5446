package noop

import (
	"context"
	"net"

	"colonnade/internal/lb"
)

// DialContext reaches nobody: no-op agents are called without a network.
func (d *Driver) DialContext(_ context.Context, _, addr string) (net.Conn, error) {
	return nil, lb.Faultf(lb.KindUnavailable, "nothing listens at %s: the network is a no-op", addr)
}

// ListenHeartbeats opens a socket on the loopback interface, where the no-op compute driver sends them.
func (d *Driver) ListenHeartbeats(ctx context.Context) (net.PacketConn, string, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, "udp4", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	return pc, pc.LocalAddr().String(), nil
}
