package lb

import (
	"maps"
	"slices"
)

// Changes of a tree are pure: they check, set the PENDING_* chain and either change the tree as a whole or, returning
// a *Fault, leave it as it was. Ids are chosen by the caller; times are set by the store, by the database's clock.

// Listener returns the listener with this id, to be changed in place.
func (t *Tree) Listener(id string) (*Listener, error) {
	for i := range t.Listeners {
		if t.Listeners[i].ID == id {
			return &t.Listeners[i], nil
		}
	}
	return nil, notFound("Listener", id)
}

// Pool returns the pool with this id, to be changed in place.
func (t *Tree) Pool(id string) (*Pool, error) {
	for i := range t.Pools {
		if t.Pools[i].ID == id {
			return &t.Pools[i], nil
		}
	}
	return nil, notFound("Pool", id)
}

// Member returns a member of this pool, to be changed in place; one of another pool is not found.
func (t *Tree) Member(poolID, id string) (*Member, error) {
	p, err := t.Pool(poolID)
	if err != nil {
		return nil, err
	}
	for i := range p.Members {
		if p.Members[i].ID == id {
			return &p.Members[i], nil
		}
	}
	return nil, notFound("Member", id)
}

// HealthMonitor returns the health monitor with this id, to be changed in place.
func (t *Tree) HealthMonitor(id string) (*HealthMonitor, error) {
	for i := range t.Pools {
		if h := t.Pools[i].HealthMonitor; h != nil && h.ID == id {
			return h, nil
		}
	}
	return nil, notFound("Health Monitor", id)
}

// PoolListeners returns the ids of the listeners that use the pool, by default or through a policy.
func (t *Tree) PoolListeners(poolID string) []string {
	var ids []string
	for i := range t.Listeners {
		if t.Listeners[i].usesPool(poolID) {
			ids = append(ids, t.Listeners[i].ID)
		}
	}
	return ids
}

// Clone copies the tree deeply, so that a change of the copy leaves the original as it was.
func (t *Tree) Clone() Tree {
	c := *t
	c.LoadBalancer.Tags = slices.Clone(t.LoadBalancer.Tags)
	c.LoadBalancer.VIPSecurityGroups = slices.Clone(t.LoadBalancer.VIPSecurityGroups)
	c.LoadBalancer.AdditionalVIPs = slices.Clone(t.LoadBalancer.AdditionalVIPs)
	c.Listeners = slices.Clone(t.Listeners)
	for i := range c.Listeners {
		l := &c.Listeners[i]
		l.InsertHeaders, l.AllowedCIDRs, l.Tags = maps.Clone(l.InsertHeaders), slices.Clone(l.AllowedCIDRs), slices.Clone(l.Tags)
		l.ListenerTLS = cloneListenerTLS(l.ListenerTLS)
		l.L7Policies = slices.Clone(l.L7Policies)
		for j := range l.L7Policies {
			p := &l.L7Policies[j]
			p.Tags, p.Rules = slices.Clone(p.Tags), slices.Clone(p.Rules)
			for k := range p.Rules {
				p.Rules[k].Tags = slices.Clone(p.Rules[k].Tags)
			}
		}
	}
	c.Pools = slices.Clone(t.Pools)
	for i := range c.Pools {
		p := &c.Pools[i]
		p.Tags, p.Members = slices.Clone(p.Tags), slices.Clone(p.Members)
		p.PoolTLS = clonePoolTLS(p.PoolTLS)
		for j := range p.Members {
			p.Members[j].Tags = slices.Clone(p.Members[j].Tags)
		}
		if p.SessionPersistence != nil {
			s := *p.SessionPersistence
			p.SessionPersistence = &s
		}
		if p.HealthMonitor != nil {
			h := *p.HealthMonitor
			h.Tags = slices.Clone(h.Tags)
			p.HealthMonitor = &h
		}
	}
	return c
}

func notFound(kind, id string) error { return Faultf(KindNotFound, "%s %s not found.", kind, id) }
