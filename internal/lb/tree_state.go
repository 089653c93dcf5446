package lb

// Which changes a state allows, and which statuses a change sets (as in Octavia).

// settled reports whether a status allows a change: ACTIVE, or with AcceptPending one that is being made or changed.
func (t *Tree) settled(s ProvisioningStatus) bool {
	return s == Active || t.AcceptPending && (s == PendingCreate || s == PendingUpdate)
}

// ownMutable is asked before an operation on the load balancer itself.
func (t *Tree) ownMutable(alsoError bool) error {
	s := t.LoadBalancer.ProvisioningStatus
	if t.settled(s) || alsoError && s == Error {
		return nil
	}
	return Faultf(KindConflict, "Invalid state %s of loadbalancer resource %s", s, t.LoadBalancer.ID)
}

// childMutable is asked before an operation on a child.
func (t *Tree) childMutable() error {
	if t.settled(t.LoadBalancer.ProvisioningStatus) {
		return nil
	}
	return immutable("Load Balancer", t.LoadBalancer.ID)
}

// poolForChildren is asked before an operation on a pool's member or monitor: load balancer and pool must be settled.
func (t *Tree) poolForChildren(poolID string) (*Pool, error) {
	p, err := t.Pool(poolID)
	if err != nil {
		return nil, err
	}
	if err := t.childMutable(); err != nil {
		return nil, err
	}
	if !t.settled(p.ProvisioningStatus) {
		return nil, immutable("Pool", p.ID)
	}
	return p, nil
}

// changeable refuses to change a child that is being deleted.
func changeable(kind, id string, s ProvisioningStatus) error {
	if s == PendingDelete {
		return immutable(kind, id)
	}
	return nil
}

func immutable(kind, id string) error {
	return Faultf(KindConflict, "%s %s is immutable and cannot be updated.", kind, id)
}

// touch marks an object that a change is about or that waits for one. What is being created or deleted stays so.
func touch(s *ProvisioningStatus) {
	if *s != PendingCreate && *s != PendingDelete {
		*s = PendingUpdate
	}
}

// touchUsers marks the load balancer and the listeners that use the pool.
func (t *Tree) touchUsers(poolID string) {
	touch(&t.LoadBalancer.ProvisioningStatus)
	for i := range t.Listeners {
		if t.Listeners[i].usesPool(poolID) {
			touch(&t.Listeners[i].ProvisioningStatus)
		}
	}
}

// begin gives a new child its first statuses. A user's words in them are not taken.
func begin(ps *ProvisioningStatus, os *OperatingStatus, reason *string, first OperatingStatus) {
	*ps, *os, *reason = PendingCreate, first, ""
}

// memberStart is a new member's operating status.
func (p *Pool) memberStart() OperatingStatus {
	if p.HealthMonitor == nil || p.HealthMonitor.ProvisioningStatus == PendingDelete {
		return NoMonitor
	}
	return Offline
}
