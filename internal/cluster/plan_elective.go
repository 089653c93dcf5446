package cluster

import (
	"fmt"
	"slices"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// removeDrained takes one former holder off the owner lists that has no connection left or whose deadline passed, or a
// standby that is not wanted any more.
func (p *planner) removeDrained(d *drafting) error {
	for _, a := range p.ob.ClusterState.Amphorae {
		if going(a) || a.Position >= 0 {
			continue
		}
		var reason string
		switch {
		case !a.DrainingSince.IsZero():
			reason = p.drained(a)
		case p.surplus(a):
			reason = "its successor is ready"
		}
		if reason == "" {
			continue
		}
		if p.heldBack(a) {
			continue
		}
		d.steps = append(d.steps, Step{Act: Act{ActRemove, a.ID}, Reason: reason})
		if !names(d.table, a.ID) {
			continue // on no owner list: no row was its own
		}
		return d.add(Removing, distributor.Vacate(a.ID))
	}
	return nil
}

// drained says why a former holder may go now; "" if it may not yet. Its own count is believed only when it comes from
// a direct question after the distributor moved its rows.
func (p *planner) drained(a lb.Amphora) string {
	f := p.ob.Amphorae[a.ID]
	if deadline := a.DrainingSince.Add(p.spec.DrainDeadline); !deadline.After(p.now) {
		return "its drain deadline passed"
	} else {
		p.lookAt(deadline)
	}
	if floor := a.DrainingSince.Add(p.spec.DrainFloor); floor.After(p.now) {
		p.lookAt(floor)
		return ""
	}
	if f.Status != nil && f.Status.HeldElsewhere == 0 && f.Status.TableApplied.Revision >= p.in.Version {
		return "it holds no connection any more"
	}
	p.lookAt(p.now.Add(drainLook))
	return ""
}

// surplus reports whether a standby is to be replaced, or one too many, and enough others are ready.
func (p *planner) surplus(a lb.Amphora) bool {
	if a.Role != lb.RoleInClusterStandby || a.OutOfService || a.Status != lb.AmphoraAllocated || slices.Contains(p.in.Current.Holders, distributor.Vacant) {
		return false
	}
	others := 0
	for _, b := range p.ob.ClusterState.Amphorae {
		if b.ID != a.ID && p.eligible(b) && p.named(b.ID) && !p.replacing(b) && (p.replacing(a) || b.CreatedAt.Before(a.CreatedAt) || b.CreatedAt.Equal(a.CreatedAt) && b.ID < a.ID) {
			others++
		}
	}
	return others >= p.standbys()+max(0, p.size()-len(p.in.Current.Holders)) // those that it will grow by are none too many
}

// size is how many positions there are to be.
func (p *planner) size() int { return min(p.ob.Cluster.DesiredSize, distributor.MaxPositions) }

// resize makes the table one position larger or smaller, when the cluster is to have another size.
func (p *planner) resize(d *drafting) error {
	have, want := len(d.table.Current.Holders), max(p.size(), 1)
	if have == want {
		return nil
	}
	if cooled := p.ob.Cluster.LastElectiveAt.Add(p.ob.Cluster.Cooldown); cooled.After(p.now) {
		p.lookAt(cooled)
		return nil
	}
	if slices.Contains(d.table.Current.Holders[:min(have, want)], distributor.Vacant) {
		return nil // whoever serves in its stead must not leave too
	}
	if have > want {
		last := have - 1
		if err := d.add(Adding, distributor.Shrink()); noRoom(err) {
			return nil // when a former holder has drained
		} else if err != nil {
			return err
		}
		if a := p.amphora(holderAt(p.in.Table, last)); a != nil {
			d.steps = append(d.steps, Step{Act: Act{ActShrink, a.ID}, Position: last, Reason: fmt.Sprintf("the cluster is to have %d positions", want)})
		}
		return nil
	}
	s := p.standbyFor(d.table, false, d.taken)
	if s == nil || p.replacing(*s) || !p.named(s.ID) {
		return nil
	}
	if err := d.add(Adding, distributor.Grow(holderOf(*s))); noRoom(err) {
		return nil
	} else if err != nil {
		return err
	}
	d.steps = append(d.steps, Step{Act: Act{ActGrow, s.ID}, Position: have, Reason: fmt.Sprintf("the cluster is to have %d positions", want)})
	return nil
}

// handOver begins one planned replacement: the standby takes the position, the former holder drains.
func (p *planner) handOver(d *drafting) error {
	if slices.Contains(d.table.Current.Holders, distributor.Vacant) {
		return nil
	}
	cooled := p.ob.Cluster.LastElectiveAt.Add(p.ob.Cluster.Cooldown)
	for pos := range d.table.Current.Holders {
		a := p.amphora(holderAt(d.table, pos))
		if a == nil {
			continue
		}
		f := p.ob.Amphorae[a.ID]
		var reason string
		switch {
		case p.replacing(*a):
			reason = reasonPlanned // asked for by a person: no cooldown
		case p.verdicts[a.ID] == suspect && !f.SuspectSince.IsZero() && !f.SuspectSince.Add(p.spec.SuspectAfter).After(p.now):
			if cooled.After(p.now) {
				p.lookAt(cooled)
				continue
			}
			reason = reasonWitness + p.spec.SuspectAfter.String()
		default:
			continue
		}
		s := p.standbyFor(d.table, false, d.taken)
		if s == nil || p.replacing(*s) || !p.named(s.ID) {
			return nil
		}
		if err := d.add(Adding, distributor.HandOver(pos, holderOf(*s))); noRoom(err) {
			continue
		} else if err != nil {
			return err
		}
		d.steps = append(d.steps, Step{Act: Act{ActHandOver, s.ID}, Position: pos, From: a.ID, Reason: reason})
		return nil
	}
	return nil
}

// tidy takes holders off the owner lists of rows that they served while a position was vacant, once they hold no
// connection of those any more. Growing lists would one day stand in the way of a hand-over.
func (p *planner) tidy(d *drafting) error {
	var forget []distributor.Change
	for _, a := range p.ob.ClusterState.Amphorae {
		if a.Position < 0 || !earlier(d.table, a.ID) {
			continue
		}
		if f := p.ob.Amphorae[a.ID]; f.Status != nil && f.Status.HeldElsewhere == 0 && f.Status.TableApplied.Revision >= p.in.Version {
			forget = append(forget, distributor.Forget(a.ID))
		} else {
			p.lookAt(p.now.Add(tidyLook))
		}
	}
	if len(forget) == 0 {
		return nil
	}
	return d.add(Removing, forget...)
}

// earlier reports whether a former generation names the amphora.
func earlier(t distributor.Table, id string) bool {
	return slices.ContainsFunc(t.Earlier, func(g distributor.Generation) bool {
		return slices.ContainsFunc(g.Holders, func(h int) bool { return h >= 0 && t.Holders[h].AmphoraID == id })
	})
}
