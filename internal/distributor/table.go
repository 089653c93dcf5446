package distributor

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"colonnade/internal/siphash"
)

// minRows keeps the balance of MaxPositions positions tolerable; DefaultRows is also the most a table may have, since
// the programs in the kernel reserve that many.
const minRows = 256

// NoOwner stands in EffectiveTable.Rows for a row that nobody serves: its packets are dropped and counted.
const NoOwner = 0xff

// Validate reports whether t can be compiled. It is what agents ask of a table they receive.
func (t Table) Validate() error {
	if _, err := t.key(); err != nil {
		return fmt.Errorf("table %d: key: %w", t.Version, err)
	}
	if t.Rows < minRows || t.Rows > DefaultRows || t.Rows&(t.Rows-1) != 0 {
		return fmt.Errorf("table %d: rows: %d is not a power of two from %d to %d", t.Version, t.Rows, minRows, DefaultRows)
	}
	if t.Affinity != AffinitySourceIP && t.Affinity != AffinitySourceIPPort {
		return fmt.Errorf("table %d: affinity %q is unknown", t.Version, t.Affinity)
	}
	if err := t.validateHolders(); err != nil {
		return fmt.Errorf("table %d: %w", t.Version, err)
	}
	if err := t.validateGeneration(t.Current, Vacant); err != nil {
		return fmt.Errorf("table %d: current: %w", t.Version, err)
	}
	if len(t.Earlier) > MaxHolders {
		return fmt.Errorf("table %d: %d earlier generations, at most %d", t.Version, len(t.Earlier), MaxHolders)
	}
	for i, g := range t.Earlier {
		if err := t.validateGeneration(g, Gone); err != nil {
			return fmt.Errorf("table %d: earlier generation %d: %w", t.Version, i, err)
		}
	}
	for i, s := range t.Standbys {
		if s < 0 || s >= len(t.Holders) || slices.Contains(t.Current.Holders, s) || slices.Contains(t.Standbys[:i], s) {
			return fmt.Errorf("table %d: standby %d: holder %d does not exist, holds a position or is named twice", t.Version, i, s)
		}
	}
	return nil
}

func (t Table) validateHolders() error {
	if len(t.Holders) > MaxHolders {
		return fmt.Errorf("%d holders, at most %d", len(t.Holders), MaxHolders)
	}
	ids, macs := map[string]bool{}, map[[6]byte]bool{}
	for _, h := range t.Holders {
		mac, err := parseMAC(h.MAC)
		if err != nil {
			return fmt.Errorf("holder %q: %w", h.AmphoraID, err)
		}
		if h.AmphoraID == "" || ids[h.AmphoraID] || macs[mac] {
			return fmt.Errorf("holder %q: no id, or named twice", h.AmphoraID)
		}
		ids[h.AmphoraID], macs[mac] = true, true
	}
	return nil
}

func (t Table) validateGeneration(g Generation, lowest int) error {
	if n := len(g.Holders); n < 1 || n > MaxPositions {
		return fmt.Errorf("%d positions, must be 1 to %d", n, MaxPositions)
	}
	for p, h := range g.Holders {
		if h < lowest || h >= len(t.Holders) {
			return fmt.Errorf("position %d: no holder %d", p, h)
		}
		if h >= 0 && slices.Contains(g.Holders[:p], h) {
			return fmt.Errorf("position %d: holder %d holds another too", p, h)
		}
	}
	return nil
}

func (t Table) key() (siphash.Key, error) {
	var k siphash.Key
	b, err := hex.DecodeString(t.Key)
	if err != nil {
		return k, errors.New("not hexadecimal")
	}
	if len(b) != len(k) {
		return k, fmt.Errorf("%d bytes, want %d", len(b), len(k))
	}
	return siphash.Key(b), nil
}

// parseMAC reads a unicast Ethernet address.
func parseMAC(s string) ([6]byte, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return [6]byte{}, fmt.Errorf("%q is no Ethernet address", s)
	}
	mac := [6]byte(hw)
	if mac[0]&1 != 0 || mac == ([6]byte{}) {
		return mac, fmt.Errorf("%q is no unicast address", s)
	}
	return mac, nil
}

// Compiled is a table with its rows worked out. It is immutable and safe for concurrent use.
type Compiled struct {
	Table  Table
	key    siphash.Key
	macs   [][6]byte
	owners []uint8 // MaxOwners entries a row, padded with none
	now    *choices
}

// Compile validates t and works out every row.
func Compile(t Table) (*Compiled, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	key, err := t.key()
	if err != nil {
		return nil, err
	}
	c := &Compiled{Table: t, key: key, owners: t.ownerLists(key), now: choicesFor(key, t.Rows, len(t.Current.Holders))}
	for _, h := range t.Holders {
		mac, err := parseMAC(h.MAC)
		if err != nil {
			return nil, err
		}
		c.macs = append(c.macs, mac)
	}
	return c, nil
}

// Key is the key of the row function.
func (c *Compiled) Key() [16]byte { return c.key }

// MACs are those of Table.Holders, in their order.
func (c *Compiled) MACs() [][6]byte { return slices.Clone(c.macs) }

