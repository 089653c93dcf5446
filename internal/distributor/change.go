package distributor

import (
	"fmt"
	"slices"

	"colonnade/internal/siphash"
)

// Change is one step from a table to the next. All changes given to one call of Next become one version.
type Change func(*draft) error

// EarlierFullError says that a change would push a living amphora, which may still hold connections, off owner lists.
// The change waits until that amphora, or a newer one of these rows, has drained (Forget) or is dead (Vacate).
type EarlierFullError struct {
	AmphoraID string // who would lose its place
}

func (e *EarlierFullError) Error() string {
	return fmt.Sprintf("owner lists are full: amphora %s has not drained yet", e.AmphoraID)
}

// draft is a table in the making.
type draft struct {
	table    Table
	before   Generation // t.Current as it was installed, holders that died since replaced by Gone
	moved    bool       // rows left a living owner: before becomes the newest earlier generation
	elective bool       // and nobody may be pushed off an owner list for it
}

// NewTable makes the table of a new load balancer: every position vacant, version 0, to be filled with Next.
func NewTable(key [16]byte, affinity Affinity, positions int) (Table, error) {
	t := Table{
		Key: fmt.Sprintf("%x", key), Rows: DefaultRows, Affinity: affinity,
		Current: Generation{Holders: slices.Repeat([]int{Vacant}, max(positions, 0))},
	}
	return t, t.Validate()
}

// Next returns the table after the changes, in order, with the version raised by one. t itself stays as it is.
// Former owners of rows that moved become the newest entry of Earlier, which is then rid of what no row needs, as
// Holders is of those no longer named.
func (t Table) Next(changes ...Change) (Table, error) {
	if err := t.Validate(); err != nil {
		return Table{}, err
	}
	d := &draft{table: t.clone(), before: Generation{Holders: slices.Clone(t.Current.Holders)}}
	for _, change := range changes {
		if err := change(d); err != nil {
			return Table{}, fmt.Errorf("table after %d: %w", t.Version, err)
		}
	}
	next := d.table
	next.Version++
	if d.moved {
		next.Earlier = slices.Insert(next.Earlier, 0, d.before)
	}
	if err := next.Validate(); err != nil {
		return Table{}, err
	}
	key, err := next.key()
	if err != nil {
		return Table{}, err
	}
	if full := next.pruneEarlier(key); full != Vacant && d.elective {
		return Table{}, &EarlierFullError{AmphoraID: next.Holders[full].AmphoraID}
	}
	next.pruneHolders()
	return next, nil
}

func (t Table) clone() Table {
	t.Holders = slices.Clone(t.Holders)
	t.Standbys = slices.Clone(t.Standbys)
	t.Current.Holders = slices.Clone(t.Current.Holders)
	t.Earlier = slices.Clone(t.Earlier)
	for i := range t.Earlier {
		t.Earlier[i].Holders = slices.Clone(t.Earlier[i].Holders)
	}
	return t
}

// pruneEarlier drops the generations that put nobody on any owner list. It returns the first holder found that has no
// room on the list of some row, or Vacant.
func (t *Table) pruneEarlier(key siphash.Key) (full int) {
	full = Vacant
	useful := make([]bool, len(t.Earlier))
	taken := make([]uint8, t.Rows)
	t.eachEarlier(key, func(generation, row, holder int) {
		if taken[row] == maxEarlier {
			if full == Vacant {
				full = holder
			}
			return
		}
		taken[row]++
		useful[generation] = true
	})
	var kept []Generation
	for i, g := range t.Earlier {
		if useful[i] {
			kept = append(kept, g)
		}
	}
	t.Earlier = kept
	return full
}

