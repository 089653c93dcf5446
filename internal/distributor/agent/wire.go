package agent

import (
	"errors"
	"net"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"colonnade/internal/distributor"
	"colonnade/internal/distributor/probe"
	"colonnade/internal/linuxnet"
)

// Wire carries whole Ethernet frames of the probes' type on one port.
type Wire interface {
	// Receive waits for a frame until deadline; os.ErrDeadlineExceeded then. A frame that is there already is returned
	// even when the deadline has passed: whoever judges silence has heard everything first.
	Receive(buf []byte, deadline time.Time) (int, error)
	Send(frame []byte) error
	// Close ends a waiting Receive.
	Close() error
}

// OpenWire opens the probes' socket on a port, inside its namespace.
func OpenWire(port distributor.PortConfig) (Wire, error) {
	conn, err := linuxnet.OpenPacket(port.NamespacePath, port.Interface, probe.EtherType)
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &packetWire{conn: conn, control: raw.Control}, nil
}

type packetWire struct {
	conn    *packet.Conn
	control func(func(fd uintptr)) error
}

func (w *packetWire) Receive(buf []byte, deadline time.Time) (n int, err error) {
	// The runtime's poller does not read at all past a deadline, so what waits is taken from the socket directly.
	if cErr := w.control(func(fd uintptr) { n, _, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT) }); cErr != nil {
		return 0, cErr
	}
	if err == nil || !errors.Is(err, unix.EAGAIN) {
		return n, err
	}
	if err := w.conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, _, err = w.conn.ReadFrom(buf)
	return n, err
}

func (w *packetWire) Send(frame []byte) error {
	_, err := w.conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])})
	return err
}

func (w *packetWire) Close() error { return w.conn.Close() }
