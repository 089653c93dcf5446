package health_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/health"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

// pipe is a socket without a network, so that time in a bubble can pass.
type pipe struct {
	in     chan []byte
	closed chan struct{}
	once   sync.Once
}

func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-p.in:
		return copy(b, d), &net.UDPAddr{}, nil
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}
func (p *pipe) WriteTo([]byte, net.Addr) (int, error) { return 0, errors.New("not written to") }
func (p *pipe) Close() error                          { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipe) LocalAddr() net.Addr                   { return &net.UDPAddr{} }
func (p *pipe) SetDeadline(time.Time) error           { return p.Close() }
func (p *pipe) SetReadDeadline(time.Time) error       { return p.Close() }
func (p *pipe) SetWriteDeadline(time.Time) error      { return nil }

type memory struct {
	mu       sync.Mutex
	subjects []lb.Subject
	failures int
	health   map[string]lb.InstanceHealth
	writes   int
	seen     int
	wakes    map[lb.Wake]int
	stats    map[string][]amphora.ListenerStats
}

func (m *memory) Subjects(context.Context) ([]lb.Subject, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.subjects, nil
}

func (m *memory) Health(context.Context) (all []lb.InstanceHealth, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.health {
		all = append(all, h)
	}
	return all, nil
}

func (m *memory) SaveHealth(_ context.Context, changed []lb.InstanceHealth, wakes []lb.Wake) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failures > 0 {
		m.failures--
		return errors.New("database away")
	}
	m.writes++
	for _, h := range changed {
		m.health[h.InstanceID] = h
	}
	for _, w := range wakes {
		m.wakes[w]++
	}
	return nil
}

func (m *memory) SaveLastSeen(_ context.Context, seen []lb.InstanceHealth) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen += len(seen)
	return nil
}

func (m *memory) SaveListenerStatistics(_ context.Context, stats map[string][]amphora.ListenerStats) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats = stats
	return nil
}

func TestRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &memory{health: map[string]lb.InstanceHealth{}, wakes: map[lb.Wake]int{}, subjects: subjects[1:], failures: 2}
		socket := &pipe{in: make(chan []byte), closed: make(chan struct{})}
		role := health.New(health.Deps{Store: store, Listen: func(context.Context) (net.PacketConn, string, error) { return socket, "here", nil }})
		done := make(chan error, 1)
		go func() { done <- role.Run(ctx) }()
		send := func(id, key string, seq uint64) {
			k, _ := hex.DecodeString(key)
			d, err := heartbeat.Encode(beat(id, seq, func(s *amphora.Status) { s.Listeners = []amphora.ListenerStats{{ListenerID: "l", BytesIn: seq}} }), k)
			if err != nil {
				t.Error(err)
			}
			socket.in <- d
		}
		synctest.Wait()
		store.mu.Lock()
		store.subjects = subjects // a1 is created after the role began
		store.mu.Unlock()
		for s := range 25 {
			send("a1", "01", uint64(s+1))
			send("a2", "02", uint64(s+1))
			time.Sleep(time.Second)
		}
		send("a1", "ff", 99)
		send("a2", "02", 1)
		for s := range 6 {
			send("a2", "02", uint64(s+100))
			time.Sleep(time.Second)
		}
		store.mu.Lock()
		if got := store.health["a1"].State; got != lb.HealthSilent {
			t.Errorf("a1 is %q", got)
		}
		if got := store.health["a2"].State; got != lb.HealthAlive {
			t.Errorf("a2 is %q", got)
		}
		if store.writes > 3 {
			t.Errorf("%d writes for two first heartbeats and one silence", store.writes)
		}
		if store.wakes[manager] != 2 && store.wakes[manager] != 3 {
			t.Errorf("the manager was woken %d times", store.wakes[manager])
		}
		if store.seen == 0 || store.stats["a2"][0].BytesIn == 0 {
			t.Errorf("last seen %d, statistics %v", store.seen, store.stats)
		}
		store.mu.Unlock()
		c := role.Counters()
		if c.BadSignature.Load() != 1 || c.Replayed.Load() != 1 {
			t.Errorf("%d badly signed, %d replayed", c.BadSignature.Load(), c.Replayed.Load())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// away is a database that answers nothing any more once it was asked: ctx has ended meanwhile.
type away struct {
	memory
	stop context.CancelFunc
}

func (a *away) Subjects(ctx context.Context) ([]lb.Subject, error) {
	if a.stop != nil {
		a.stop()
	}
	return nil, errors.Join(errors.New("list heartbeat subjects"), ctx.Err())
}

// TestStopBeforeItBegan: who is told to stop while the role reads its first list has not failed; a database that is away
// has.
func TestStopBeforeItBegan(t *testing.T) {
	for _, stopped := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		store := &away{}
		if stopped {
			store.stop = cancel
		}
		socket := &pipe{in: make(chan []byte), closed: make(chan struct{})}
		role := health.New(health.Deps{Store: store, Listen: func(context.Context) (net.PacketConn, string, error) { return socket, "here", nil }})
		if err := role.Run(ctx); (err == nil) != stopped {
			t.Errorf("stopped %v: Run returned %v", stopped, err)
		}
		cancel()
	}
}
