package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/ledger"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

// Parts are what an agent works with; Run assembles the real ones.
type Parts struct {
	Ports     Ports
	Dataplane distributor.Dataplane
	// OpenWire opens the probes' socket on a plugged port.
	OpenWire func(distributor.PortConfig) (Wire, error)
	Now      func() time.Time
}

// Agent is a running distributor agent. Close ends it; forwarding goes on.
type Agent struct {
	conf   agentconf.Config
	parts  Parts
	store  *Store
	bootID string
	log    *slog.Logger
	kick   chan struct{}
	failed chan error

	ctx     context.Context // of the probers
	cancel  context.CancelFunc
	probers sync.WaitGroup

	mu        sync.Mutex
	balancers map[string]*balancer
}

// Open adopts what an earlier agent of this instance left: records on disk, namespaces, and the dataplane's pins. A
// load balancer that cannot be adopted is logged and tried again with its next plug.
func Open(conf agentconf.Config, parts Parts, log *slog.Logger) (*Agent, error) {
	store, err := OpenStore(conf.Place.Dir)
	if err != nil {
		return nil, err
	}
	bootID, err := store.BootID()
	if err != nil {
		return nil, err
	}
	records, broken, err := store.Load(parts.Now())
	if err != nil {
		return nil, err
	}
	a := &Agent{
		conf: conf, parts: parts, store: store, bootID: bootID, log: log, kick: make(chan struct{}, 1),
		failed: make(chan error, 1), balancers: map[string]*balancer{},
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	for _, path := range broken {
		log.Error("unreadable state set aside", "path", path)
	}
	for _, r := range records {
		b := a.balancer(r.LBID)
		b.mu.Lock()
		b.rec, b.told = r, r.Swaps
		if err := b.adopt(); err != nil {
			log.Error("load balancer not adopted", "lb_id", r.LBID, "error", err)
		}
		b.publish()
		b.mu.Unlock()
	}
	return a, nil
}

// Close stops probing and drops the dataplane's handles.
func (a *Agent) Close() error {
	a.cancel()
	a.probers.Wait()
	return a.parts.Dataplane.Close()
}

// Failed receives when the agent cannot do its work any more. It then ends and is started again: adopting is the one way
// to mend what went wrong.
func (a *Agent) Failed() <-chan error { return a.failed }

func (a *Agent) fail(err error) {
	select {
	case a.failed <- err:
	default: // it is ending already
	}
}

// Kick receives when something changed that the health role should hear at once.
func (a *Agent) Kick() <-chan struct{} { return a.kick }

func (a *Agent) changed() {
	select {
	case a.kick <- struct{}{}:
	default: // one is waiting already
	}
}

// Beat is the present heartbeat. It waits for nothing: a plug that hangs must not make the distributor look dead.
func (a *Agent) Beat() heartbeat.Beat {
	s := a.Status()
	return heartbeat.Beat{Kind: heartbeat.KindDistributor, ID: a.conf.ID, BootID: a.bootID, Distributor: &s}
}

// Status is everything the agent has, load balancers by id.
func (a *Agent) Status() distributor.Status {
	s := distributor.Status{
		DistributorID: a.conf.ID, BootID: a.bootID, Dataplane: a.parts.Dataplane.Name(),
		LoadBalancers: []distributor.LBStatus{},
	}
	for _, b := range a.all() {
		if st := b.status.Load(); st != nil {
			s.LoadBalancers = append(s.LoadBalancers, *st)
		}
	}
	slices.SortFunc(s.LoadBalancers, func(x, y distributor.LBStatus) int { return strings.Compare(x.LBID, y.LBID) })
	return s
}

// LoadBalancer is the status of one.
func (a *Agent) LoadBalancer(lbID string) (distributor.LBStatus, error) {
	a.mu.Lock()
	b := a.balancers[lbID]
	a.mu.Unlock()
	if b != nil {
		if st := b.status.Load(); st != nil {
			return *st, nil
		}
	}
	return distributor.LBStatus{}, notPlugged(lbID)
}

// Statistics reads a load balancer's counters.
func (a *Agent) Statistics(lbID string) (distributor.Statistics, error) {
	if _, err := a.LoadBalancer(lbID); err != nil {
		return distributor.Statistics{}, err
	}
	s, err := a.parts.Dataplane.Statistics(lbID)
	if err != nil {
		return s, fmt.Errorf("read statistics of load balancer %s: %w", lbID, err)
	}
	s.LBID = lbID
	return s, nil
}

func notPlugged(lbID string) error {
	return lb.Faultf(lb.KindNotFound, "load balancer %s is not plugged here", lbID)
}

// PlugVIP makes the distributor own a VIP. Writes of one load balancer wait for each other.
func (a *Agent) PlugVIP(p distributor.VIPPlug) (distributor.LBStatus, error) {
	if err := a.clash(p); err != nil {
		return distributor.LBStatus{}, err
	}
	b := a.balancer(p.LBID)
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.plug(p)
	s := b.publish()
	if err != nil {
		return distributor.LBStatus{}, err
	}
	return s, nil
}

// Register installs a table.
func (a *Agent) Register(r distributor.Registrations) (distributor.LBStatus, error) {
	c, err := distributor.Compile(r.Table) // the long part, before anything is locked
	if err != nil {
		return distributor.LBStatus{}, lb.Faultf(lb.KindInvalid, "%v", err)
	}
	b := a.balancer(r.LBID)
	b.mu.Lock()
	defer b.mu.Unlock()
	err = b.register(r, c)
	s := b.publish()
	if err != nil {
		return distributor.LBStatus{}, err
	}
	return s, nil
}

// UnplugVIP gives a VIP up and leaves a tombstone with the stamp.
func (a *Agent) UnplugVIP(lbID string, stamp lb.Stamp) error {
	b := a.balancer(lbID)
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.unplug(stamp)
	b.publish()
	return err
}

// clash refuses a load balancer whose short name or port another one has.
func (a *Agent) clash(p distributor.VIPPlug) error {
	for _, b := range a.all() {
		if b.id == p.LBID || b.status.Load() == nil {
			continue
		}
		if shortID(b.id) == shortID(p.LBID) {
			return lb.Faultf(lb.KindConflict, "load balancer %s has the same first 8 digits", b.id)
		}
		if mac := b.mac.Load(); mac != nil && *mac == p.MACAddress {
			return lb.Faultf(lb.KindConflict, "mac_address %q: the port of load balancer %s", p.MACAddress, b.id)
		}
	}
	return nil
}

func (a *Agent) all() []*balancer {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]*balancer, 0, len(a.balancers))
	for _, b := range a.balancers {
		out = append(out, b)
	}
	return out
}

// balancer finds or makes the entry of a load balancer.
func (a *Agent) balancer(lbID string) *balancer {
	a.mu.Lock()
	defer a.mu.Unlock()
	b, ok := a.balancers[lbID]
	if !ok {
		b = &balancer{id: lbID, agent: a, rec: ledger.Record{LBID: lbID}, log: a.log.With("lb_id", lbID)}
		a.balancers[lbID] = b
	}
	return b
}

// BeatUntil sends heartbeats as the configuration says until ctx ends.
func (a *Agent) BeatUntil(ctx context.Context) error {
	sender, err := heartbeat.SenderFor(a.conf.Heartbeat, a.log)
	if err != nil {
		return err
	}
	return sender.Run(ctx, a.Beat, a.Kick())
}

var errClosed = errors.New("the agent is ending")
