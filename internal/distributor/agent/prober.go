package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"colonnade/internal/distributor"
	"colonnade/internal/distributor/ledger"
	"colonnade/internal/distributor/probe"
)

// prober asks every amphora of one load balancer 20 times a second whether it lives (S31, S54), and listens to what
// they say by themselves. One goroutine does both, so that it has heard everything that came before it judges.
type prober struct {
	wire    Wire
	mac     [6]byte
	key     probe.Key
	tag     uint64
	now     func() time.Time
	stopped atomic.Bool
	targets atomic.Pointer[map[[6]byte]string] // front-end MAC -> amphora id; replaced whole
}

func newProber(wire Wire, p distributor.VIPPlug, now func() time.Time) (*prober, error) {
	key, err := probe.ParseKey(p.ProbeKey)
	if err != nil {
		return nil, err
	}
	mac, err := net.ParseMAC(p.MACAddress)
	if err != nil || len(mac) != 6 {
		return nil, fmt.Errorf("mac_address %q is no Ethernet address", p.MACAddress)
	}
	pr := &prober{wire: wire, mac: [6]byte(mac), key: key, tag: key.Tag(p.LBID), now: now}
	pr.watch(nil)
	return pr, nil
}

// watch replaces whom to probe; from the next round on.
func (p *prober) watch(targets map[[6]byte]string) { p.targets.Store(&targets) }

// stop makes run end soon and does not wait for it.
func (p *prober) stop() {
	p.stopped.Store(true)
	_ = p.wire.Close() // run says what it makes of it
}

// maxErrors is how often in a row the socket may fail before something is wrong with it for good.
const maxErrors = 100

// maxBacklog is how many frames are heard after a round is due before it is held all the same: whoever floods the
// network with frames of the probes' type must not stop the probing.
const maxBacklog = 256

// run probes until ctx ends or stop is called, and returns nil then. hear gets who is silent whenever that changes, and
// with every round as long as somebody is: what could not be done about it is tried again. It runs beside the rounds,
// because switching tables and writing to disk take time in which others may fall silent.
func (p *prober) run(ctx context.Context, hear func(ledger.Silence)) error {
	defer context.AfterFunc(ctx, p.stop)()
	defer p.stop()
	latest := make(chan ledger.Silence, 1)
	var hearing sync.WaitGroup
	hearing.Go(func() {
		for s := range latest {
			hear(s)
		}
	})
	defer hearing.Wait()
	defer close(latest)
	return p.rounds(func(s ledger.Silence) {
		select { // what was not heard yet is out of date
		case <-latest:
		default:
		}
		latest <- s
	})
}

func (p *prober) rounds(tell func(ledger.Silence)) error {
	next := p.now()
	// Numbers begin above those of every earlier prober with this key, as long as the clock is not set back by more
	// than the agent was away.
	live := NewLiveness(uint64(next.UnixNano()))
	var watched *map[[6]byte]string
	told := ledger.Silence{}
	buf := make([]byte, 256)
	failed, backlog := 0, 0
	for {
		n, err := p.wire.Receive(buf, next)
		if p.stopped.Load() {
			return nil
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			// A port that goes down says so once (ENETDOWN); then nobody answers, and that is what is reported.
			if failed++; failed > maxErrors {
				return fmt.Errorf("receive probes: %w", err)
			}
			continue
		}
		failed = 0
		if err == nil {
			if watched != nil && p.take(*watched, live, buf[:n]) {
				told = live.Silent()
				tell(told)
			}
			if p.now().Before(next) {
				continue
			}
			if backlog++; backlog < maxBacklog {
				continue
			}
		}
		backlog = 0
		if t := p.targets.Load(); t != watched {
			watched = t
			live.Watch(ids(*t))
		}
		now := p.now()
		p.ask(*watched, live.Tick(now), now)
		if next = next.Add(ProbeInterval); next.Before(now) {
			next = now.Add(ProbeInterval) // rounds that were missed are not made up for
		}
		if s := live.Silent(); len(s) > 0 || len(told) > 0 {
			told = s
			tell(told)
		}
	}
}

// ask sends a round. A probe that cannot be sent is one that is not answered.
func (p *prober) ask(targets map[[6]byte]string, seq uint64, now time.Time) {
	f := probe.Frame{Source: p.mac, Type: probe.Ask, Tag: p.tag, Sequence: seq, SentNS: uint64(now.UnixNano())}
	for mac := range targets {
		f.Destination = mac
		_ = p.wire.Send(f.Marshal(p.key))
	}
}

// take reads a frame and says whether it changed who is silent. What is not signed or not from a known amphora's MAC is
// nobody's.
func (p *prober) take(targets map[[6]byte]string, live *Liveness, frame []byte) (changed bool) {
	f, err := probe.Unmarshal(frame, p.key, p.tag)
	if err != nil || f.Destination != p.mac {
		return false
	}
	id, known := targets[f.Source]
	switch {
	case !known:
		return false
	case f.Type == probe.Answer:
		return live.Answer(id, f.Sequence)
	case f.Type == probe.Down:
		return live.Down(id, f.Sequence)
	}
	return false
}

func ids(targets map[[6]byte]string) []string {
	out := make([]string, 0, len(targets))
	for _, id := range targets {
		out = append(out, id)
	}
	return out
}
