package heartbeat

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"colonnade/internal/agentconf"
)

// DefaultInterval is how often an agent says that it lives when nothing changes.
const DefaultInterval = time.Second

// minGap bounds how fast kicks can make an agent send.
const minGap = 20 * time.Millisecond

// Sender sends beats to every health role.
type Sender struct {
	Targets  []string // host:port; addresses, not names
	Key      []byte
	Interval time.Duration // DefaultInterval when zero
	Log      *slog.Logger  // may be nil
}

// SenderFor makes the Sender that an agent's configuration describes.
func SenderFor(conf agentconf.Heartbeat, log *slog.Logger) (Sender, error) {
	key, err := hex.DecodeString(conf.Key)
	if err != nil || len(key) == 0 {
		return Sender{}, fmt.Errorf("heartbeat key: not hex digits, or none")
	}
	return Sender{Targets: conf.Targets, Key: key, Interval: time.Duration(conf.IntervalMS) * time.Millisecond, Log: log}, nil
}

// Run sends what now returns, at once, every Interval and whenever kick receives, until ctx ends; it returns nil then.
// Kind, ID, BootID and the status come from now; Seq and SentUnixMS are set here. Datagrams that cannot be sent are
// logged when that begins, and forgotten: the next one says the same.
func (s Sender) Run(ctx context.Context, now func() Beat, kick <-chan struct{}) error {
	targets := make([]*net.UDPAddr, 0, len(s.Targets))
	for _, t := range s.Targets {
		addr, err := net.ResolveUDPAddr("udp", t)
		if err != nil {
			return fmt.Errorf("heartbeat target %q: %w", t, err)
		}
		if addr.IP == nil { // "" and ":port" are understood as no address at all
			return fmt.Errorf("heartbeat target %q: want address:port", t)
		}
		targets = append(targets, addr)
	}
	// Not connected: a health role that is away must not make later sends fail with its ICMP answers.
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return fmt.Errorf("open heartbeat socket: %w", err)
	}
	defer func() { _ = conn.Close() }()
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	interval := s.Interval
	if interval <= 0 {
		interval = DefaultInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	seq, err := firstSeq()
	if err != nil {
		return err
	}
	failing := false
	for {
		if err := s.send(conn, targets, now(), seq); err != nil && !failing {
			failing = true
			log.WarnContext(ctx, "heartbeat not sent", "error", err)
		} else if err == nil {
			failing = false
		}
		seq++
		gap := time.NewTimer(minGap)
		select {
		case <-ctx.Done():
			gap.Stop()
			return nil
		case <-gap.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-kick:
			ticker.Reset(interval)
		}
	}
}

func (s Sender) send(conn *net.UDPConn, targets []*net.UDPAddr, b Beat, seq uint64) error {
	b.Seq, b.SentUnixMS = seq, time.Now().UnixMilli()
	datagram, err := Encode(b, s.Key)
	if err != nil {
		return err
	}
	var first error
	for _, t := range targets {
		if _, err := conn.WriteToUDP(datagram, t); err != nil && first == nil {
			first = fmt.Errorf("send heartbeat to %s: %w", t, err)
		}
	}
	return first
}

// firstSeq is the machine's time since boot in microseconds: it rises over restarts of the agent, needs nothing kept on
// disk and does not follow a clock that is set back. With at most fifty beats a second counting never overtakes it.
func firstSeq() (uint64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("read time since boot: %w", err)
	}
	return uint64(ts.Nano() / int64(time.Microsecond)), nil
}
