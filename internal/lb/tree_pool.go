package lb

import "slices"

// AddPool adds a pool, whose members and monitor are added after it. With listenerID != "" it becomes the default pool
// of that listener, which must have none yet.
func (t *Tree) AddPool(p Pool, listenerID string) error {
	var l *Listener
	if listenerID != "" {
		var err error
		if l, err = t.Listener(listenerID); err != nil {
			return err
		}
	}
	if err := t.childMutable(); err != nil {
		return err
	}
	if l != nil {
		if err := changeable("Listener", l.ID, l.ProvisioningStatus); err != nil {
			return err
		}
		if l.DefaultPoolID != "" {
			return Faultf(KindConflict, "Listener %s already has a default pool", l.ID)
		}
		if err := checkFit(l, &p); err != nil {
			return err
		}
		l.DefaultPoolID = p.ID
	}
	p.LoadBalancerID, p.ProjectID = t.LoadBalancer.ID, t.LoadBalancer.ProjectID
	p.Members, p.HealthMonitor, p.LastServerID = nil, nil, 0
	begin(&p.ProvisioningStatus, &p.OperatingStatus, &p.StatusReason, Offline)
	t.Pools = append(slices.Clip(t.Pools), p)
	t.touchUsers(p.ID)
	return nil
}

// UpdatePool changes a pool's own fields; its protocol may not change.
func (t *Tree) UpdatePool(id string, change func(*Pool) error) error {
	old, err := t.Pool(id)
	if err != nil {
		return err
	}
	if err := t.childMutable(); err != nil {
		return err
	}
	if err := changeable("Pool", id, old.ProvisioningStatus); err != nil {
		return err
	}
	p := *old
	if err := change(&p); err != nil {
		return err
	}
	p.ID, p.LoadBalancerID, p.ProjectID, p.Protocol = old.ID, old.LoadBalancerID, old.ProjectID, old.Protocol
	p.Members, p.HealthMonitor, p.LastServerID = old.Members, old.HealthMonitor, old.LastServerID
	touch(&p.ProvisioningStatus)
	*old = p
	t.touchUsers(id)
	return nil
}

// DeletePool asks for a pool's removal with its members and monitor. Listeners that use it lose their default pool
// when it is gone; while a policy names it, it stays.
func (t *Tree) DeletePool(id string) error {
	p, err := t.Pool(id)
	if err != nil {
		return err
	}
	if err := t.checkUnredirected(id); err != nil {
		return err
	}
	if err := t.childMutable(); err != nil {
		return err
	}
	p.ProvisioningStatus = PendingDelete
	t.touchUsers(id)
	return nil
}

// AddHealthMonitor gives the pool h.PoolID its monitor.
func (t *Tree) AddHealthMonitor(h HealthMonitor) error {
	p, err := t.poolForChildren(h.PoolID)
	if err != nil {
		return err
	}
	if p.HealthMonitor != nil {
		return Faultf(KindConflict, "This pool already has a health monitor")
	}
	if err := CheckMonitorPool(h.Type, p.Protocol); err != nil {
		return err
	}
	h.ProjectID = t.LoadBalancer.ProjectID
	begin(&h.ProvisioningStatus, &h.OperatingStatus, &h.StatusReason, Offline)
	p.HealthMonitor = &h
	t.touchPool(p)
	return nil
}

// UpdateHealthMonitor changes a monitor; its type may not change.
func (t *Tree) UpdateHealthMonitor(id string, change func(*HealthMonitor) error) error {
	p, err := t.monitorsPool(id)
	if err != nil {
		return err
	}
	old := *p.HealthMonitor
	if err := changeable("Health Monitor", id, old.ProvisioningStatus); err != nil {
		return err
	}
	h := old
	if err := change(&h); err != nil {
		return err
	}
	h.ID, h.PoolID, h.ProjectID, h.Type = old.ID, old.PoolID, old.ProjectID, old.Type
	touch(&h.ProvisioningStatus)
	p.HealthMonitor = &h
	t.touchPool(p)
	return nil
}

// DeleteHealthMonitor asks for a monitor's removal.
func (t *Tree) DeleteHealthMonitor(id string) error {
	p, err := t.monitorsPool(id)
	if err != nil {
		return err
	}
	p.HealthMonitor.ProvisioningStatus = PendingDelete
	t.touchPool(p)
	return nil
}

// monitorsPool returns the pool that has this monitor, ready for a change.
func (t *Tree) monitorsPool(id string) (*Pool, error) {
	h, err := t.HealthMonitor(id)
	if err != nil {
		return nil, err
	}
	return t.poolForChildren(h.PoolID)
}

// touchPool marks the pool and what stands above it.
func (t *Tree) touchPool(p *Pool) {
	touch(&p.ProvisioningStatus)
	t.touchUsers(p.ID)
}
