// Package dataplanetest is the conformance suite of a distributor's dataplanes, with packets. For tests only.
package dataplanetest

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/distributor"
)

// What the suite installs.
const (
	LB  = "6fd2a3a0-6c4c-4f9c-8ff9-0dd1a8fbf2de"
	VIP = "198.18.0.100"
)

// Env is a port without a program.
type Env struct {
	// Open opens a dataplane over the same pins, as a restarted agent does.
	Open func(t *testing.T) distributor.Dataplane
	// Port is where clients' packets come in; its one VIP is VIP.
	Port distributor.PortConfig
	// Send lets a TCP packet from src to the VIP come in and says which MAC it left for; false when it was dropped.
	Send func(t *testing.T, src netip.Addr, port uint16) (to [6]byte, forwarded bool)
}

// Run runs the suite; open is called once a test and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Env) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Env, distributor.Dataplane)
	}{
		{"no program, no table", uninstalled},
		{"a program without a table drops and counts", tableless},
		{"D1 packets go where the table says", agrees},
		{"a table is replaced in one step", atomic},
		{"installed again, everything goes on", again},
		{"T5 closed and opened again, everything goes on", reopened},
		{"S57 removed, and removed again", removed},
		{"what is not valid is refused and changes nothing", refusals},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := open(t)
			dp := e.Open(t)
			if dp.Name() == "" {
				t.Error("a dataplane without a name")
			}
			t.Cleanup(func() {
				if err := dp.Remove(LB); err != nil {
					t.Errorf("remove: %v", err)
				}
				must(t, dp.Close())
			})
			c.run(t, e, dp)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var client = netip.MustParseAddr("198.18.5.6")

func mac(n int) [6]byte { return [6]byte{2, 0, 0, 0, 0xaa, byte(n)} }

// compiled has amphorae 0, 1, 2 at the positions.
func compiled(t *testing.T, affinity distributor.Affinity) *distributor.Compiled {
	t.Helper()
	table, err := distributor.NewTable([16]byte{1, 2, 3, 15: 9}, affinity, 3)
	must(t, err)
	var changes []distributor.Change
	for n := range 3 {
		changes = append(changes, distributor.Fill(n, distributor.Holder{AmphoraID: fmt.Sprintf("a%d", n), MAC: fmt.Sprintf("02:00:00:00:aa:%02x", n)}))
	}
	table, err = table.Next(changes...)
	must(t, err)
	c, err := distributor.Compile(table)
	must(t, err)
	return c
}

// everythingTo is a table of one target, which stands at index among targets that no row names.
func everythingTo(n, index int) distributor.EffectiveTable {
	e := distributor.EffectiveTable{Affinity: distributor.AffinitySourceIP, Rows: make([]uint8, 256)}
	for i := range index {
		e.MACs = append(e.MACs, mac(200+i))
	}
	e.MACs = append(e.MACs, mac(n))
	e.Members = e.MACs
	for r := range e.Rows {
		e.Rows[r] = uint8(index)
	}
	return e
}

func wantTo(t *testing.T, e Env, want [6]byte) {
	t.Helper()
	if to, ok := e.Send(t, client, 4000); !ok || to != want {
		t.Errorf("forwarded %v, to %x, want %x", ok, to, want)
	}
}

func wantDropped(t *testing.T, e Env) {
	t.Helper()
	if to, ok := e.Send(t, client, 4000); ok {
		t.Errorf("forwarded to %x", to)
	}
}

func uninstalled(t *testing.T, _ Env, dp distributor.Dataplane) {
	if err := dp.SetTable(LB, everythingTo(1, 0)); err == nil {
		t.Error("a table without a program was taken")
	}
	if _, err := dp.Statistics(LB); err == nil {
		t.Error("statistics without a program")
	}
}

func tableless(t *testing.T, e Env, dp distributor.Dataplane) {
	must(t, dp.Install(LB, e.Port))
	wantDropped(t, e)
	s, err := dp.Statistics(LB)
	must(t, err)
	if s.LBID != LB || s.ForwardedPkts != 0 || s.Dropped["no_owner"] != 1 {
		t.Errorf("%+v", s)
	}
	nobody := everythingTo(1, 0)
	for r := range nobody.Rows {
		nobody.Rows[r] = distributor.NoOwner
	}
	must(t, dp.SetTable(LB, nobody))
	wantDropped(t, e)
	must(t, dp.SetTable(LB, everythingTo(1, 0)))
	wantTo(t, e, mac(1))
}

func agrees(t *testing.T, e Env, dp distributor.Dataplane) {
	must(t, dp.Install(LB, e.Port))
	for _, affinity := range []distributor.Affinity{distributor.AffinitySourceIP, distributor.AffinitySourceIPPort} {
		c := compiled(t, affinity)
		must(t, dp.SetTable(LB, c.Effective(nil)))
		for i := range 20 {
			src, port := netip.AddrFrom4([4]byte{198, 18, 5, byte(1 + i)}), uint16(1024+i*31)
			want := c.MACs()[c.Owner(c.RowOf(src, port))]
			if to, ok := e.Send(t, src, port); !ok || to != want {
				t.Fatalf("%s: %s:%d: forwarded %v to %x, the table says %x", affinity, src, port, ok, to, want)
			}
		}
	}
}

// atomic switches between two tables that have nothing in common while packets come in: a mixture would send them to a
// target that no row names, or to nobody.
func atomic(t *testing.T, e Env, dp distributor.Dataplane) {
	must(t, dp.Install(LB, e.Port))
	tables := []distributor.EffectiveTable{everythingTo(1, 0), everythingTo(2, 3)}
	must(t, dp.SetTable(LB, tables[0]))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := dp.SetTable(LB, tables[i%2]); err != nil {
				t.Errorf("set table: %v", err)
				return
			}
		}
	})
	for range 40 {
		if to, ok := e.Send(t, client, 4000); !ok || to != mac(1) && to != mac(2) {
			t.Errorf("forwarded %v, to %x", ok, to)
			break
		}
	}
	close(stop)
	wg.Wait()
	must(t, dp.SetTable(LB, tables[1]))
	wantTo(t, e, mac(2)) // from when SetTable returns
}

