package noop

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"sync"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/health/heartbeat"
)

// Rhythm of the fleet. minGap is that of a real agent: what changes more often is told together.
const (
	lookEvery = 50 * time.Millisecond
	minGap    = 20 * time.Millisecond
)

// fleet sends the heartbeats of all instances from one goroutine and one socket.
type fleet struct {
	kicked chan struct{}

	mu      sync.Mutex
	senders map[string]*sender
	due     []*sender // to be heard at once
}

// sender is the fleet's part of one instance.
type sender struct {
	id       string
	agents   Agents
	targets  []*net.UDPAddr
	key      []byte
	interval time.Duration

	waiting bool      // in due; the fleet's mu guards it
	next    time.Time // the fields below belong to the goroutine
	last    time.Time
	seq     uint64
}

func newFleet() *fleet {
	return &fleet{kicked: make(chan struct{}, 1), senders: map[string]*sender{}}
}

func newSender(conf agentconf.Heartbeat, agents Agents, id string) (*sender, error) {
	key, err := hex.DecodeString(conf.Key)
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("heartbeat key of instance %s: not hex digits, or none", id)
	}
	s := &sender{id: id, agents: agents, key: key, interval: time.Duration(conf.IntervalMS) * time.Millisecond}
	if s.interval <= 0 {
		s.interval = heartbeat.DefaultInterval
	}
	for _, t := range conf.Targets {
		addr, err := net.ResolveUDPAddr("udp", t)
		if err != nil {
			return nil, fmt.Errorf("heartbeat target %q: %w", t, err)
		}
		s.targets = append(s.targets, addr)
	}
	return s, nil
}

// add makes an instance heard, its first word at once.
func (f *fleet) add(s *sender) {
	f.mu.Lock()
	f.senders[s.id] = s
	f.mu.Unlock()
	f.kick(s)
}

func (f *fleet) remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.senders, id)
}

// kick lets an instance be heard at once.
func (f *fleet) kick(s *sender) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.waiting {
		return
	}
	s.waiting = true
	f.due = append(f.due, s)
	select {
	case f.kicked <- struct{}{}:
	default: // it wakes up already
	}
}

func (f *fleet) run(ctx context.Context) error {
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return fmt.Errorf("open heartbeat socket: %w", err)
	}
	defer func() { _ = conn.Close() }()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.kicked:
		case <-look.C:
			f.collect(time.Now())
		}
		for _, s := range f.take(time.Now()) {
			if err := s.send(conn, time.Now()); err != nil {
				return err
			}
		}
	}
}

// collect makes everybody due whose interval is over.
func (f *fleet) collect(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.senders {
		if !s.waiting && !s.next.After(now) {
			s.waiting = true
			f.due = append(f.due, s)
		}
	}
}

// take returns who is to be heard now; whoever was just heard waits for the next look.
func (f *fleet) take(now time.Time) []*sender {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out, later []*sender
	for _, s := range f.due {
		if now.Sub(s.last) < minGap {
			later = append(later, s)
			continue
		}
		s.waiting = false
		out = append(out, s)
	}
	f.due = later
	return out
}

// send says what is so now. A datagram that cannot be sent is forgotten: the next one says the same.
func (s *sender) send(conn *net.UDPConn, now time.Time) error {
	s.last, s.next = now, now.Add(s.interval)
	b, ok := s.agents.Beat(s.id)
	if !ok {
		return nil
	}
	s.seq++
	b.Seq, b.SentUnixMS = s.seq, now.UnixMilli()
	datagram, err := heartbeat.Encode(b, s.key)
	if err != nil {
		return err
	}
	for _, t := range s.targets {
		_, _ = conn.WriteToUDP(datagram, t)
	}
	return nil
}
