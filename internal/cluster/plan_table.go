package cluster

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// drafting collects the changes that become one version of the table, with the steps in the rows that go with them.
type drafting struct {
	table   distributor.Table // after changes
	change  Change
	changes []distributor.Change
	steps   []Step
	taken   map[string]bool // who was given a position, or loses all, in this version
}

// decideTable plans the next version of the table, if there has to be one. Failures and vacant positions are dealt
// with at once, whatever is being installed; everything else waits until the present version is where it belongs.
func (p *planner) decideTable() error {
	base := p.in.Table
	if !p.hasTable {
		if p.standbyFor(base, false, nil) == nil {
			d := &drafting{taken: map[string]bool{}} // those who die before there is a table are replaced all the same
			err := p.dropDead(d)
			p.rows = append(p.rows, d.steps...)
			p.removeUnnamed(d)
			return err
		}
		key := sha256.Sum256([]byte("table of " + p.ob.Cluster.ID + p.ob.Cluster.ProbeKey))
		var err error
		if base, err = distributor.NewTable([16]byte(key[:]), distributor.Affinity(p.ob.Cluster.Affinity), p.ob.Cluster.DesiredSize); err != nil {
			return err
		}
		base.Rows = p.spec.Rows
	}
	d := &drafting{table: base, taken: map[string]bool{}}
	for _, stage := range []func(*drafting) error{p.takeSwapsIn, p.replaceLost, p.dropDead, p.fillVacant, p.nameStandbys} {
		if err := stage(d); err != nil {
			return err
		}
	}
	p.removeUnnamed(d)
	if len(d.changes) == 0 && p.installed() {
		for _, stage := range []func(*drafting) error{p.removeDrained, p.handOver, p.resize, p.tidy} {
			if len(d.changes) > 0 {
				break // one elective change at a time
			}
			if err := stage(d); err != nil {
				return err
			}
		}
	}
	elective := slices.ContainsFunc(d.steps, func(s Step) bool { return s.Name == ActHandOver || s.Name == ActGrow || s.Name == ActShrink })
	p.rows = append(p.rows, d.steps...)
	if len(d.changes) > 0 {
		// Drafted change by change, so the draft's own version counted each; the version is one more than the last.
		d.table.Version = p.in.Version + 1
		p.row(Step{Act: Act{Name: ActSetTable}, Table: &Install{d.table, d.change}, Elective: elective})
	}
	return nil
}

// add adds changes to the draft. Failures must not wait for room on owner lists: who stands longest leaves them.
func (d *drafting) add(kind Change, changes ...distributor.Change) error {
	next, err := d.table.Next(changes...)
	for i := 0; kind == Failing && noRoom(err) && i < distributor.MaxHolders; i++ {
		oldest := d.oldest()
		if oldest == "" {
			break
		}
		next, err = d.table.Next(append([]distributor.Change{distributor.Forget(oldest)}, changes...)...)
		if err == nil || !noRoom(err) {
			break
		}
		if d.table, err = d.table.Next(distributor.Forget(oldest)); err != nil {
			return err
		}
		next, err = d.table.Next(changes...)
	}
	if err != nil {
		return err
	}
	d.table = next
	d.changes = append(d.changes, changes...)
	if d.change != Failing {
		d.change = kind
	}
	return nil
}

// oldest names an amphora of the oldest earlier generation that holds no position.
func (d *drafting) oldest() string {
	for _, g := range slices.Backward(d.table.Earlier) {
		for _, h := range g.Holders {
			if h >= 0 && !slices.Contains(d.table.Current.Holders, h) {
				return d.table.Holders[h].AmphoraID
			}
		}
	}
	return ""
}

func holderOf(a lb.Amphora) distributor.Holder {
	return distributor.Holder{AmphoraID: a.ID, MAC: a.FrontEndMAC}
}

