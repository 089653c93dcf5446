package agent

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/net/bpf"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/ownership"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/probe"
	"colonnade/internal/linuxnet"
)

// learnAgain is how often the distributor's address is looked up anew: a port of another MAC is rare, and only the
// amphora's own word depends on it.
const learnAgain = 30 * time.Second

// word is how the amphora says by itself that HAProxy is down: a signed frame to whoever asks it.
type word struct {
	ns string

	mu     sync.Mutex
	device string
	own    [6]byte
	key    probe.Key
	tag    uint64
	asker  [6]byte // zero until the first ask was seen
}

// configure follows a document.
func (w *word) configure(d amphora.Desired, key probe.Key) {
	mac, err := net.ParseMAC(d.FrontEnd.MAC)
	if err != nil {
		return // Check has refused it before
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.device, w.own, w.key, w.tag = portName(d.FrontEnd, true), [6]byte(mac), key, key.Tag(d.LoadBalancerID)
}

// down says it, thrice, because frames get lost. Sequences are the wall clock's, so that they rise over restarts.
func (w *word) down(now func() time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asker == ([6]byte{}) {
		return nil // nobody asks yet: nobody sends connections either
	}
	f := probe.Frame{Source: w.own, Destination: w.asker, Type: probe.Down, Tag: w.tag}
	for range 3 {
		f.Sequence = uint64(now().UnixNano())
		if err := linuxnet.SendFrame(w.ns, w.device, f.Marshal(w.key)); err != nil {
			return fmt.Errorf("say that haproxy is down: %w", err)
		}
	}
	return nil
}

// learn finds out who asks, again and again until ctx ends.
func (w *word) learn(ctx context.Context) error {
	for {
		wait := time.Second // no document yet, or nobody asks
		if w.listen(ctx) {
			wait = learnAgain
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// onlyProbes keeps all other frames from being copied. The socket has to see all kinds, because the front-end program
// answers asks before sockets of their kind would get them.
var onlyProbes = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: probe.EtherType, SkipFalse: 1},
	bpf.RetConstant{Val: 128},
	bpf.RetConstant{Val: 0},
}

// listen waits a moment for one ask.
func (w *word) listen(ctx context.Context) bool {
	w.mu.Lock()
	device, own, key, tag := w.device, w.own, w.key, w.tag
	w.mu.Unlock()
	if device == "" {
		return false
	}
	const everything = 0x0003
	pc, err := linuxnet.OpenPacket(w.ns, device, everything)
	if err != nil {
		return false // the port is just being moved
	}
	defer func() { _ = pc.Close() }()
	defer context.AfterFunc(ctx, func() { _ = pc.Close() })()
	filter, err := bpf.Assemble(onlyProbes)
	if err != nil || pc.SetBPF(filter) != nil || pc.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return false
	}
	buf := make([]byte, 128)
	for {
		n, _, err := pc.ReadFrom(buf)
		if err != nil {
			return false
		}
		f, err := probe.Unmarshal(buf[:n], key, tag)
		if err != nil || f.Type != probe.Ask || f.Destination != own {
			continue
		}
		w.mu.Lock()
		w.asker = f.Source
		w.mu.Unlock()
		return true
	}
}

// frontEnd is the kernel's part on the front-end port, the ownership program.
type frontEnd interface {
	Attach(nsPath, ifname string, c ownership.Config) error
	SetListeners(ports []ownership.ListenerPort) error
	SetTable(c *distributor.Compiled) error
	Stamp(up bool) error
	Counters() (map[string]uint64, error)
	Close() error
}