// pruneHolders drops holders that nothing names and renumbers the rest.
func (t *Table) pruneHolders() {
	used := make([]bool, len(t.Holders))
	lists := [][]int{t.Current.Holders, t.Standbys}
	for _, g := range t.Earlier {
		lists = append(lists, g.Holders)
	}
	for _, list := range lists {
		for _, h := range list {
			if h >= 0 {
				used[h] = true
			}
		}
	}
	number := make([]int, len(t.Holders))
	var kept []Holder
	for i, h := range t.Holders {
		if used[i] {
			number[i] = len(kept)
			kept = append(kept, h)
		}
	}
	t.Holders = kept
	for _, list := range lists {
		for i, h := range list {
			if h >= 0 {
				list[i] = number[h]
			}
		}
	}
}

// Fill gives a vacant position to h, normally a standby. Who served its rows meanwhile stays on their owner lists.
func Fill(position int, h Holder) Change {
	return func(d *draft) error {
		if err := d.position(position, true); err != nil {
			return fmt.Errorf("fill position %d: %w", position, err)
		}
		return d.seat(position, h)
	}
}

// HandOver gives a held position to h, normally a standby. The former holder stays on its rows' owner lists until
// Forget or Vacate names it.
func HandOver(position int, h Holder) Change {
	return func(d *draft) error {
		if err := d.position(position, false); err != nil {
			return fmt.Errorf("hand over position %d: %w", position, err)
		}
		return d.seat(position, h)
	}
}

// Grow adds a position, held by h, normally a standby.
func Grow(h Holder) Change {
	return func(d *draft) error {
		if len(d.table.Current.Holders) == MaxPositions {
			return fmt.Errorf("grow: %d positions are the most", MaxPositions)
		}
		d.table.Current.Holders = append(d.table.Current.Holders, Vacant)
		return d.seat(len(d.table.Current.Holders)-1, h)
	}
}

// Shrink gives up the highest position. Its holder, if any, stays on the owner lists of its rows until it has drained.
func Shrink() Change {
	return func(d *draft) error {
		last := len(d.table.Current.Holders) - 1
		if last == 0 {
			return fmt.Errorf("shrink: position 0 is the last one")
		}
		d.table.Current.Holders = d.table.Current.Holders[:last]
		d.moved, d.elective = true, true
		return nil
	}
}

// Vacate removes a dead or fenced amphora everywhere: from its position, whose rows go to their next choice until it
// is filled, from owner lists and from the standbys. Whom the table does not name needs no removing.
func Vacate(amphoraID string) Change {
	return func(d *draft) error {
		h := d.table.holder(amphoraID)
		if h < 0 {
			return nil
		}
		replace(d.table.Current.Holders, h, Vacant)
		d.noStandby(h)
		d.forget(h)
		return nil
	}
}

// Forget removes an amphora from the owner lists of rows it does not own: it reports no connection of them any more.
// A position it holds stays its own.
func Forget(amphoraID string) Change {
	return func(d *draft) error {
		if h := d.table.holder(amphoraID); h >= 0 {
			for _, g := range d.table.Earlier {
				replace(g.Holders, h, Gone)
			}
		}
		return nil
	}
}

// SetStandbys names the holders eligible for a swap, in order, instead of the former ones.
func SetStandbys(standbys ...Holder) Change {
	return func(d *draft) error {
		d.table.Standbys = nil
		for _, s := range standbys {
			h, err := d.name(s)
			if err != nil {
				return fmt.Errorf("set standbys: %w", err)
			}
			d.table.Standbys = append(d.table.Standbys, h)
		}
		return nil
	}
}

// TakeSwaps takes the distributor's own swaps in: a position whose holder a swap calls silent is now held by the swap's
// standby, or vacant if the table does not know that standby any more, and the silent amphora is removed everywhere.
// A swap whose amphora does not hold the position (any more) changes no position; but its standby has served the rows that
// were the position's, and stands on their owner lists in the place of the silent one. TakenSwap becomes the last one's Seq.
func TakeSwaps(swaps []Swap) Change {
	return func(d *draft) error {
		for _, s := range pending(swaps, d.table.TakenSwap) {
			d.table.TakenSwap = s.Seq
			cur := d.table.Current.Holders
			silent := d.table.holder(s.AmphoraID)
			if s.Position < 0 || s.Position >= len(cur) || silent < 0 || cur[s.Position] != silent {
				d.servedFor(s)
				continue
			}
			if err := Vacate(s.AmphoraID)(d); err != nil {
				return err
			}
			standby := d.table.holder(s.StandbyID)
			if standby < 0 || slices.Contains(cur, standby) {
				continue
			}
			cur[s.Position] = standby
			d.noStandby(standby)
		}
		return nil
	}
}

