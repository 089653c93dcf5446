package cluster

import "colonnade/internal/lb"

// statuses counts positions (S28).
func (p *planner) statuses() Statuses {
	c := p.ob.Cluster
	st := Statuses{Provisioning: c.ProvisioningStatus, Tables: map[string]int64{}}
	online := 0
	serving := p.ob.Distributor.Ready && p.ob.Distributor.Table > 0
	for _, a := range p.ob.ClusterState.Amphorae {
		f := p.ob.Amphorae[a.ID]
		if f.Table > 0 {
			st.Tables[a.ID] = f.Table
		}
		if going(a) || a.OutOfService || p.verdicts[a.ID] != sound || a.Status != lb.AmphoraAllocated || !serving {
			continue
		}
		if a.Position >= 0 {
			online++
		} else if p.eligible(a) && p.named(a.ID) && p.in.Version == p.ob.Distributor.Table {
			st.StandbyReady++
		}
	}
	least := max(c.MinSize, 1)
	if c.ProvisioningStatus == lb.PendingCreate && online >= least {
		st.Provisioning = lb.Active
	}
	st.Operating = OperatingOf(online, c.DesiredSize, least)
	if !p.ob.LoadBalancer.Enabled || st.Provisioning == lb.PendingCreate {
		st.Operating = lb.Offline
	}
	return st
}

// OperatingOf is a cluster's operating status by the count of its online positions (S28).
func OperatingOf(online, desired, least int) lb.OperatingStatus {
	switch {
	case online < least:
		return lb.OperatingDown
	case online < desired:
		return lb.Degraded
	}
	return lb.Online
}
