package distributor

import (
	"slices"

	"colonnade/internal/siphash"
)

// Gone stands in an earlier Generation for a position whose holder has died or drained since: its rows had that owner
// and nobody else, so nobody is asked in its stead. Vacant, in contrast, means that the rows went to their next choice.
const Gone = -2

// maxEarlier is how many earlier owners a row's list may name.
const maxEarlier = MaxOwners - 2

// none pads owner lists.
const none = 0xff

// ownerOf returns who served a row under a generation: the holder of the first position in the row's order of choice
// that is not vacant.
func ownerOf(holders []int, order []uint8) int {
	for _, p := range order {
		if h := holders[p]; h != Vacant {
			return h
		}
	}
	return Vacant
}

// eachEarlier calls visit with every (row, holder) that generation i of t.Earlier adds to the owner lists: pairs that
// neither t.Current nor a newer generation has.
func (t Table) eachEarlier(key siphash.Key, visit func(generation, row, holder int)) {
	cur := choicesFor(key, t.Rows, len(t.Current.Holders))
	earlier := make([]*choices, len(t.Earlier))
	for i, g := range t.Earlier {
		earlier[i] = choicesFor(key, t.Rows, len(g.Holders))
	}
	seen := make([]int, 0, len(t.Earlier)+1)
	for row := range t.Rows {
		seen = append(seen[:0], ownerOf(t.Current.Holders, cur.of(row)))
		for i, g := range t.Earlier {
			h := ownerOf(g.Holders, earlier[i].of(row))
			if h < 0 || slices.Contains(seen, h) {
				continue
			}
			seen = append(seen, h)
			visit(i, row, h)
		}
	}
}

// ownerLists computes every row's owner list, MaxOwners entries a row, padded with none: the owner now, up to three
// earlier owners, newest first, and last the next choice.
func (t Table) ownerLists(key siphash.Key) []uint8 {
	lists := make([]uint8, t.Rows*MaxOwners)
	length := make([]uint8, t.Rows)
	for i := range lists {
		lists[i] = none
	}
	add := func(row, holder int) {
		list := lists[row*MaxOwners : (row+1)*MaxOwners]
		if holder >= 0 && !slices.Contains(list, uint8(holder)) {
			list[length[row]] = uint8(holder)
			length[row]++
		}
	}
	cur := choicesFor(key, t.Rows, len(t.Current.Holders))
	for row := range t.Rows {
		add(row, ownerOf(t.Current.Holders, cur.of(row)))
	}
	taken := make([]uint8, t.Rows)
	t.eachEarlier(key, func(_, row, holder int) {
		if length[row] > 0 && taken[row] < maxEarlier { // a row without an owner reaches nobody
			taken[row]++
			add(row, holder)
		}
	})
	for row := range t.Rows {
		add(row, nextChoice(t.Current.Holders, cur.of(row)))
	}
	return lists
}

// nextChoice returns the holder of the second position in order that is not vacant, or Vacant.
func nextChoice(holders []int, order []uint8) int {
	held := 0
	for _, p := range order {
		if holders[p] == Vacant {
			continue
		}
		if held++; held == 2 {
			return holders[p]
		}
	}
	return Vacant
}
