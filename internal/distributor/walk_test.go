package distributor_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"colonnade/internal/distributor"
)

// walk models what becomes of a packet of an unknown connection (internal/amphora/ownership): it returns the
// amphorae that got the frame, in order. tables says which table each amphora has.
func walk(sends *distributor.Compiled, tables map[string]*distributor.Compiled, row int) []string {
	list := owners(sends, row)
	if len(list) == 0 {
		return nil
	}
	visited, at, sender, lifetime := []string{list[0]}, list[0], "distributor", 64
	for {
		list := owners(tables[at], row)
		own, from := max(slices.Index(list, at), 0), slices.Index(list, sender)
		lifetime = min(lifetime, len(list))
		next := max(own, from) + 1
		if next >= len(list) || lifetime < 2 {
			return visited
		}
		at, sender, lifetime = list[next], at, lifetime-1
		visited = append(visited, at)
	}
}

func TestUnknownConnectionsEnd(t *testing.T) {
	start := newTable(t, 3, amps(3)...)
	moving := next(t, start, distributor.HandOver(0, amp(3)))
	tests := []struct {
		name   string
		old    distributor.Table
		change distributor.Change
	}{
		{"hand-over", start, distributor.HandOver(1, amp(4))},
		{"growth", start, distributor.Grow(amp(4))},
		{"giving up a position", start, distributor.Shrink()},
		{"death", start, distributor.Vacate("a1")},
		{"hand-over while another drains", moving, distributor.HandOver(1, amp(4))},
		{"handed back", moving, distributor.HandOver(0, amp(0))},
	}
	const acks = 10_000
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			versions := []*distributor.Compiled{compile(t, tt.old), compile(t, next(t, tt.old, tt.change))}
			for n := range acks {
				row := versions[0].RowOf(netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}), 0)
				longest := max(len(owners(versions[0], row)), len(owners(versions[1], row)))
				for mix := range 1 << 6 {
					tables := map[string]*distributor.Compiled{}
					for i := range 5 {
						tables[fmt.Sprintf("a%d", i)] = versions[mix>>i&1]
					}
					if got := walk(versions[mix>>5], tables, row); len(got) > longest {
						t.Fatalf("row %d, mixture %b: frames to %v, lists are %v and %v", row, mix, got, owners(versions[0], row), owners(versions[1], row))
					}
				}
			}
		})
	}
}

// TestWalksOfOneTable: with the same table everywhere an unknown packet visits exactly the owner list, in order, so
// whoever has its connection is found.
func TestWalksOfOneTable(t *testing.T) {
	table := newTable(t, 3, amps(3)...)
	for i := 10; i < 13; i++ {
		table = next(t, table, distributor.HandOver(1, amp(i)))
	}
	c := compile(t, table)
	tables := map[string]*distributor.Compiled{}
	for _, h := range table.Holders {
		tables[h.AmphoraID] = c
	}
	for row := range table.Rows {
		if got, want := walk(c, tables, row), owners(c, row); !slices.Equal(got, want) {
			t.Fatalf("row %d: visited %v, owner list is %v", row, got, want)
		}
	}
}

// TestWalksUnderAnyTables: even tables that have nothing to do with each other make no loop.
func TestWalksUnderAnyTables(t *testing.T) {
	const amphorae = 6
	rapid.Check(t, func(t *rapid.T) {
		var versions []*distributor.Compiled
		for v := range 3 {
			order := rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, fmt.Sprintf("order %d", v))
			table, err := distributor.NewTable(testKey, distributor.AffinitySourceIP, 2)
			if err != nil {
				t.Fatal(err)
			}
			table.Rows = 256
			table = next(t, table, distributor.Fill(0, amp(order[0])), distributor.Fill(1, amp(order[1])))
			for _, i := range order[2:5] {
				table = next(t, table, distributor.HandOver(rapid.IntRange(0, 1).Draw(t, "position"), amp(i)))
			}
			versions = append(versions, compile(t, table))
		}
		tables := map[string]*distributor.Compiled{}
		for i := range amphorae {
			tables[fmt.Sprintf("a%d", i)] = rapid.SampledFrom(versions).Draw(t, "table")
		}
		for row := range 256 {
			if got := walk(versions[0], tables, row); len(got) > distributor.MaxOwners {
				t.Fatalf("row %d: frames to %v", row, got)
			}
		}
	})
}
