// Package noop is amphorae without HAProxy and without a kernel: their agents take every document and table that a real
// one would take, refuse what it would refuse, and say that all is well. State lives in memory, as long as the instance.
package noop

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"colonnade/internal/agentconf"
	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/distributor"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

// Agents are the agents of all amphorae. It is safe for concurrent use.
type Agents struct {
	mu  sync.Mutex
	all map[string]*agent
}

// agent is one amphora. Its documents are never changed once they are in.
type agent struct {
	loadBalancerID string
	status         amphora.Status
	changed        func()
}

// New makes agents of no amphora yet.
func New() *Agents { return &Agents{all: map[string]*agent{}} }

// Start begins an amphora's life. changed is called whenever its next heartbeat should go out at once.
func (a *Agents) Start(conf agentconf.Config, changed func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all[conf.ID] = &agent{
		loadBalancerID: conf.LoadBalancerID, changed: changed,
		status: amphora.Status{AmphoraID: conf.ID, BootID: uuid.NewString(), HAProxy: "idle"},
	}
}

// Stop ends it: nobody answers any more.
func (a *Agents) Stop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, id)
}

// Beat is an amphora's present heartbeat; false when it does not live.
func (a *Agents) Beat(id string) (heartbeat.Beat, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.all[id]
	if !ok {
		return heartbeat.Beat{}, false
	}
	s := one.status
	return heartbeat.Beat{Kind: heartbeat.KindAmphora, ID: id, BootID: s.BootID, Amphora: &s}, true
}

// on runs f on an amphora that lives, and returns its status after that.
func (a *Agents) on(ctx context.Context, id string, f func(*agent) error) (amphora.Status, error) {
	if err := ctx.Err(); err != nil {
		return amphora.Status{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.all[id]
	if !ok {
		return amphora.Status{}, lb.Faultf(lb.KindUnavailable, "amphora %s does not answer", id)
	}
	if err := f(one); err != nil {
		return amphora.Status{}, err
	}
	return one.status, nil
}

// Status says what is applied.
func (a *Agents) Status(ctx context.Context, amp lb.Amphora) (amphora.Status, error) {
	return a.on(ctx, amp.ID, func(*agent) error { return nil })
}

// Statistics counts nothing.
func (a *Agents) Statistics(ctx context.Context, amp lb.Amphora) (amphora.Statistics, error) {
	s, err := a.Status(ctx, amp)
	return amphora.Statistics{AmphoraID: s.AmphoraID, Listeners: s.Listeners}, err
}

// PutDocument takes a whole document, or refuses it for the reasons that a real agent has.
func (a *Agents) PutDocument(ctx context.Context, amp lb.Amphora, d amphora.Desired) (amphora.Status, error) {
	return a.on(ctx, amp.ID, func(one *agent) error {
		if one.loadBalancerID != "" && d.LoadBalancerID != one.loadBalancerID {
			return lb.Faultf(lb.KindInvalid, "this amphora belongs to load balancer %s", one.loadBalancerID)
		}
		applied := one.status.DocumentApplied
		if d.Less(applied) {
			return &distributor.StaleError{Applied: applied}
		}
		if d.Stamp == applied {
			return nil
		}
		if problems := haproxy.Check(standIn(d)); len(problems) > 0 {
			return &amphora.RefusedError{Problems: problems}
		}
		one.apply(d)
		one.changed()
		return nil
	})
}

// apply makes the status what it would be once all members answer.
func (one *agent) apply(d amphora.Desired) {
	s := &one.status
	s.DocumentApplied, s.HAProxy, s.Listeners, s.Members = d.Stamp, "idle", nil, map[string]string{}
	if len(d.Listeners) > 0 {
		s.HAProxy, s.HAProxyStarts = "up", 1
	}
	for _, l := range d.Listeners {
		s.Listeners = append(s.Listeners, amphora.ListenerStats{ListenerID: l.ID})
	}
	for _, p := range d.Pools {
		for _, m := range p.Members {
			s.Members[m.ID] = memberState(p, m)
		}
	}
}

func memberState(p amphora.Pool, m amphora.Member) string {
	switch {
	case !m.Enabled:
		return "MAINT"
	case m.Weight == 0:
		return "DRAIN"
	case p.Monitor == nil:
		return "no check"
	}
	return "UP"
}

// PutTable takes owner lists.
func (a *Agents) PutTable(ctx context.Context, amp lb.Amphora, t amphora.TableDocument) (amphora.Status, error) {
	return a.on(ctx, amp.ID, func(one *agent) error {
		applied := one.status.TableApplied
		if t.Less(applied) {
			return &distributor.StaleError{Applied: applied}
		}
		if t.Stamp == applied {
			return nil
		}
		if err := t.Table.Validate(); err != nil {
			return lb.Faultf(lb.KindInvalid, "table: %v", err)
		}
		one.status.TableApplied = t.Stamp
		one.changed()
		return nil
	})
}
