package traffic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"colonnade/internal/linuxnet"
)

// FrameKey is what a frame is counted by.
type FrameKey struct {
	Device    string
	Out       bool // leaving by the device, seen from the namespace captured in
	Source    string
	Target    string
	EtherType uint16
	// SourceIP and TargetIP are those of an IPv4 packet, or the sender's and target's addresses of an ARP message.
	SourceIP, TargetIP netip.Addr
}

// Capture counts every frame on every device of one namespace until Stop.
type Capture struct {
	file    *os.File
	devices map[int]string

	mu     sync.Mutex
	counts map[FrameKey]int
	err    error
	done   chan struct{}
}

// captureBuffer holds frames that wait for being counted; bytes.
const captureBuffer = 64 << 20

// snapLength is how much of a frame is read: Ethernet, and IPv4 or ARP.
const snapLength = 64

// StartCapture opens a packet socket for all devices of the namespace at nsPath.
func StartCapture(nsPath string) (*Capture, error) {
	c := &Capture{counts: map[FrameKey]int{}, devices: map[int]string{}, done: make(chan struct{})}
	err := linuxnet.In(nsPath, func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(htons(unix.ETH_P_ALL)))
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		c.file = os.NewFile(uintptr(fd), "capture")
		links, err := net.Interfaces()
		for _, l := range links {
			c.devices[l.Index] = l.Name
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("capture in %s: %w", nsPath, err)
	}
	go c.run(nsPath)
	return c, nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

func (c *Capture) run(nsPath string) {
	defer close(c.done)
	raw, err := c.file.SyscallConn()
	if err != nil {
		c.err = err
		return
	}
	frame := make([]byte, snapLength)
	receive := func(fd uintptr) (again bool) {
		n, from, err := unix.Recvfrom(int(fd), frame, unix.MSG_TRUNC)
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && err == nil {
			c.count(nsPath, ll, frame[:min(n, snapLength)])
		}
		return !errors.Is(err, unix.EAGAIN)
	}
	for {
		if err := raw.Read(receive); err != nil {
			break // Stop set a deadline in the past
		}
	}
	// What the kernel has queued already is counted too.
	c.err = raw.Control(func(fd uintptr) {
		for receive(fd) {
		}
	})
}

func (c *Capture) count(nsPath string, ll *unix.SockaddrLinklayer, frame []byte) {
	if len(frame) < 14 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	device, known := c.devices[ll.Ifindex]
	if !known { // made after the capture began
		_ = linuxnet.In(nsPath, func() error {
			if l, err := net.InterfaceByIndex(ll.Ifindex); err == nil {
				device = l.Name
			}
			return nil
		})
		c.devices[ll.Ifindex] = device
	}
	k := FrameKey{
		Device: device, Out: ll.Pkttype == unix.PACKET_OUTGOING,
		Target: net.HardwareAddr(frame[:6]).String(), Source: net.HardwareAddr(frame[6:12]).String(),
		EtherType: binary.BigEndian.Uint16(frame[12:14]),
	}
	switch {
	case k.EtherType == unix.ETH_P_IP && len(frame) >= 34:
		k.SourceIP, k.TargetIP = netip.AddrFrom4([4]byte(frame[26:30])), netip.AddrFrom4([4]byte(frame[30:34]))
	case k.EtherType == unix.ETH_P_ARP && len(frame) >= 42:
		k.SourceIP, k.TargetIP = netip.AddrFrom4([4]byte(frame[28:32])), netip.AddrFrom4([4]byte(frame[38:42]))
	}
	c.counts[k]++
}

// Stop ends the capture and returns the counts. It is an error when the kernel dropped frames before they were counted:
// then the counts prove nothing.
func (c *Capture) Stop() (map[FrameKey]int, error) {
	if err := c.file.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, fmt.Errorf("stop capture: %w", err)
	}
	<-c.done
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("stop capture: %w", err)
	}
	var dropped uint32
	ctlErr := raw.Control(func(fd uintptr) {
		var st *unix.TpacketStats
		if st, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			dropped = st.Drops
		}
	})
	closeErr := c.file.Close()
	if err := errors.Join(err, ctlErr, closeErr, c.err); err != nil {
		return nil, fmt.Errorf("stop capture: %w", err)
	}
	if dropped > 0 {
		return nil, fmt.Errorf("stop capture: %d frames were not counted", dropped)
	}
	return c.counts, nil
}