// RowOf returns the row of a packet from src. The port counts with AffinitySourceIPPort only; 0 stands for a fragment.
func (c *Compiled) RowOf(src netip.Addr, port uint16) int {
	return RowOf(c.key, c.Table.Affinity, c.Table.Rows, src, port)
}

// RowOf is the row function: see Compiled.RowOf.
func RowOf(key [16]byte, affinity Affinity, rows int, src netip.Addr, port uint16) int {
	if affinity == AffinitySourceIP {
		port = 0
	}
	return int(rowHash(key, src, port) & uint64(rows-1))
}

// Position returns the position that a row belongs to, whether or not somebody holds it.
func (c *Compiled) Position(row int) int { return int(c.now.of(row)[0]) }

// Owner returns the index in Table.Holders of the row's owner, or Vacant when nobody holds any position.
func (c *Compiled) Owner(row int) int {
	if o := c.owners[row*MaxOwners]; o != none {
		return int(o)
	}
	return Vacant
}

// Owners returns the row's owner list as indexes into Table.Holders; it is empty when nobody holds any position.
func (c *Compiled) Owners(row int) []int {
	list := make([]int, 0, MaxOwners)
	for _, o := range c.owners[row*MaxOwners : (row+1)*MaxOwners] {
		if o == none {
			break
		}
		list = append(list, int(o))
	}
	return list
}

// HolderIndex returns the index in Table.Holders of an amphora, or -1.
func (c *Compiled) HolderIndex(amphoraID string) int { return c.Table.holder(amphoraID) }

// effectiveHolders is who serves each position once the swaps that the table has not taken in are applied.
func (t Table) effectiveHolders(swaps []Swap) []int {
	holders := slices.Clone(t.Current.Holders)
	for _, s := range pending(swaps, t.TakenSwap) {
		if s.Position < 0 || s.Position >= len(holders) {
			continue
		}
		from, to := t.holder(s.AmphoraID), t.holder(s.StandbyID)
		if from >= 0 && to >= 0 && holders[s.Position] == from && !slices.Contains(holders, to) {
			holders[s.Position] = to
		}
	}
	return holders
}

// pending returns the swaps after taken, in order.
func pending(swaps []Swap, taken int64) []Swap {
	var left []Swap
	for _, s := range swaps {
		if s.Seq > taken {
			left = append(left, s)
		}
	}
	slices.SortStableFunc(left, func(a, b Swap) int { return int(a.Seq - b.Seq) })
	return left
}

func (t Table) holder(amphoraID string) int {
	return slices.IndexFunc(t.Holders, func(h Holder) bool { return h.AmphoraID == amphoraID })
}

// Effective is what a dataplane installs: the table with the distributor's own swaps applied.
func (c *Compiled) Effective(swaps []Swap) EffectiveTable {
	holders := c.Table.effectiveHolders(swaps)
	e := EffectiveTable{
		Key: c.key, Affinity: c.Table.Affinity,
		Rows: make([]uint8, c.Table.Rows), Members: slices.Clone(c.macs),
	}
	target := make([]uint8, len(c.macs))
	for i := range target {
		target[i] = NoOwner
	}
	for _, h := range holders {
		if h >= 0 {
			target[h] = uint8(len(e.MACs))
			e.MACs = append(e.MACs, c.macs[h])
		}
	}
	for row := range e.Rows {
		e.Rows[row] = NoOwner
		if h := ownerOf(holders, c.now.of(row)); h >= 0 {
			e.Rows[row] = target[h]
		}
	}
	return e
}

// Positions is the positional list that every registration answers with (D5).
func (c *Compiled) Positions(swaps []Swap) []Position { return c.Table.Positions(swaps) }

// Positions is who serves which position, swaps applied.
func (t Table) Positions(swaps []Swap) []Position {
	list := make([]Position, len(t.Current.Holders))
	for p, h := range t.effectiveHolders(swaps) {
		list[p] = Position{Position: p, Swapped: h != t.Current.Holders[p]}
		if h >= 0 {
			list[p].AmphoraID, list[p].MAC = t.Holders[h].AmphoraID, t.Holders[h].MAC
		}
	}
	return list
}

// Explanation says where packets of one source go, and why.
type Explanation struct {
	Row      int
	Position int
	Serving  string   // amphora id of who the distributor sends to, swaps applied; "" when nobody
	Swapped  bool     // Serving stands in by the distributor's own swap
	Owners   []Holder // the row's owner list
}

// Explain answers where a packet from src goes. Port 0 asks for a source's fragments when the port counts.
func (c *Compiled) Explain(src netip.Addr, port uint16, swaps []Swap) Explanation {
	row := c.RowOf(src, port)
	x := Explanation{Row: row, Position: c.Position(row)}
	for _, h := range c.Owners(row) {
		x.Owners = append(x.Owners, c.Table.Holders[h])
	}
	if h := ownerOf(c.Table.effectiveHolders(swaps), c.now.of(row)); h >= 0 {
		x.Serving, x.Swapped = c.Table.Holders[h].AmphoraID, h != c.Owner(row)
	}
	return x
}
