package cluster

import (
	"cmp"
	"errors"
	"slices"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// eligible reports whether a standby may be told to the distributor or take a position by choice: it is
// configured, alive, and runs the current revision. That it has the table is waited for before the distributor hears.
func (p *planner) eligible(a lb.Amphora) bool {
	return p.candidate(a) && a.AppliedRevision >= p.ob.LoadBalancer.Revision && p.verdicts[a.ID] == sound
}

// candidate is what a standby must be in any case.
func (p *planner) candidate(a lb.Amphora) bool {
	f := p.ob.Amphorae[a.ID]
	return a.Role == lb.RoleInClusterStandby && a.Status == lb.AmphoraAllocated && a.Position < 0 && !a.OutOfService &&
		a.DrainingSince.IsZero() && f.Alive && !f.Refuses && a.FrontEndMAC != ""
}

// standbyFor chooses who takes a position: those that the distributor knows, in its order, before others. By need one
// that is a revision behind will do, because the worker is about to bring it up.
func (p *planner) standbyFor(t distributor.Table, need bool, but map[string]bool) *lb.Amphora {
	var best *lb.Amphora
	rank := func(a *lb.Amphora) int {
		known := slices.IndexFunc(t.Standbys, func(s int) bool { return t.Holders[s].AmphoraID == a.ID })
		if known < 0 {
			known = distributor.MaxHolders
		}
		if p.replacing(*a) {
			known += 2 * distributor.MaxHolders
		}
		if !p.eligible(*a) {
			known += 4 * distributor.MaxHolders
		}
		return known
	}
	for i := range p.ob.ClusterState.Amphorae {
		a := &p.ob.ClusterState.Amphorae[i]
		ok := p.eligible(*a) || need && p.candidate(*a) && p.verdicts[a.ID] == sound && names(t, a.ID)
		if !ok || but[a.ID] {
			continue
		}
		if best == nil || cmp.Less(rank(a), rank(best)) {
			best = a
		}
	}
	return best
}

// noRoom says that an elective change waits for a former holder to drain.
func noRoom(err error) bool {
	var full *distributor.EarlierFullError
	return errors.As(err, &full)
}
