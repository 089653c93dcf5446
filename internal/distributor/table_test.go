package distributor_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"colonnade/internal/distributor"
)

var testKey = [16]byte{0: 0xc0, 5: 0x10, 15: 0x0a}

// wantRow is the row of 198.18.3.4:1000 under testKey, worked out by another implementation.
const wantRow = 12134

// amp is holder number i: id "a3", MAC 02:00:00:00:00:03.
func amp(i int) distributor.Holder {
	return distributor.Holder{AmphoraID: fmt.Sprintf("a%d", i), MAC: fmt.Sprintf("02:00:00:00:00:%02x", i)}
}

func amps(n int) []distributor.Change {
	var fills []distributor.Change
	for p := range n {
		fills = append(fills, distributor.Fill(p, amp(p)))
	}
	return fills
}

func newTable(t rapid.TB, positions int, changes ...distributor.Change) distributor.Table {
	t.Helper()
	table, err := distributor.NewTable(testKey, distributor.AffinitySourceIP, positions)
	if err != nil {
		t.Fatal(err)
	}
	return next(t, table, changes...)
}

func next(t rapid.TB, table distributor.Table, changes ...distributor.Change) distributor.Table {
	t.Helper()
	n, err := table.Next(changes...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func compile(t rapid.TB, table distributor.Table) *distributor.Compiled {
	t.Helper()
	c, err := distributor.Compile(table)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// owners returns a row's owner list by amphora id.
func owners(c *distributor.Compiled, row int) []string {
	var ids []string
	for _, h := range c.Owners(row) {
		ids = append(ids, c.Table.Holders[h].AmphoraID)
	}
	return ids
}

func owner(c *distributor.Compiled, row int) string { return owners(c, row)[0] }

func TestRowsAreBalancedAndMoveLittle(t *testing.T) {
	table := newTable(t, 1, amps(1)...)
	before := compile(t, table)
	for n := 2; n <= distributor.MaxPositions; n++ {
		// The previous growth has drained, so that this one never waits.
		table = next(t, table, distributor.Grow(amp(n-1)))
		for i := range n {
			table = next(t, table, distributor.Forget(amp(i).AmphoraID))
		}
		after := compile(t, table)
		count, moved := make([]int, n), 0
		for row := range table.Rows {
			count[after.Position(row)]++
			if before.Position(row) == after.Position(row) {
				continue
			}
			moved++
			if after.Position(row) != n-1 {
				t.Fatalf("T3 %d positions: row %d moved from %d to %d, not to the new one", n, row, before.Position(row), after.Position(row))
			}
		}
		if low, high := slices.Min(count), slices.Max(count); high-low > 1 {
			t.Errorf("T24 %d positions: rows from %d to %d, want exact to one", n, low, high)
		}
		if moved != table.Rows/n {
			t.Errorf("T3 %d positions: %d rows moved, want %d", n, moved, table.Rows/n)
		}
		before = after
	}
}

func TestOwnerLists(t *testing.T) {
	three := newTable(t, 3, amps(3)...)
	row := rowOf(t, three, 1) // a row of position 1
	nextChoice := owners(compile(t, three), row)[1]
	other := map[string]string{"a0": "a2", "a2": "a0"}[nextChoice]
	tests := []struct {
		name  string
		table distributor.Table
		want  []string
	}{
		{"settled", three, []string{"a1", nextChoice}},
		{"D3 hand-over keeps the former holder", next(t, three, distributor.HandOver(1, amp(7))), []string{"a7", "a1", nextChoice}},
		{"drained", next(t, next(t, three, distributor.HandOver(1, amp(7))), distributor.Forget("a1")), []string{"a7", nextChoice}},
		{"two hand-overs, newest first", next(t, next(t, three, distributor.HandOver(1, amp(7))), distributor.HandOver(1, amp(8))), []string{"a8", "a7", "a1", nextChoice}},
		{"dead without standby goes to the next choice", next(t, three, distributor.Vacate("a1")), []string{nextChoice, other}},
		{
			"filled again: who served meanwhile is asked",
			next(t, next(t, three, distributor.Vacate("a1")), distributor.Fill(1, amp(7))),
			[]string{"a7", nextChoice},
		},
		{"dead and replaced at once", next(t, three, distributor.Vacate("a1"), distributor.Fill(1, amp(7))), []string{"a7", nextChoice}},
		{
			"former holder dies while draining",
			next(t, next(t, three, distributor.HandOver(1, amp(7))), distributor.Vacate("a1")),
			[]string{"a7", nextChoice},
		},
		{"only one left", next(t, three, distributor.Vacate(nextChoice), distributor.Vacate(other)), []string{"a1"}},
		{"nobody left", next(t, three, distributor.Vacate("a0"), distributor.Vacate("a1"), distributor.Vacate("a2")), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, owners(compile(t, tt.table), row)); diff != "" {
				t.Errorf("owner list (-want +got)\n%s", diff)
			}
		})
	}
	t.Run("replaced at once leaves nothing behind", func(t *testing.T) {
		got := next(t, three, distributor.Vacate("a1"), distributor.Fill(1, amp(7)))
		want := distributor.Table{
			Version: 2, Key: three.Key, Rows: distributor.DefaultRows, Affinity: distributor.AffinitySourceIP,
			Holders: []distributor.Holder{amp(0), amp(2), amp(7)}, Current: distributor.Generation{Holders: []int{0, 2, 1}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("table (-want +got)\n%s", diff)
		}
	})
}

// rowOf returns the first row of a position.
func rowOf(t *testing.T, table distributor.Table, position int) int {
	c := compile(t, table)
	for row := range table.Rows {
		if c.Position(row) == position {
			return row
		}
	}
	t.Fatalf("position %d has no row", position)
	return 0
}

func TestNextRefuses(t *testing.T) {
	table := newTable(t, 2, amps(2)...)
	var full *distributor.EarlierFullError
	tests := []struct {
		name   string
		change distributor.Change
		want   string
	}{
		{"fill a held position", distributor.Fill(0, amp(7)), "table after 1: fill position 0: amphora a0 holds it"},
		{"fill beyond the end", distributor.Fill(2, amp(7)), "table after 1: fill position 2: there are 2 positions"},
		{"hand over to another position's holder", distributor.HandOver(0, amp(1)), "table after 1: position 0: amphora a1 holds one already"},
		{"the same amphora with another MAC", distributor.Grow(distributor.Holder{AmphoraID: "a0", MAC: "02:00:00:00:00:99"}), "table after 1: position 2: amphora a0 has MAC 02:00:00:00:00:00, not 02:00:00:00:00:99"},
		{"a holder as standby", distributor.SetStandbys(amp(0)), "table 2: standby 0: holder 0 does not exist, holds a position or is named twice"},
		{"a group address", distributor.Grow(distributor.Holder{AmphoraID: "x", MAC: "03:00:00:00:00:99"}), `table 2: holder "x": "03:00:00:00:00:99" is no unicast address`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := table.Next(tt.change); err == nil || err.Error() != tt.want {
				t.Errorf("Next: %v, want %s", err, tt.want)
			}
		})
	}
	t.Run("a fourth living earlier owner waits", func(t *testing.T) {
		for i := 10; i < 13; i++ {
			table = next(t, table, distributor.HandOver(1, amp(i)))
		}
		if _, err := table.Next(distributor.HandOver(1, amp(13))); !errors.As(err, &full) || full.AmphoraID != "a1" {
			t.Fatalf("fourth hand-over: %v, want owner lists full of a1", err)
		}
		drained := next(t, table, distributor.Forget("a1"))
		next(t, drained, distributor.HandOver(1, amp(13)))
	})
}

func TestSwaps(t *testing.T) {
	table := newTable(t, 3, append(amps(3), distributor.SetStandbys(amp(8), amp(9)))...)
	swaps := []distributor.Swap{
		{Seq: 1, Position: 1, AmphoraID: "a1", StandbyID: "a8"},
		{Seq: 2, Position: 1, AmphoraID: "a8", StandbyID: "a9"},
	}
	serving := func(table distributor.Table, swaps []distributor.Swap) []string {
		var ids []string
		for _, p := range compile(t, table).Positions(swaps) {
			ids = append(ids, p.AmphoraID)
		}
		return ids
	}
	t.Run("S54 effective at the distributor", func(t *testing.T) {
		c := compile(t, table)
		if diff := cmp.Diff([]string{"a0", "a9", "a2"}, serving(table, swaps)); diff != "" {
			t.Errorf("positions (-want +got)\n%s", diff)
		}
		e, was := c.Effective(swaps), c.Effective(nil)
		for row := range e.Rows {
			got, before := e.MACs[e.Rows[row]], was.MACs[was.Rows[row]]
			if c.Position(row) == 1 {
				if got != [6]byte{2, 0, 0, 0, 0, 9} {
					t.Fatalf("row %d of position 1 goes to %x", row, got)
				}
			} else if got != before {
				t.Fatalf("T2 row %d of position %d moved", row, c.Position(row))
			}
		}
		if len(e.Members) != 5 {
			t.Errorf("%d members, want all 5 amphorae", len(e.Members))
		}
	})
	t.Run("taken in", func(t *testing.T) {
		got := next(t, table, distributor.TakeSwaps(swaps))
		want := distributor.Table{
			Version: 2, Key: table.Key, Rows: distributor.DefaultRows, Affinity: distributor.AffinitySourceIP,
			Holders: []distributor.Holder{amp(0), amp(2), amp(9)}, Current: distributor.Generation{Holders: []int{0, 2, 1}},
			TakenSwap: 2,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("table (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(want, next(t, want, distributor.TakeSwaps(swaps)), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Version" }, cmp.Ignore())); diff != "" {
			t.Errorf("taken in again (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{"a0", "a9", "a2"}, serving(got, swaps)); diff != "" {
			t.Errorf("positions once taken in (-want +got)\n%s", diff)
		}
	})
	t.Run("a swap of an amphora that moved on changes nothing", func(t *testing.T) {
		moved := next(t, table, distributor.HandOver(1, amp(7)))
		got := next(t, moved, distributor.TakeSwaps(swaps[:1]))
		if diff := cmp.Diff([]string{"a0", "a7", "a2"}, serving(got, nil)); diff != "" || got.TakenSwap != 1 {
			t.Errorf("taken %d, positions (-want +got)\n%s", got.TakenSwap, diff)
		}
	})
	t.Run("but who served in its stead until then is asked for what it took", func(t *testing.T) {
		swap := swaps[0]
		standby := slices.IndexFunc(table.Holders, func(h distributor.Holder) bool { return h.AmphoraID == swap.StandbyID })
		for name, change := range map[string][]distributor.Change{
			"handed over": {distributor.HandOver(swap.Position, amp(7))},
			"dead":        {distributor.Vacate(swap.AmphoraID), distributor.Fill(swap.Position, amp(7))},
		} {
			got := next(t, next(t, table, append(change, distributor.SetStandbys(table.Holders[standby]))...), distributor.TakeSwaps(swaps[:1]))
			was, is := compile(t, table), compile(t, got)
			for row := range got.Rows {
				if was.Position(row) != swap.Position {
					continue
				}
				owners := is.Owners(row)
				if len(owners) < 2 || got.Holders[owners[0]].AmphoraID != "a7" || got.Holders[owners[1]].AmphoraID != swap.StandbyID {
					t.Fatalf("%s: row %d has owners %v of %+v, want a7, then %s", name, row, owners, got.Holders, swap.StandbyID)
				}
			}
		}
	})
	t.Run("a standby that is no more leaves the position vacant", func(t *testing.T) {
		got := next(t, table, distributor.SetStandbys(), distributor.TakeSwaps(nil))
		got = next(t, got, distributor.TakeSwaps(swaps[:1]))
		if diff := cmp.Diff([]string{"a0", "", "a2"}, serving(got, nil)); diff != "" {
			t.Errorf("positions (-want +got)\n%s", diff)
		}
	})
}

func TestRowOf(t *testing.T) {
	byIP := newTable(t, 3, amps(3)...)
	byPort := byIP
	byPort.Affinity = distributor.AffinitySourceIPPort
	ip, port := compile(t, byIP), compile(t, byPort)
	src := netip.MustParseAddr("198.18.3.4")
	if ip.RowOf(src, 1000) != ip.RowOf(src, 2000) || port.RowOf(src, 1000) == port.RowOf(src, 2000) {
		t.Error("D1 the port must count with source_ip_port only")
	}
	if port.RowOf(src, 0) != ip.RowOf(src, 1000) {
		t.Error("a fragment's row is that of its source address alone")
	}
	if got := ip.RowOf(netip.MustParseAddr("::ffff:198.18.3.4"), 0); got != ip.RowOf(src, 0) {
		t.Error("an IPv4 address has one row however it is written")
	}
	// Fixed for ever: another row function would move every flow of a running load balancer on upgrade.
	if got := port.RowOf(src, 1000); got != wantRow {
		t.Errorf("row = %d, want %d", got, wantRow)
	}
	x := ip.Explain(src, 1000, nil)
	if x.Row != ip.RowOf(src, 0) || x.Serving != owner(ip, x.Row) || x.Swapped || x.Owners[0].AmphoraID != x.Serving {
		t.Errorf("explanation %+v does not match row and owner", x)
	}
}

// TestHistories walks random histories of a cluster and checks after each step what must always hold.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "positions")
		table := newTable(t, n, amps(n)...)
		table.Rows = 256
		fresh, dead := 10, map[string]bool{}
		born := func() distributor.Holder { fresh++; return amp(fresh) }
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			var change distributor.Change
			last := len(table.Current.Holders) - 1
			p := rapid.IntRange(0, last).Draw(t, "position")
			held := table.Current.Holders[p] >= 0
			moves := func(pos int) bool { return pos == p } // positions whose rows may change owner
			growing := false
			switch kind := rapid.SampledFrom([]string{"replace", "vacate", "grow", "shrink", "forget"}).Draw(t, "kind"); {
			case kind == "replace" && held:
				change = distributor.HandOver(p, born())
			case kind == "replace":
				change = distributor.Fill(p, born())
			case kind == "vacate" && held:
				dead[table.Holders[table.Current.Holders[p]].AmphoraID] = true
				change = distributor.Vacate(table.Holders[table.Current.Holders[p]].AmphoraID)
			case kind == "grow" && last < 5:
				change, growing = distributor.Grow(born()), true
			case kind == "shrink" && last > 0:
				change, moves = distributor.Shrink(), func(pos int) bool { return pos == last }
			case len(table.Holders) > 0:
				change = distributor.Forget(rapid.SampledFrom(table.Holders).Draw(t, "amphora").AmphoraID)
				moves = func(int) bool { return false }
			default:
				continue
			}
			after, err := table.Next(change)
			var full *distributor.EarlierFullError
			if errors.As(err, &full) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			checkStep(t, compile(t, table), compile(t, after), dead, moves, growing)
			table = after
		}
	})
}

