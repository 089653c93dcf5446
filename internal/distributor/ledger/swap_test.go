package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"colonnade/internal/distributor"
	"colonnade/internal/distributor/distributortest"
	"colonnade/internal/distributor/ledger"
)

// The amphorae and the tables of the tests are those of the conformance suite.
var (
	amp   = distributortest.Amphora
	table = distributortest.Table
)

func compile(t interface{ Fatal(...any) }, tb distributor.Table) *distributor.Compiled {
	c, err := distributor.Compile(tb)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDecide(t *testing.T) {
	swap := func(seq int64, position, dead, standby int, reason string) distributor.Swap {
		return distributor.Swap{Seq: seq, Position: position, AmphoraID: amp(dead), StandbyID: amp(standby), Reason: reason}
	}
	vacant := table(1, 3, 1)
	vacant.Current.Holders[1] = distributor.Vacant
	taken := table(2, 3, 1)
	taken.TakenSwap = 7
	probe, down := ledger.ReasonProbe, ledger.ReasonDown
	for _, c := range []struct {
		name   string
		table  distributor.Table
		swaps  []distributor.Swap
		silent ledger.Silence
		want   []distributor.Swap
	}{
		{"nobody silent", table(1, 3, 1), nil, nil, nil},
		{"S54 one silent", table(1, 3, 1), nil, ledger.Silence{amp(1): probe}, []distributor.Swap{swap(1, 1, 1, 3, probe)}},
		{"its own word", table(1, 3, 1), nil, ledger.Silence{amp(0): down}, []distributor.Swap{swap(1, 0, 0, 3, down)}},
		{
			"D4 standby k serves the k-th dead position", table(1, 4, 2), nil,
			ledger.Silence{amp(3): probe, amp(1): down},
			[]distributor.Swap{swap(1, 1, 1, 4, down), swap(2, 3, 3, 5, probe)},
		},
		{
			"no more swaps than standbys", table(1, 5, 1), nil,
			ledger.Silence{amp(1): probe, amp(2): probe},
			[]distributor.Swap{swap(1, 1, 1, 5, probe)},
		},
		{
			"a silent standby is passed over", table(1, 3, 2), nil,
			ledger.Silence{amp(3): probe, amp(0): probe},
			[]distributor.Swap{swap(1, 0, 0, 4, probe)},
		},
		{"half are silent", table(1, 3, 1), nil, ledger.Silence{amp(0): probe, amp(1): probe}, []distributor.Swap{swap(1, 0, 0, 3, probe)}},
		{"more than half are silent", table(1, 2, 1), nil, ledger.Silence{amp(0): probe, amp(1): probe}, nil},
		{"swapped already", table(1, 3, 1), []distributor.Swap{swap(1, 1, 1, 3, probe)}, ledger.Silence{amp(1): probe}, nil},
		{
			"the standby that serves falls silent too", table(1, 3, 2),
			[]distributor.Swap{swap(1, 1, 1, 3, probe)},
			ledger.Silence{amp(3): probe},
			[]distributor.Swap{swap(2, 1, 3, 4, probe)},
		},
		{"never swapped back", table(1, 3, 1), []distributor.Swap{swap(1, 1, 1, 3, probe)}, ledger.Silence{amp(3): probe}, nil},
		{"vacant position", vacant, nil, ledger.Silence{amp(1): probe}, nil},
		{"counting goes on where the table's memory ends", taken, nil, ledger.Silence{amp(2): probe}, []distributor.Swap{swap(8, 2, 2, 3, probe)}},
		{
			"swaps that the table has taken in count no more", taken,
			[]distributor.Swap{swap(7, 0, 9, 3, probe)},
			ledger.Silence{amp(2): probe},
			[]distributor.Swap{swap(8, 2, 2, 3, probe)},
		},
		{"a stranger's silence", table(1, 3, 1), nil, ledger.Silence{amp(20): probe}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, ledger.Decide(c.table, c.swaps, c.silent)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDecideProperties lets amphorae fall silent and come back in any order, and checks after every step what must never
// happen.
func TestDecideProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		active, standbys := rapid.IntRange(1, 5).Draw(t, "active"), rapid.IntRange(0, 3).Draw(t, "standbys")
		all := active + standbys
		tb := table(1, active, standbys)
		tb.TakenSwap = rapid.Int64Range(0, 5).Draw(t, "taken")
		c := compile(t, tb)
		var swaps []distributor.Swap
		silent := ledger.Silence{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			who := amp(rapid.IntRange(0, all-1).Draw(t, "who"))
			if silent[who] != "" {
				delete(silent, who)
			} else {
				silent[who] = ledger.ReasonProbe
			}
			before := c.Positions(swaps)
			due := ledger.Decide(c.Table, swaps, silent)
			if len(due) > 0 && 2*len(silent) > all {
				t.Fatalf("%d of %d are silent, and yet %v", len(silent), all, due)
			}
			last := tb.TakenSwap + int64(len(swaps))
			for i, s := range due {
				if s.Seq != last+1+int64(i) {
					t.Fatalf("swap %v after number %d", s, last+int64(i))
				}
				if before[s.Position].AmphoraID != s.AmphoraID || silent[s.AmphoraID] == "" {
					t.Fatalf("%v takes a position from one who lives or has it not: %v, silent %v", s, before, silent)
				}
				if silent[s.StandbyID] != "" {
					t.Fatalf("%v gives a position to a silent standby", s)
				}
			}
			swaps = append(swaps, due...)
			if len(swaps) > standbys {
				t.Fatalf("%d swaps with %d standbys", len(swaps), standbys)
			}
			next := 0
			served := map[string]bool{}
			for _, s := range swaps {
				if served[s.StandbyID] || served[s.AmphoraID] && s.StandbyID == s.AmphoraID {
					t.Fatalf("standby used twice: %v", swaps)
				}
				served[s.StandbyID] = true
				next++
			}
			if again := ledger.Decide(c.Table, swaps, silent); len(again) > 0 {
				t.Fatalf("decided %v, and then %v with nothing changed", due, again)
			}
			for p, pos := range c.Positions(swaps) {
				if pos.AmphoraID != before[p].AmphoraID && pos.AmphoraID < amp(active) {
					t.Fatalf("position %d went to %s, who is no standby", p, pos.AmphoraID)
				}
			}
			free := 0
			for n := active; n < all; n++ {
				if !served[amp(n)] && silent[amp(n)] == "" {
					free++
				}
			}
			for _, pos := range c.Positions(swaps) {
				if silent[pos.AmphoraID] != "" && free > 0 && 2*len(silent) <= all {
					t.Fatalf("position %d is left to the silent %s with %d standbys free", pos.Position, pos.AmphoraID, free)
				}
			}
		}
	})
}