func again(t *testing.T, e Env, dp distributor.Dataplane) {
	must(t, dp.Install(LB, e.Port))
	must(t, dp.SetTable(LB, everythingTo(1, 0)))
	wantTo(t, e, mac(1))
	before, err := dp.Statistics(LB)
	must(t, err)
	if before.ForwardedPkts != 1 || before.ForwardedByte == 0 {
		t.Errorf("%+v", before)
	}
	must(t, dp.Install(LB, e.Port))
	wantTo(t, e, mac(1))
	after, err := dp.Statistics(LB)
	must(t, err)
	want := before
	want.ForwardedPkts, want.ForwardedByte = 2, 2*before.ForwardedByte
	if diff := cmp.Diff(want, after); diff != "" {
		t.Error(diff)
	}
}

func reopened(t *testing.T, e Env, dp distributor.Dataplane) {
	must(t, dp.Install(LB, e.Port))
	must(t, dp.SetTable(LB, everythingTo(1, 0)))
	wantTo(t, e, mac(1))
	must(t, dp.Close())
	second := e.Open(t)
	defer func() { must(t, second.Close()) }()
	wantTo(t, e, mac(1)) // before anybody installs anything
	if s, err := second.Statistics(LB); err != nil || s.ForwardedPkts != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	must(t, second.SetTable(LB, everythingTo(2, 0)))
	wantTo(t, e, mac(2))
	must(t, second.Install(LB, e.Port))
	wantTo(t, e, mac(2))
}

func removed(t *testing.T, e Env, dp distributor.Dataplane) {
	must(t, dp.Remove(LB)) // what was never there
	must(t, dp.Install(LB, e.Port))
	must(t, dp.SetTable(LB, everythingTo(1, 0)))
	wantTo(t, e, mac(1))
	for range 2 {
		must(t, dp.Remove(LB))
	}
	uninstalled(t, e, dp)
	must(t, dp.Install(LB, e.Port))
	wantDropped(t, e)
	if s, err := dp.Statistics(LB); err != nil || s.ForwardedPkts != 0 {
		t.Errorf("what was counted before the removal: %+v, %v", s, err)
	}
}

func refusals(t *testing.T, e Env, dp distributor.Dataplane) {
	must(t, dp.Install(LB, e.Port))
	must(t, dp.SetTable(LB, everythingTo(1, 0)))
	for name, change := range map[string]func(*distributor.EffectiveTable){
		"no rows":               func(t *distributor.EffectiveTable) { t.Rows = nil },
		"rows no power of two":  func(t *distributor.EffectiveTable) { t.Rows = t.Rows[:200] },
		"too many rows":         func(t *distributor.EffectiveTable) { t.Rows = make([]uint8, 2*distributor.DefaultRows) },
		"too many targets":      func(t *distributor.EffectiveTable) { t.MACs = make([][6]byte, distributor.MaxHolders+1) },
		"too many members":      func(t *distributor.EffectiveTable) { t.Members = make([][6]byte, distributor.MaxHolders+1) },
		"a row without target":  func(t *distributor.EffectiveTable) { t.Rows[7] = 1 },
		"a row far beyond them": func(t *distributor.EffectiveTable) { t.Rows[7] = 0xfe },
	} {
		bad := everythingTo(2, 0)
		change(&bad)
		if err := dp.SetTable(LB, bad); err == nil {
			t.Errorf("a table with %s was taken", name)
		}
	}
	for name, vips := range map[string][]string{
		"no VIP": nil, "too many VIPs": slices.Repeat([]string{VIP}, 100), "a name": {"vip"}, "D9 IPv6": {"2001:db8::1"},
	} {
		port := e.Port
		port.VIPs = vips
		if err := dp.Install(LB, port); err == nil {
			t.Errorf("a port with %s was taken", name)
		}
	}
	for _, id := range []string{"", "..", "a/b", "a.b"} {
		if err := dp.Install(id, e.Port); err == nil {
			t.Errorf("load balancer id %q was taken", id)
		}
	}
	wantTo(t, e, mac(1))
}
