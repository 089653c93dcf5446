package lb

import (
	"cmp"
	"slices"
)

// AddMember adds a member to a pool and gives it a server id.
func (t *Tree) AddMember(poolID string, m Member) error {
	p, err := t.poolForChildren(poolID)
	if err != nil {
		return err
	}
	if err := p.checkMember(&m); err != nil {
		return err
	}
	p.addMember(m, t.LoadBalancer.ProjectID)
	t.touchPool(p)
	return nil
}

func (p *Pool) addMember(m Member, projectID string) {
	p.LastServerID++
	m.PoolID, m.ProjectID, m.ServerID = p.ID, projectID, p.LastServerID
	begin(&m.ProvisioningStatus, &m.OperatingStatus, &m.StatusReason, p.memberStart())
	p.Members = append(slices.Clip(p.Members), m)
}

// UpdateMember changes a member; its address, port and subnet may not change.
func (t *Tree) UpdateMember(poolID, id string, change func(*Member) error) error {
	old, err := t.Member(poolID, id)
	if err != nil {
		return err
	}
	p, err := t.poolForChildren(poolID)
	if err != nil {
		return err
	}
	if err := changeable("Member", id, old.ProvisioningStatus); err != nil {
		return err
	}
	m := *old
	if err := change(&m); err != nil {
		return err
	}
	m.keepIdentity(old)
	touch(&m.ProvisioningStatus)
	*old = m
	t.touchPool(p)
	return nil
}

// keepIdentity takes over from old what no update changes.
func (m *Member) keepIdentity(old *Member) {
	m.ID, m.PoolID, m.ProjectID, m.ServerID, m.SubnetID, m.VnicType = old.ID, old.PoolID, old.ProjectID, old.ServerID, old.SubnetID, old.VnicType
	m.Address, m.ProtocolPort, m.CreatedAt, m.UpdatedAt = old.Address, old.ProtocolPort, old.CreatedAt, old.UpdatedAt
}

// DeleteMember asks for a member's removal.
func (t *Tree) DeleteMember(poolID, id string) error {
	m, err := t.Member(poolID, id)
	if err != nil {
		return err
	}
	p, err := t.poolForChildren(poolID)
	if err != nil {
		return err
	}
	m.ProvisioningStatus = PendingDelete
	t.touchPool(p)
	return nil
}

// place is what a batch matches members by.
type place struct {
	address string
	port    int
}

// ReplaceMembers makes the pool's members those wanted, matched by address and port (the ids in want serve new ones
// only; a subnet that is "" stays what it was); with additive none is removed. As in Octavia every member that is named
// changes, even to what it is; a batch that names none and removes none leaves the tree as it is.
func (t *Tree) ReplaceMembers(poolID string, want []Member, additive bool) error {
	p, err := t.poolForChildren(poolID)
	if err != nil {
		return err
	}
	had := make(map[place]int, len(p.Members))
	for i, m := range p.Members {
		had[place{m.Address, m.ProtocolPort}] = i
	}
	// Everything is checked before anything is changed.
	wanted := make(map[place]bool, len(want))
	for i := range want {
		m := &want[i]
		at := place{m.Address, m.ProtocolPort}
		old, existed := had[at]
		switch {
		case wanted[at] && existed:
			return Faultf(KindInvalid, "Validation failure: Member %s:%d is given more than once", m.Address, m.ProtocolPort)
		case wanted[at]:
			return duplicateMember(m)
		case existed:
			if err := changeable("Member", p.Members[old].ID, p.Members[old].ProvisioningStatus); err != nil {
				return err
			}
		}
		wanted[at] = true
	}
	changed := len(want) > 0
	for _, m := range want {
		i, existed := had[place{m.Address, m.ProtocolPort}]
		if !existed {
			p.addMember(m, t.LoadBalancer.ProjectID)
			continue
		}
		old, subnetID := &p.Members[i], m.SubnetID
		m.keepIdentity(old)
		m.SubnetID = cmp.Or(subnetID, old.SubnetID)
		m.ProvisioningStatus, m.OperatingStatus, m.StatusReason = old.ProvisioningStatus, old.OperatingStatus, old.StatusReason
		touch(&m.ProvisioningStatus)
		*old = m
	}
	if !additive {
		for i := range p.Members {
			m := &p.Members[i]
			if !wanted[place{m.Address, m.ProtocolPort}] && m.ProvisioningStatus != PendingDelete {
				m.ProvisioningStatus = PendingDelete
				changed = true
			}
		}
	}
	if changed {
		t.touchPool(p)
	}
	return nil
}
