package ledger

import (
	"slices"

	"colonnade/internal/distributor"
)

// Reasons of a swap.
const (
	ReasonProbe = "probe" // three probes in a row went unanswered
	ReasonDown  = "down"  // the amphora said itself that it cannot serve
)

// Silence says why an amphora counts as silent: amphora id -> ReasonProbe or ReasonDown.
type Silence map[string]string

// Decide returns the swaps that are due: for each dead position, lowest first, the next standby in the table's order
// that is not used and not silent itself. It is a function of its arguments alone, so that a restarted agent and a
// peer come to the same swaps. swaps are all swaps of this load balancer; the table has taken in those up to its
// TakenSwap, and they count no more.
//
// What never happens: a swap back; a standby used twice (so at most len(t.Standbys) swaps a table); any swap while more
// than half of the amphorae are silent, because then it is the distributor that is cut off.
func Decide(t distributor.Table, swaps []distributor.Swap, silent Silence) []distributor.Swap {
	if len(silent) == 0 || mostSilent(t, silent) {
		return nil
	}
	pending := Pending(t, swaps)
	var free []string
	for _, h := range t.Standbys {
		id := t.Holders[h].AmphoraID
		used := slices.ContainsFunc(pending, func(s distributor.Swap) bool { return s.StandbyID == id })
		if !used && silent[id] == "" {
			free = append(free, id)
		}
	}
	seq := lastSeq(t, swaps)
	var due []distributor.Swap
	for _, p := range t.Positions(swaps) {
		// A vacant position's rows already go to their next choice; filling it is the cluster manager's.
		reason := silent[p.AmphoraID]
		if p.AmphoraID == "" || reason == "" {
			continue
		}
		if len(free) == 0 {
			break
		}
		seq++
		due = append(due, distributor.Swap{
			Seq: seq, Position: p.Position, AmphoraID: p.AmphoraID, StandbyID: free[0], Reason: reason,
		})
		free = free[1:]
	}
	return due
}

// Pending returns the swaps that t has not taken in.
func Pending(t distributor.Table, swaps []distributor.Swap) []distributor.Swap {
	var out []distributor.Swap
	for _, s := range swaps {
		if s.Seq > t.TakenSwap {
			out = append(out, s)
		}
	}
	return out
}

// lastSeq is the number of the last swap ever, as far as distributor and table know together: a rebuilt distributor
// goes on counting where the table's memory ends.
func lastSeq(t distributor.Table, swaps []distributor.Swap) int64 {
	last := t.TakenSwap
	for _, s := range swaps {
		last = max(last, s.Seq)
	}
	return last
}

// mostSilent says whether more than half of the amphorae that the table gives work or keeps ready are silent.
func mostSilent(t distributor.Table, silent Silence) bool {
	all := named(t)
	n := 0
	for h := range all {
		if silent[t.Holders[h].AmphoraID] != "" {
			n++
		}
	}
	return 2*n > len(all)
}

// named returns the holders that the table names: of positions now and earlier, and standbys.
func named(t distributor.Table) map[int]bool {
	all := map[int]bool{}
	add := func(hs []int) {
		for _, h := range hs {
			if h >= 0 { // neither Vacant nor Gone
				all[h] = true
			}
		}
	}
	add(t.Current.Holders)
	add(t.Standbys)
	for _, g := range t.Earlier {
		add(g.Holders)
	}
	return all
}
