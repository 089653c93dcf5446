// Package noop is distributors and a dataplane without a kernel. The distributors take, refuse, remember and swap by the
// rules of package ledger, as real ones do; the dataplane says where a packet would go and counts it. State lives in
// memory, as long as the instance.
package noop

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/agentconf"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/ledger"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

// Agents are the agents of all distributors. It is safe for concurrent use.
type Agents struct {
	now func() time.Time

	mu     sync.Mutex
	all    map[string]*agent
	silent map[string]bool // amphorae that answer no probes
}

type agent struct {
	id, boot string
	changed  func()
	lbs      map[string]*ledger.Record
}

// New makes agents of no distributor yet.
func New(now func() time.Time) *Agents {
	return &Agents{now: now, all: map[string]*agent{}, silent: map[string]bool{}}
}

// Start begins a distributor's life. changed is called whenever its next heartbeat should go out at once.
func (a *Agents) Start(conf agentconf.Config, changed func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all[conf.ID] = &agent{id: conf.ID, boot: uuid.NewString(), changed: changed, lbs: map[string]*ledger.Record{}}
}

// Stop ends it: nobody answers any more.
func (a *Agents) Stop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, id)
}

// Beat is a distributor's present heartbeat; false when it does not live.
func (a *Agents) Beat(id string) (heartbeat.Beat, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.all[id]
	if !ok {
		return heartbeat.Beat{}, false
	}
	s := a.status(one)
	return heartbeat.Beat{Kind: heartbeat.KindDistributor, ID: id, BootID: one.boot, Distributor: &s}, true
}

// SetSilent says whether an amphora answers the distributors' probes. They swap a standby in at once.
func (a *Agents) SetSilent(amphoraID string, silent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.silent[amphoraID] == silent {
		return
	}
	if delete(a.silent, amphoraID); silent {
		a.silent[amphoraID] = true
	}
	for _, one := range a.all {
		for _, r := range one.lbs {
			if r.Table != nil && slices.ContainsFunc(r.Table.Table.Holders, func(h distributor.Holder) bool { return h.AmphoraID == amphoraID }) {
				a.decide(r)
				one.changed()
			}
		}
	}
}

// decide swaps standbys in where that is due.
func (a *Agents) decide(r *ledger.Record) {
	due := ledger.Decide(r.Table.Table, r.Swaps, a.silence(r))
	for i := range due {
		due[i].AtUnixMS = a.now().UnixMilli()
	}
	r.Swaps = append(slices.Clone(r.Swaps), due...)
}

// silence is who of a table answers no probes.
func (a *Agents) silence(r *ledger.Record) ledger.Silence {
	out := ledger.Silence{}
	for _, h := range r.Table.Table.Holders {
		if a.silent[h.AmphoraID] {
			out[h.AmphoraID] = ledger.ReasonProbe
		}
	}
	return out
}

func (a *Agents) status(one *agent) distributor.Status {
	s := distributor.Status{DistributorID: one.id, BootID: one.boot, Dataplane: dataplaneName, LoadBalancers: []distributor.LBStatus{}}
	for _, r := range one.lbs {
		if r.Plug != nil {
			s.LoadBalancers = append(s.LoadBalancers, a.shown(r))
		}
	}
	slices.SortFunc(s.LoadBalancers, func(x, y distributor.LBStatus) int { return strings.Compare(x.LBID, y.LBID) })
	return s
}

// shown is the status of a plugged load balancer.
func (a *Agents) shown(r *ledger.Record) distributor.LBStatus {
	s := distributor.LBStatus{
		LBID: r.LBID, VIPApplied: r.Plug.Stamp, Positions: []distributor.Position{}, Swaps: []distributor.Swap{}, Silent: []string{},
	}
	if r.Table != nil {
		t := r.Table.Table
		s.TableApplied, s.TableVersion, s.Positions = r.Table.Stamp, t.Version, t.Positions(r.Swaps)
		s.Swaps = append(s.Swaps, ledger.Pending(t, r.Swaps)...)
		s.Silent = append(s.Silent, slices.Sorted(maps.Keys(a.silence(r)))...)
	}
	return s
}

// on runs f on the record of a load balancer, which is empty before its first plug.
func (a *Agents) on(ctx context.Context, id, lbID string, f func(*agent, *ledger.Record) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := ledger.CheckLBID(lbID); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.all[id]
	if !ok {
		return silentAgent(id)
	}
	r, ok := one.lbs[lbID]
	if !ok {
		r = &ledger.Record{LBID: lbID}
	}
	err := f(one, r)
	if r.Plug != nil || r.Deleted != nil {
		one.lbs[lbID] = r
	}
	return err
}

func silentAgent(id string) error {
	return lb.Faultf(lb.KindUnavailable, "distributor %s does not answer", id)
}
