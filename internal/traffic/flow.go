package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Dial opens a TCP connection to addr from a source address of the client's.
type Dial func(ctx context.Context, source netip.Addr, addr string) (net.Conn, error)

// Flow is one long connection through the load balancer to an echo member. It sends a numbered line each interval and
// checks that exactly this line comes back: a break, a loss or a mix-up of connections shows.
type Flow struct {
	Source netip.Addr
	Local  netip.AddrPort
	// Via is the address from which the member saw the connection come: an amphora's.
	Via netip.Addr

	conn     net.Conn
	r        *bufio.Reader
	interval time.Duration
	echoed   int
}

// flowTimeout bounds how long one line may take. It is far longer than any switch, so that a flow whose packets are
// lost and sent again counts as alive, and one that hangs for good as hung.
const flowTimeout = 10 * time.Second

// keepAlive lets a flow ask when it has nothing to send: whose line was acknowledged by a kernel that was cut off before its
// process had read it waits for an echo that will never come, and sends nothing again that could be reset.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 30}

// OpenFlow connects and learns which amphora the connection goes through.
func OpenFlow(ctx context.Context, dial Dial, source netip.Addr, addr string, interval time.Duration) (*Flow, error) {
	conn, err := dial(ctx, source, addr)
	if err != nil {
		return nil, fmt.Errorf("open flow from %s: %w", source, err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.SetKeepAliveConfig(keepAlive)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open flow from %s: %w", source, err), conn.Close())
	}
	f := &Flow{Source: source, conn: conn, r: bufio.NewReader(conn), interval: interval}
	if f.Local, err = netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
		var via string
		if via, err = f.exchange("hello"); err == nil {
			var peer netip.AddrPort
			if peer, err = netip.ParseAddrPort(via); err == nil {
				f.Via = peer.Addr()
			}
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("open flow from %s: %w", source, err)
	}
	return f, nil
}

func (f *Flow) exchange(line string) (string, error) {
	if err := f.conn.SetDeadline(time.Now().Add(flowTimeout)); err != nil {
		return "", err
	}
	if _, err := f.conn.Write([]byte(line + "\n")); err != nil {
		return "", err
	}
	answer, err := f.r.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// Reasons why a flow ended.
const (
	FlowAlive   = "alive"    // it was still good when it was stopped
	FlowReset   = "reset"    // the connection was reset
	FlowClosed  = "closed"   // the other side closed it in order
	FlowHung    = "hung"     // nothing came back within the timeout
	FlowMixedUp = "mixed up" // another line than the one sent came back
)

// FlowEnd is how a flow ended.
type FlowEnd struct {
	Flow   *Flow
	Reason string
	At     time.Time // when it was noticed; zero when alive
	// Waited is how long the last, unanswered line had been out.
	Waited time.Duration
	Echoed int
}

// Run keeps the flow busy until ctx ends or it breaks, and closes it.
func (f *Flow) Run(ctx context.Context) FlowEnd {
	defer func() { _ = f.conn.Close() }()
	ticker := time.NewTicker(f.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return FlowEnd{Flow: f, Reason: FlowAlive, Echoed: f.echoed}
		case <-ticker.C:
		}
		want := strconv.Itoa(f.echoed)
		sent := time.Now()
		got, err := f.exchange(want)
		if err != nil || got != want {
			return FlowEnd{Flow: f, Reason: endReason(err), At: time.Now(), Waited: time.Since(sent), Echoed: f.echoed}
		}
		f.echoed++
	}
}

func endReason(err error) string {
	switch {
	case err == nil:
		return FlowMixedUp
	case errors.Is(err, os.ErrDeadlineExceeded):
		return FlowHung
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return FlowReset
	default:
		return FlowClosed
	}
}