func checkStep(t *rapid.T, old, now *distributor.Compiled, dead map[string]bool, moves func(int) bool, growing bool) {
	if now.Table.Version != old.Table.Version+1 {
		t.Fatalf("version %d after %d", now.Table.Version, old.Table.Version)
	}
	e := now.Effective(nil)
	for row := range now.Table.Rows {
		list, was := owners(now, row), owners(old, row)
		if len(list) > distributor.MaxOwners || len(slices.Compact(slices.Sorted(slices.Values(list)))) != len(list) {
			t.Fatalf("row %d: owner list %v is too long or names somebody twice", row, list)
		}
		for _, id := range list {
			if dead[id] {
				t.Fatalf("row %d: owner list %v names the dead %s", row, list, id)
			}
		}
		if len(list) == 0 {
			if e.Rows[row] != distributor.NoOwner {
				t.Fatalf("row %d: nobody owns it, yet target %d", row, e.Rows[row])
			}
			continue
		}
		if got := e.MACs[e.Rows[row]]; got[5] != now.MACs()[now.Owner(row)][5] {
			t.Fatalf("row %d: distributor sends to %x, owner is %s", row, got, list[0])
		}
		if len(was) == 0 || was[0] == list[0] {
			continue
		}
		// Vacant positions make others' rows follow, so minimal movement is exact only where all are held.
		whole := !slices.Contains(old.Table.Current.Holders, distributor.Vacant)
		if whole && !growing && !moves(old.Position(row)) {
			t.Fatalf("row %d of position %d went from %s to %s", row, old.Position(row), was[0], list[0])
		}
		if whole && growing && now.Position(row) != len(now.Table.Current.Holders)-1 {
			t.Fatalf("row %d moved to old position %d", row, now.Position(row))
		}
		if !dead[was[0]] && !slices.Contains(list, was[0]) {
			t.Fatalf("row %d: %s owned it and lives, but is not on %v", row, was[0], list)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{3, 10, 32} {
		table := newTable(b, n, amps(n)...)
		b.Run(fmt.Sprintf("%d positions, key seen before", n), func(b *testing.B) {
			for b.Loop() {
				compile(b, table)
			}
		})
		b.Run(fmt.Sprintf("%d positions, new key", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				table.Key = fmt.Sprintf("%032x", i)
				compile(b, table)
			}
		})
	}
}
