package lb

import "slices"

// NewTree makes the tree of a new load balancer: everything PENDING_CREATE and OFFLINE (members without a monitor
// NO_MONITOR), references and uniqueness checked, server ids given. Pools carry their members and monitor.
func NewTree(l LoadBalancer, listeners []Listener, pools []Pool) (Tree, error) {
	t := Tree{LoadBalancer: l}
	own := &t.LoadBalancer
	begin(&own.ProvisioningStatus, &own.OperatingStatus, &own.StatusReason, Offline)
	own.Revision = 1
	// Built as a change, so that one set of rules holds for both ways of making things.
	t.AcceptPending = true
	if err := t.Grow(Growth{Pools: pools, Listeners: listeners}); err != nil {
		return Tree{}, err
	}
	t.AcceptPending = false
	return t, nil
}

// Growth is what one request adds to a tree: pools with their members and monitor, listeners and policies with what is
// below them, in this order.
type Growth struct {
	Pools     []Pool
	Listeners []Listener
	Policies  []L7Policy
	// DefaultOf is a listener whose default pool the first pool becomes; it must have none yet. "" is none.
	DefaultOf string
}

// Grow adds all of it or nothing.
func (t *Tree) Grow(g Growth) error {
	if err := t.childMutable(); err != nil {
		return err
	}
	c := t.Clone()
	c.AcceptPending = true // what is made first is pending already
	for i, p := range g.Pools {
		of := ""
		if i == 0 {
			of = g.DefaultOf
		}
		if err := c.addPoolTree(p, of); err != nil {
			return err
		}
	}
	for _, l := range g.Listeners {
		if err := c.AddListener(l); err != nil {
			return err
		}
	}
	for _, p := range g.Policies {
		if err := c.AddL7Policy(p); err != nil {
			return err
		}
	}
	c.AcceptPending = t.AcceptPending
	*t = c
	return nil
}

func (t *Tree) addPoolTree(p Pool, listenerID string) error {
	members, monitor := p.Members, p.HealthMonitor
	p.Members, p.HealthMonitor = nil, nil
	if err := t.AddPool(p, listenerID); err != nil {
		return err
	}
	if monitor != nil { // before the members: it decides their first status
		h := *monitor
		h.PoolID = p.ID
		if err := t.AddHealthMonitor(h); err != nil {
			return err
		}
	}
	for _, m := range members {
		if err := t.AddMember(p.ID, m); err != nil {
			return err
		}
	}
	return nil
}

// UpdateLoadBalancer changes the load balancer's own fields.
func (t *Tree) UpdateLoadBalancer(change func(*LoadBalancer) error) error {
	if err := t.ownMutable(false); err != nil {
		return err
	}
	l := t.LoadBalancer
	if err := change(&l); err != nil {
		return err
	}
	touch(&l.ProvisioningStatus)
	t.LoadBalancer = l
	return nil
}

// DeleteLoadBalancer asks for the load balancer's removal, from ACTIVE or ERROR; without cascade it must have no
// children. They keep their statuses until they are removed with it.
func (t *Tree) DeleteLoadBalancer(cascade bool) error {
	if !cascade && len(t.Listeners)+len(t.Pools) > 0 {
		return Faultf(KindInvalid, "Validation failure: Cannot delete Load Balancer %s - it has children", t.LoadBalancer.ID)
	}
	if err := t.ownMutable(true); err != nil {
		return err
	}
	t.LoadBalancer.ProvisioningStatus = PendingDelete
	return nil
}

// RequestFailover sets the load balancer PENDING_UPDATE for a planned failover, from ACTIVE or ERROR.
func (t *Tree) RequestFailover() error {
	if err := t.ownMutable(true); err != nil {
		return err
	}
	touch(&t.LoadBalancer.ProvisioningStatus)
	return nil
}

// RequestAmphoraFailover sets the load balancer PENDING_UPDATE for the planned hand-over of one amphora, from ACTIVE.
func (t *Tree) RequestAmphoraFailover() error {
	if err := t.ownMutable(false); err != nil {
		return err
	}
	touch(&t.LoadBalancer.ProvisioningStatus)
	return nil
}

// AddListener adds a listener with the policies and rules it has.
func (t *Tree) AddListener(l Listener) error {
	if err := t.childMutable(); err != nil {
		return err
	}
	if err := t.checkDefaultPool(&l); err != nil {
		return err
	}
	if err := t.checkPort(&l); err != nil {
		return err
	}
	l.LoadBalancerID, l.ProjectID = t.LoadBalancer.ID, t.LoadBalancer.ProjectID
	begin(&l.ProvisioningStatus, &l.OperatingStatus, &l.StatusReason, Offline)
	policies := l.L7Policies
	l.L7Policies = nil
	for _, p := range policies {
		if err := t.preparePolicy(&l, &p); err != nil {
			return err
		}
		l.insertPolicy(p)
	}
	t.Listeners = append(slices.Clip(t.Listeners), l)
	touch(&t.LoadBalancer.ProvisioningStatus)
	return nil
}

// UpdateListener changes a listener; its default pool may be changed or cleared, protocol and port may not.
func (t *Tree) UpdateListener(id string, change func(*Listener) error) error {
	old, err := t.Listener(id)
	if err != nil {
		return err
	}
	if err := t.childMutable(); err != nil {
		return err
	}
	if err := changeable("Listener", id, old.ProvisioningStatus); err != nil {
		return err
	}
	l := *old
	if err := change(&l); err != nil {
		return err
	}
	if l.DefaultPoolID != old.DefaultPoolID {
		if err := t.checkDefaultPool(&l); err != nil {
			return err
		}
	}
	l.ID, l.LoadBalancerID, l.ProjectID, l.Protocol, l.ProtocolPort = old.ID, old.LoadBalancerID, old.ProjectID, old.Protocol, old.ProtocolPort
	l.L7Policies = old.L7Policies
	touch(&l.ProvisioningStatus)
	*old = l
	touch(&t.LoadBalancer.ProvisioningStatus)
	return nil
}

// DeleteListener asks for a listener's removal.
func (t *Tree) DeleteListener(id string) error {
	l, err := t.Listener(id)
	if err != nil {
		return err
	}
	if err := t.childMutable(); err != nil {
		return err
	}
	l.ProvisioningStatus = PendingDelete
	touch(&t.LoadBalancer.ProvisioningStatus)
	return nil
}