// takeSwapsIn follows what the distributor has done by itself.
func (p *planner) takeSwapsIn(d *drafting) error {
	for _, s := range p.ob.Distributor.Swaps {
		if s.Seq <= d.table.TakenSwap {
			continue
		}
		if err := d.add(Failing, distributor.TakeSwaps([]distributor.Swap{s})); err != nil {
			return err
		}
		if a := p.amphora(s.StandbyID); a != nil && a.Position < 0 && !going(*a) && a.FrontEndMAC != "" && !names(d.table, a.ID) {
			if err := d.add(Failing, distributor.StoodIn(s, holderOf(*a))); err != nil {
				return err
			}
		}
		reason := reasonSwapped + s.Reason
		if a := p.amphora(s.AmphoraID); a != nil && !going(*a) && !d.taken[a.ID] {
			d.taken[a.ID] = true
			if a.Position >= 0 || !a.OutOfService { // else the manager was as fast
				d.steps = append(d.steps, Step{Act: Act{ActOutOfService, a.ID}, Position: s.Position, Reason: reason, Draining: p.verdicts[a.ID] != dead})
			}
		}
		if h := holderAt(d.table, s.Position); h == s.StandbyID && h != "" && !d.taken[h] {
			a := p.amphora(h)
			if a != nil && a.Position == s.Position && !a.OutOfService && !going(*a) {
				continue // the manager heard of the loss too, and gave this standby the position at the same moment
			}
			if a == nil || a.Role != lb.RoleInClusterStandby || a.Status != lb.AmphoraAllocated || a.OutOfService || a.Position >= 0 {
				// It fell out of service while the distributor chose it: another one, and what it took meanwhile drains.
				d.taken[h] = true
				change := distributor.Vacate(h)
				if other := p.standbyFor(d.table, true, d.taken); other != nil {
					d.taken[other.ID] = true
					change = distributor.HandOver(s.Position, holderOf(*other))
					d.steps = append(d.steps, Step{Act: Act{ActReplace, other.ID}, Position: s.Position, From: h, Reason: reason})
				}
				if a != nil && !going(*a) {
					d.steps = append(d.steps, Step{Act: Act{ActOutOfService, h}, Reason: "swapped in though out of service", Draining: true})
				}
				if err := d.add(Failing, change); err != nil {
					return err
				}
				continue
			}
			d.taken[h] = true
			d.steps = append(d.steps, Step{Act: Act{ActTakeSwapIn, h}, Position: s.Position, From: s.AmphoraID, Reason: reason})
		} else if a := p.amphora(s.StandbyID); a != nil && a.Position < 0 && !going(*a) && a.DrainingSince.IsZero() && !d.taken[a.ID] && earlier(d.table, a.ID) &&
			(h != "" || s.Position >= len(d.table.Current.Holders) || !p.candidate(*a)) {
			// The position was somebody else's, or given up, by then, or the standby cannot fill it any more: what it took until the
			// distributor heard of it drains.
			d.taken[a.ID] = true
			d.steps = append(d.steps, Step{Act: Act{ActShrink, a.ID}, Position: s.Position, Reason: "the distributor swapped it in after the position had gone elsewhere"})
		}
	}
	return nil
}

// replaceLost gives the positions of those that failed to standbys, or makes them vacant.
func (p *planner) replaceLost(d *drafting) error {
	for pos := range d.table.Current.Holders {
		id := holderAt(d.table, pos)
		if id == "" || d.taken[id] {
			continue
		}
		a := p.amphora(id)
		reason, alive := p.lost(a)
		if reason == "" {
			continue
		}
		s := p.standbyFor(d.table, true, d.taken)
		if s == nil && alive {
			continue // better than nobody, until a standby is there
		}
		d.taken[id] = true
		change := []distributor.Change{distributor.Vacate(id)}
		switch {
		case s != nil && alive:
			change = []distributor.Change{distributor.HandOver(pos, holderOf(*s))} // its connections are passed back to it
		case s != nil:
			change = append(change, distributor.Fill(pos, holderOf(*s)))
		}
		if err := d.add(Failing, change...); err != nil {
			return err
		}
		if a != nil && !going(*a) {
			d.steps = append(d.steps, Step{Act: Act{ActOutOfService, id}, Position: pos, Reason: reason, Draining: alive})
		}
		if s != nil {
			d.taken[s.ID] = true
			d.steps = append(d.steps, Step{Act: Act{ActReplace, s.ID}, Position: pos, From: id, Reason: reason})
		} else if a != nil {
			d.steps = append(d.steps, Step{Act: Act{ActVacate, id}, Position: pos, From: id, Reason: reason})
		}
	}
	return nil
}

// lost says why a holder cannot keep its position, "" if it can, and whether it may still hold connections.
func (p *planner) lost(a *lb.Amphora) (reason string, alive bool) {
	switch {
	case a == nil:
		return "its row is gone", false
	case going(*a):
		return "it is being deleted", false
	case p.verdicts[a.ID] == dead:
		return reasonDead, false
	case p.ob.Amphorae[a.ID].Down:
		return reasonDown, false
	case a.OutOfService:
		return cmp.Or(a.StatusReason, "out of service"), true
	case p.ob.Amphorae[a.ID].Refuses:
		return reasonRefuses, true
	}
	return "", true
}

