package lb

import (
	"errors"
	"fmt"
	"slices"
)

// Settlement is what the worker found when it applied a revision.
type Settlement struct {
	// Revision is the one that was applied. When the tree has a higher one by now nothing but Failed is noted: the
	// rest stays pending for the next round.
	Revision int64
	// Failed maps the ids of children at fault (listener, L7 policy or rule, pool, member, health monitor) to the reason. They become
	// ERROR, everything else ACTIVE.
	Failed map[string]string
	// LoadBalancerFailed is why the load balancer's own create, update, delete or failover cannot be done; it becomes
	// ERROR, and then accepts delete and failover only. Children that are not at fault stay as they are: what was asked
	// of them comes true when the ERROR is lifted.
	LoadBalancerFailed string
}

// Settle ends what is pending (docs/ARCHITECTURE.md, statuses): created and updated objects become ACTIVE, deleted children are removed
// and references to a removed pool cleared, children at fault become ERROR with the reason and stay. A child that was
// in ERROR before and is not pending stays so until it is changed or deleted; so does the load balancer's ERROR, which
// a settlement without fault lifts. A load balancer in PENDING_DELETE stays so: its end is the store's FinishDelete.
func (t *Tree) Settle(s Settlement) {
	l := &t.LoadBalancer
	if l.ProvisioningStatus == PendingDelete && s.LoadBalancerFailed == "" {
		return
	}
	current := s.Revision >= l.Revision
	settling := current && s.LoadBalancerFailed == ""
	end := func(id string, ps *ProvisioningStatus, reason *string) {
		if why, failed := s.Failed[id]; failed {
			if current || !ps.Pending() {
				*ps, *reason = Error, why
			}
			return
		}
		if settling && (*ps == PendingCreate || *ps == PendingUpdate) {
			*ps, *reason = Active, ""
		}
	}
	removed := func(id string, ps ProvisioningStatus) bool {
		_, failed := s.Failed[id]
		return settling && ps == PendingDelete && !failed
	}

	t.Pools = slices.DeleteFunc(t.Pools, func(p Pool) bool { return removed(p.ID, p.ProvisioningStatus) })
	t.Listeners = slices.DeleteFunc(t.Listeners, func(o Listener) bool { return removed(o.ID, o.ProvisioningStatus) })
	for i := range t.Listeners {
		o := &t.Listeners[i]
		if _, err := t.Pool(o.DefaultPoolID); err != nil {
			o.DefaultPoolID = ""
		}
		o.settlePolicies(end, removed)
		end(o.ID, &o.ProvisioningStatus, &o.StatusReason)
	}
	for i := range t.Pools {
		p := &t.Pools[i]
		p.Members = slices.DeleteFunc(p.Members, func(m Member) bool { return removed(m.ID, m.ProvisioningStatus) })
		if h := p.HealthMonitor; h != nil && removed(h.ID, h.ProvisioningStatus) {
			p.HealthMonitor = nil
			for j := range p.Members {
				p.Members[j].OperatingStatus = NoMonitor
			}
		}
		if h := p.HealthMonitor; h != nil {
			end(h.ID, &h.ProvisioningStatus, &h.StatusReason)
			operate(&h.OperatingStatus, h.ProvisioningStatus, h.Enabled)
		}
		for j := range p.Members {
			m := &p.Members[j]
			end(m.ID, &m.ProvisioningStatus, &m.StatusReason)
		}
		end(p.ID, &p.ProvisioningStatus, &p.StatusReason)
	}
	switch {
	case s.LoadBalancerFailed != "":
		if current {
			l.ProvisioningStatus, l.StatusReason = Error, s.LoadBalancerFailed
		}
	case current:
		l.ProvisioningStatus, l.StatusReason = Active, ""
	}
}

// operate is the operating status of what nothing reports on: it does what it is for while it is ACTIVE and enabled.
func operate(os *OperatingStatus, ps ProvisioningStatus, enabled bool) {
	switch {
	case ps != Active:
	case enabled:
		*os = Online
	default:
		*os = Offline
	}
}