// StoodIn is for a swap that was taken in by a table that did not name its standby any more: it served the rows all the same.
func StoodIn(s Swap, standby Holder) Change {
	return func(d *draft) error {
		if _, err := d.name(standby); err != nil {
			return fmt.Errorf("swap %d: %w", s.Seq, err)
		}
		d.servedFor(s)
		return nil
	}
}

// servedFor puts a swap's standby where the silent amphora stands in the newest generation that gave it the position, or where
// it stood before it died. A generation of which nobody else was left has been dropped, and is made again.
func (d *draft) servedFor(s Swap) {
	silent, standby := d.table.holder(s.AmphoraID), d.table.holder(s.StandbyID)
	if standby < 0 || s.Position < 0 {
		return
	}
	if silent < 0 {
		silent = Gone
	}
	for _, g := range d.table.Earlier {
		if s.Position < len(g.Holders) && g.Holders[s.Position] == silent && !slices.Contains(g.Holders, standby) {
			g.Holders[s.Position] = standby
			return
		}
	}
	if cur := d.table.Current.Holders; s.Position < len(cur) && !slices.Contains(cur, standby) {
		holders := slices.Clone(cur)
		holders[s.Position] = standby
		d.table.Earlier = slices.Insert(d.table.Earlier, 0, Generation{Holders: holders})
	}
}

// seat gives a position to h and marks that rows may have left a living owner.
func (d *draft) seat(position int, h Holder) error {
	i, err := d.name(h)
	if err != nil {
		return fmt.Errorf("position %d: %w", position, err)
	}
	if slices.Contains(d.table.Current.Holders, i) {
		return fmt.Errorf("position %d: amphora %s holds one already", position, h.AmphoraID)
	}
	d.table.Current.Holders[position] = i
	d.noStandby(i)
	d.moved, d.elective = true, true
	return nil
}

// noStandby takes a holder off the standbys.
func (d *draft) noStandby(holder int) {
	var kept []int
	for _, s := range d.table.Standbys {
		if s != holder {
			kept = append(kept, s)
		}
	}
	d.table.Standbys = kept
}

// name returns h's index, adding it when the table does not know it.
func (d *draft) name(h Holder) (int, error) {
	if i := d.table.holder(h.AmphoraID); i >= 0 {
		if d.table.Holders[i] != h {
			return 0, fmt.Errorf("amphora %s has MAC %s, not %s", h.AmphoraID, d.table.Holders[i].MAC, h.MAC)
		}
		return i, nil
	}
	d.table.Holders = append(d.table.Holders, h)
	return len(d.table.Holders) - 1, nil
}

func (d *draft) position(p int, vacant bool) error {
	cur := d.table.Current.Holders
	if p < 0 || p >= len(cur) {
		return fmt.Errorf("there are %d positions", len(cur))
	}
	if (cur[p] == Vacant) != vacant {
		if vacant {
			return fmt.Errorf("amphora %s holds it", d.table.Holders[cur[p]].AmphoraID)
		}
		return fmt.Errorf("nobody holds it")
	}
	return nil
}

// forget marks a holder as gone in all that was.
func (d *draft) forget(h int) {
	replace(d.before.Holders, h, Gone)
	for _, g := range d.table.Earlier {
		replace(g.Holders, h, Gone)
	}
}

func replace(list []int, from, to int) {
	for i, x := range list {
		if x == from {
			list[i] = to
		}
	}
}