// dropDead takes the dead off owner lists and standbys, and marks them for deletion, unless so many amphorae vanished
// at once that the monitor is more likely to be wrong.
func (p *planner) dropDead(d *drafting) error {
	for _, a := range p.ob.ClusterState.Amphorae {
		f := p.ob.Amphorae[a.ID]
		// Who holds no position has nothing to hand over: less is enough.
		long := p.verdicts[a.ID] == suspect && !f.SuspectSince.IsZero() && !f.SuspectSince.Add(p.spec.SuspectAfter).After(p.now)
		useless := a.Position < 0 && !a.OutOfService && (f.Refuses || f.Down || long && a.DrainingSince.IsZero())
		if going(a) || d.taken[a.ID] || p.verdicts[a.ID] != dead && !useless {
			continue
		}
		if names(d.table, a.ID) {
			if err := d.add(Failing, distributor.Vacate(a.ID)); err != nil {
				return err
			}
		}
		d.taken[a.ID] = true
		const held = "not replaced: more than half of all amphorae are silent at once, the monitor may be wrong"
		switch {
		case !a.OutOfService:
			d.steps = append(d.steps, Step{Act: Act{ActOutOfService, a.ID}, Reason: "it does not serve any more"})
		case p.verdicts[a.ID] == dead && p.heldBack(a):
			if a.StatusReason != held { // said once
				d.steps = append(d.steps, Step{Act: Act{ActHoldBack, a.ID}, Reason: held})
			}
		case !p.counted(a):
		default:
			d.steps = append(d.steps, Step{Act: Act{ActRemove, a.ID}, Reason: "dead: " + cmp.Or(a.StatusReason, "two witnesses")})
		}
	}
	return nil
}

// fillVacant gives vacant positions to eligible standbys.
func (p *planner) fillVacant(d *drafting) error {
	for pos := range d.table.Current.Holders {
		if holderAt(d.table, pos) != "" || pos >= p.size() && pos > 0 { // one that is to be given up stays vacant
			continue
		}
		s := p.standbyFor(d.table, false, d.taken)
		if s == nil {
			return nil
		}
		if err := d.add(Adding, distributor.Fill(pos, holderOf(*s))); noRoom(err) {
			return nil // filled when a former owner has drained
		} else if err != nil {
			return err
		}
		d.taken[s.ID] = true
		d.steps = append(d.steps, Step{Act: Act{ActFill, s.ID}, Position: pos, Reason: "the position was vacant"})
	}
	return nil
}

// nameStandbys tells the distributor whom it may swap in. One that it knows stays while it lives, also during the
// moment in which a new revision reaches it.
func (p *planner) nameStandbys(d *drafting) error {
	if !p.hasTable && len(d.changes) == 0 {
		return nil
	}
	var want []distributor.Holder
	var before []string
	for _, i := range d.table.Standbys {
		h := d.table.Holders[i]
		before = append(before, h.AmphoraID)
		if a := p.amphora(h.AmphoraID); a != nil && !d.taken[a.ID] && p.candidate(*a) && p.verdicts[a.ID] != dead {
			want = append(want, h)
		}
	}
	added := false
	for _, a := range p.ob.ClusterState.Amphorae {
		if d.taken[a.ID] || slices.Contains(before, a.ID) || !p.eligible(a) {
			continue
		}
		want = append(want, holderOf(a))
		added = true
	}
	if !added && len(want) == len(before) {
		return nil
	}
	kind := Failing // who only leaves must not be waited for
	if added {
		kind = Adding
	}
	return d.add(kind, distributor.SetStandbys(want...))
}

// removeUnnamed marks amphorae for deletion that are out of service and that no table names (any more).
func (p *planner) removeUnnamed(d *drafting) {
	for _, a := range p.ob.ClusterState.Amphorae {
		if d.taken[a.ID] || names(d.table, a.ID) || !a.OutOfService || going(a) || p.named(a.ID) {
			continue
		}
		if p.heldBack(a) {
			continue
		}
		// One that had a position and may live, though the distributor does not reach it, gets the time of a suspect.
		if until := a.DrainingSince.Add(p.spec.SuspectAfter); !a.DrainingSince.IsZero() && until.After(p.now) {
			p.lookAt(until)
			continue
		}
		if !p.counted(a) {
			continue
		}
		p.row(Step{Act: Act{ActRemove, a.ID}, Reason: cmp.Or(a.StatusReason, "out of service")})
	}
}

// heldBack reports whether the guard forbids to delete an amphora now, because nobody answers for it and so many are silent;
// it has the cluster looked at again.
func (p *planner) heldBack(a lb.Amphora) bool {
	f := p.ob.Amphorae[a.ID]
	if !p.ob.Fleet.suspicious() || f.Reachable || f.Gone {
		return false
	}
	p.lookAt(p.now.Add(p.spec.SuspectAfter))
	return true
}

// counted reports whether the guard has had the time to count who else fell silent with an amphora that is to be deleted
// because it seems dead.
func (p *planner) counted(a lb.Amphora) bool {
	f := p.ob.Amphorae[a.ID]
	if !p.ob.Fleet.guards() || f.Reachable || f.Gone {
		return true
	}
	until := f.SuspectSince.Add(countFor)
	if f.SuspectSince.IsZero() || !until.After(p.now) {
		return true
	}
	p.lookAt(until)
	return false
}

// holderAt names the holder of a position, "" when it is vacant or does not exist.
func holderAt(t distributor.Table, pos int) string {
	if pos < 0 || pos >= len(t.Current.Holders) || t.Current.Holders[pos] < 0 {
		return ""
	}
	return t.Holders[t.Current.Holders[pos]].AmphoraID
}