// settlePolicies ends what is pending below a listener, and closes the gaps between the policies that stay.
func (l *Listener) settlePolicies(end func(string, *ProvisioningStatus, *string), removed func(string, ProvisioningStatus) bool) {
	l.L7Policies = slices.DeleteFunc(l.L7Policies, func(p L7Policy) bool { return removed(p.ID, p.ProvisioningStatus) })
	l.numberPolicies()
	for i := range l.L7Policies {
		p := &l.L7Policies[i]
		p.Rules = slices.DeleteFunc(p.Rules, func(r L7Rule) bool { return removed(r.ID, r.ProvisioningStatus) })
		for j := range p.Rules {
			r := &p.Rules[j]
			end(r.ID, &r.ProvisioningStatus, &r.StatusReason)
			operate(&r.OperatingStatus, r.ProvisioningStatus, r.Enabled)
		}
		end(p.ID, &p.ProvisioningStatus, &p.StatusReason)
		operate(&p.OperatingStatus, p.ProvisioningStatus, p.Enabled)
	}
}

// Check returns what is wrong with the tree: the invariants that no sequence of changes and settlements may break.
func (t *Tree) Check() error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	lbID := t.LoadBalancer.ID
	ids := map[string]bool{lbID: true}
	seen := func(kind, id string) {
		if id == "" || ids[id] {
			bad("%s has no id of its own: %q", kind, id)
		}
		ids[id] = true
	}
	pending := false
	note := func(ps ProvisioningStatus) { pending = pending || ps.Pending() }

	ports := map[string]bool{}
	for i := range t.Listeners {
		l := &t.Listeners[i]
		seen("listener", l.ID)
		note(l.ProvisioningStatus)
		at := fmt.Sprintf("%s/%d", transport(l.Protocol), l.ProtocolPort)
		if ports[at] {
			bad("listener %s: port %s is taken", l.ID, at)
		}
		ports[at] = true
		if l.LoadBalancerID != lbID {
			bad("listener %s is of load balancer %q", l.ID, l.LoadBalancerID)
		}
		if l.DefaultPoolID != "" {
			if p, err := t.Pool(l.DefaultPoolID); err != nil {
				bad("listener %s: default pool: %w", l.ID, err)
			} else if err := checkFit(l, p); err != nil {
				bad("listener %s: default pool %s: %w", l.ID, p.ID, err)
			}
		}
		for j := range l.L7Policies {
			p := &l.L7Policies[j]
			seen("L7 policy", p.ID)
			note(p.ProvisioningStatus)
			if err := t.checkPolicy(l, p, j+1); err != nil {
				bad("L7 policy %s: %w", p.ID, err)
			}
			for k := range p.Rules {
				r := &p.Rules[k]
				seen("L7 rule", r.ID)
				note(r.ProvisioningStatus)
				if r.PolicyID != p.ID {
					bad("L7 rule %s is of policy %q", r.ID, r.PolicyID)
				}
			}
		}
	}
	for i := range t.Pools {
		p := &t.Pools[i]
		seen("pool", p.ID)
		note(p.ProvisioningStatus)
		if p.LoadBalancerID != lbID {
			bad("pool %s is of load balancer %q", p.ID, p.LoadBalancerID)
		}
		places, servers := map[place]bool{}, map[int]bool{}
		for j := range p.Members {
			m := &p.Members[j]
			seen("member", m.ID)
			note(m.ProvisioningStatus)
			at := place{m.Address, m.ProtocolPort}
			if m.PoolID != p.ID || places[at] {
				bad("member %s: pool %q, %v taken: %v", m.ID, m.PoolID, at, places[at])
			}
			if m.ServerID < 1 || m.ServerID > p.LastServerID || servers[m.ServerID] {
				bad("member %s: server id %d is not its own of 1…%d", m.ID, m.ServerID, p.LastServerID)
			}
			places[at], servers[m.ServerID] = true, true
		}
		if h := p.HealthMonitor; h != nil {
			seen("health monitor", h.ID)
			note(h.ProvisioningStatus)
			if h.PoolID != p.ID {
				bad("health monitor %s is of pool %q", h.ID, h.PoolID)
			}
		}
	}
	if pending && t.LoadBalancer.ProvisioningStatus == Active {
		bad("load balancer is ACTIVE while a child is pending")
	}
	if len(wrong) > 0 {
		return fmt.Errorf("load balancer %s: tree is broken: %w", lbID, errors.Join(wrong...))
	}
	return nil
}
