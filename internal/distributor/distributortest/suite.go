// Package distributortest is the conformance suite of distributors: whatever the cluster manager can be told to use has
// to take, refuse and answer alike. For tests only.
package distributortest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
	"colonnade/internal/testenv/conformance"
)

// Agent is what a distributor can be asked; distributor.Client is one.
type Agent interface {
	Status(ctx context.Context, d lb.Distributor) (distributor.Status, error)
	LoadBalancer(ctx context.Context, d lb.Distributor, lbID string) (distributor.LBStatus, error)
	Statistics(ctx context.Context, d lb.Distributor, lbID string) (distributor.Statistics, error)
	PlugVIP(ctx context.Context, d lb.Distributor, plug distributor.VIPPlug) (distributor.LBStatus, error)
	Register(ctx context.Context, d lb.Distributor, r distributor.Registrations) (distributor.LBStatus, error)
	UnplugVIP(ctx context.Context, d lb.Distributor, lbID string, stamp lb.Stamp) error
}

// Env is a distributor without load balancers.
type Env struct {
	Agent       Agent
	Distributor lb.Distributor
	// Silence makes an amphora of the suite answer no probes any more; MAC is its front end's.
	Silence func(t *testing.T, amphoraID, mac string)
}

// LB is the suite's load balancer, and Other another one.
const (
	LB       = "11111111-1111-4111-8111-111111111111"
	Other    = "22222222-2222-4222-8222-222222222222"
	ProbeKey = "0f0e0d0c0b0a09080706050403020100"
	MAC      = "02:dd:00:00:00:01"
)

// Amphora is the id of the n-th amphora, AmphoraMAC its front-end MAC.
func Amphora(n int) string { return fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n) }

// AmphoraMAC is the front-end MAC of the n-th amphora.
func AmphoraMAC(n int) string { return fmt.Sprintf("02:cc:00:00:00:%02x", n) }

func stamp(epoch, revision, serial int64) lb.Stamp {
	return lb.Stamp{Epoch: epoch, Revision: revision, Serial: serial}
}

// Plug has the suite's load balancer plugged in.
func Plug(s lb.Stamp) distributor.VIPPlug {
	return distributor.VIPPlug{
		Stamp: s, LBID: LB, VIPAddress: "198.18.0.100", SubnetCIDR: "198.18.0.0/24", Gateway: "198.18.0.1", MACAddress: MAC, MTU: 1500,
		AlgExtras: distributor.AlgExtras{Algorithm: "hash", Affinity: distributor.AffinitySourceIP}, ProbeKey: ProbeKey,
	}
}

// Table has active amphorae 0… at positions 0… and standbys behind them.
func Table(version int64, active, standbys int) distributor.Table {
	t := distributor.Table{
		Version: version, Key: "000102030405060708090a0b0c0d0e0f", Rows: 256, Affinity: distributor.AffinitySourceIP,
	}
	for n := range active + standbys {
		t.Holders = append(t.Holders, distributor.Holder{AmphoraID: Amphora(n), MAC: AmphoraMAC(n)})
		if n < active {
			t.Current.Holders = append(t.Current.Holders, n)
		} else {
			t.Standbys = append(t.Standbys, n)
		}
	}
	return t
}

// table has amphorae 0, 1, 2 at the positions and 3 as standby.
func table(s lb.Stamp) distributor.Registrations {
	return distributor.Registrations{Stamp: s, LBID: LB, Table: Table(s.Revision, 3, 1)}
}

// Run runs the suite; open is called once a test and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Env) {
	conformance.Run(t, open, []conformance.Case[Env]{
		{"S57 S58 one life, call by call", life},
		{"D5 registrations are answered by positions", positional},
		{"what is not valid is refused and changes nothing", refusals},
		{"S54 a silent amphora is swapped, and the next table has to know", swaps},
		{"a call whose time is over does nothing", late},
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want is what a call ends with: nothing, a kind of fault, or the stamp that a StaleError names.
type want struct {
	kind  lb.Kind
	fault bool
	stale lb.Stamp
}

func (w want) check(t *testing.T, err error) {
	t.Helper()
	var stale *distributor.StaleError
	switch {
	case w.stale != lb.Stamp{}:
		if !errors.As(err, &stale) || stale.Applied != w.stale {
			t.Errorf("got %v, want stale after %+v", err, w.stale)
		}
	case w.fault:
		if err == nil || errors.As(err, &stale) || lb.KindOf(err) != w.kind {
			t.Errorf("got %v, want a fault of kind %v", err, w.kind)
		}
	case err != nil:
		t.Errorf("got %v", err)
	}
}

func life(t *testing.T, ctx context.Context, e Env) {
	plugs := func(p distributor.VIPPlug) error { _, err := e.Agent.PlugVIP(ctx, e.Distributor, p); return err }
	registers := func(r distributor.Registrations) error {
		_, err := e.Agent.Register(ctx, e.Distributor, r)
		return err
	}
	asks := func(id string) error { _, err := e.Agent.LoadBalancer(ctx, e.Distributor, id); return err }
	unplugs := func(id string, s lb.Stamp) error { return e.Agent.UnplugVIP(ctx, e.Distributor, id, s) }
	otherVIP, otherTable := Plug(stamp(3, 1, 1)), table(stamp(3, 2, 1))
	otherVIP.VIPAddress, otherTable.Table.Standbys = "198.18.0.101", nil
	ok, missing := want{}, want{fault: true, kind: lb.KindNotFound}
	conflict := want{fault: true, kind: lb.KindConflict}
	after := func(s lb.Stamp) want { return want{stale: s} }
	for _, c := range []struct {
		name string
		err  error
		want want
	}{
		{"unknown", asks(LB), missing},
		{"table before the VIP", registers(table(stamp(3, 1, 1))), missing},
		{"plug", plugs(Plug(stamp(3, 1, 1))), ok},
		{"the same again", plugs(Plug(stamp(3, 1, 1))), ok},
		{"same stamp, other content", plugs(otherVIP), conflict},
		{"lower serial", plugs(Plug(stamp(3, 1, 0))), after(stamp(3, 1, 1))},
		{"lower epoch", plugs(Plug(stamp(2, 9, 9))), after(stamp(3, 1, 1))},
		{"table of an older lease", registers(table(stamp(2, 5, 1))), after(stamp(3, 1, 1))},
		{"table", registers(table(stamp(3, 2, 1))), ok},
		{"the same table again", registers(table(stamp(3, 2, 1))), ok},
		{"same stamp, other table", registers(otherTable), conflict},
		{"lower table", registers(table(stamp(3, 1, 9))), after(stamp(3, 2, 1))},
		{"a new lease sends its table", registers(table(stamp(5, 3, 1))), ok},
		{"and fences the VIP with it", plugs(Plug(stamp(4, 1, 1))), after(stamp(5, 3, 1))},
		{"known", asks(LB), ok},
		{"delete of an older lease", unplugs(LB, stamp(4, 1, 1)), after(stamp(5, 3, 1))},
		{"delete", unplugs(LB, stamp(6, 2, 1)), ok},
		{"delete again", unplugs(LB, stamp(6, 2, 1)), ok},
		{"gone", asks(LB), missing},
		{"a late plug of the lease before", plugs(Plug(stamp(5, 9, 9))), after(stamp(6, 2, 1))},
		{"a late plug with the deletion's stamp", plugs(Plug(stamp(6, 2, 1))), after(stamp(6, 2, 1))},
		{"a late table", registers(table(stamp(5, 9, 9))), after(stamp(6, 2, 1))},
		{"plugged anew", plugs(Plug(stamp(7, 1, 1))), ok},
		{"delete of what was never here", unplugs(Other, stamp(2, 0, 0)), ok},
	} {
		t.Run(c.name, func(t *testing.T) { c.want.check(t, c.err) })
	}
}

func positional(t *testing.T, ctx context.Context, e Env) {
	_, err := e.Agent.PlugVIP(ctx, e.Distributor, Plug(stamp(1, 1, 1)))
	must(t, err)
	r := table(stamp(2, 1, 1))
	r.Table.Current.Holders[1] = distributor.Vacant
	got, err := e.Agent.Register(ctx, e.Distributor, r)
	must(t, err)
	want := distributor.LBStatus{
		LBID: LB, VIPApplied: stamp(1, 1, 1), TableApplied: stamp(2, 1, 1), TableVersion: 1,
		Positions: []distributor.Position{
			{Position: 0, AmphoraID: Amphora(0), MAC: AmphoraMAC(0)}, {Position: 1}, {Position: 2, AmphoraID: Amphora(2), MAC: AmphoraMAC(2)},
		},
		Swaps: []distributor.Swap{}, Silent: []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	one, err := e.Agent.LoadBalancer(ctx, e.Distributor, LB)
	must(t, err)
	if diff := cmp.Diff(want, one); diff != "" {
		t.Error("S59 ", diff)
	}
	all, err := e.Agent.Status(ctx, e.Distributor)
	must(t, err)
	if all.DistributorID != e.Distributor.ID || all.BootID == "" || all.Dataplane == "" {
		t.Errorf("status %+v", all)
	}
	if diff := cmp.Diff([]distributor.LBStatus{want}, all.LoadBalancers); diff != "" {
		t.Error("S59 ", diff)
	}
	s, err := e.Agent.Statistics(ctx, e.Distributor, LB)
	if err != nil || s.LBID != LB {
		t.Errorf("S60 statistics %+v, %v", s, err)
	}
	if _, err := e.Agent.Statistics(ctx, e.Distributor, Other); lb.KindOf(err) != lb.KindNotFound {
		t.Errorf("S60 statistics of what is not plugged: %v", err)
	}
}

func refusals(t *testing.T, ctx context.Context, e Env) {
	_, err := e.Agent.PlugVIP(ctx, e.Distributor, Plug(stamp(1, 1, 1)))
	must(t, err)
	before, err := e.Agent.Register(ctx, e.Distributor, table(stamp(1, 1, 1)))
	must(t, err)
	invalid := want{fault: true, kind: lb.KindInvalid}
	for _, c := range []struct {
		name   string
		change func(*distributor.VIPPlug)
		want   want
	}{
		{"no epoch", func(p *distributor.VIPPlug) { p.Epoch = 0 }, invalid},
		{"address", func(p *distributor.VIPPlug) { p.VIPAddress = "vip" }, invalid},
		{"D9 IPv6", func(p *distributor.VIPPlug) { p.VIPAddress = "2001:db8::1" }, want{fault: true, kind: lb.KindUnsupported}},
		{"subnet with host bits", func(p *distributor.VIPPlug) { p.SubnetCIDR = "198.18.0.1/24" }, invalid},
		{"gateway elsewhere", func(p *distributor.VIPPlug) { p.Gateway = "198.19.0.1" }, invalid},
		{"group MAC", func(p *distributor.VIPPlug) { p.MACAddress = "01:00:5e:00:00:01" }, invalid},
		{"MTU", func(p *distributor.VIPPlug) { p.MTU = 100 }, invalid},
		{"D1 affinity", func(p *distributor.VIPPlug) { p.AlgExtras.Affinity = "cookie" }, invalid},
		{"key", func(p *distributor.VIPPlug) { p.ProbeKey = "c0ffee" }, invalid},
	} {
		t.Run("plug: "+c.name, func(t *testing.T) {
			p := Plug(stamp(2, 1, 1))
			c.change(&p)
			_, err := e.Agent.PlugVIP(ctx, e.Distributor, p)
			c.want.check(t, err)
		})
	}
	for _, c := range []struct {
		name   string
		change func(*distributor.Registrations)
	}{
		{"version", func(r *distributor.Registrations) { r.Table.Version = 9 }},
		{"swap number", func(r *distributor.Registrations) { r.Table.TakenSwap = -1 }},
		{"key", func(r *distributor.Registrations) { r.Table.Key = "00" }},
		{"amphora id", func(r *distributor.Registrations) { r.Table.Holders[1].AmphoraID = "../x" }},
		{"MAC", func(r *distributor.Registrations) { r.Table.Holders[0].MAC = "" }},
		{"rows", func(r *distributor.Registrations) { r.Table.Rows = 1000 }},
		{"holder of nothing", func(r *distributor.Registrations) { r.Table.Current.Holders[0] = 40 }},
		{"affinity", func(r *distributor.Registrations) { r.Table.Affinity = "cookie" }},
	} {
		t.Run("table: "+c.name, func(t *testing.T) {
			r := table(stamp(2, 2, 1))
			c.change(&r)
			_, err := e.Agent.Register(ctx, e.Distributor, r)
			invalid.check(t, err)
		})
	}
	if err := e.Agent.UnplugVIP(ctx, e.Distributor, LB, lb.Stamp{}); lb.KindOf(err) != lb.KindInvalid {
		t.Errorf("delete without a stamp: %v", err)
	}
	got, err := e.Agent.LoadBalancer(ctx, e.Distributor, LB)
	must(t, err)
	if diff := cmp.Diff(before, got); diff != "" {
		t.Errorf("what was refused changed something:\n%s", diff)
	}
}

func swaps(t *testing.T, ctx context.Context, e Env) {
	_, err := e.Agent.PlugVIP(ctx, e.Distributor, Plug(stamp(1, 1, 1)))
	must(t, err)
	_, err = e.Agent.Register(ctx, e.Distributor, table(stamp(1, 1, 1)))
	must(t, err)
	e.Silence(t, Amphora(1), AmphoraMAC(1))
	var got distributor.LBStatus
	for deadline := time.Now().Add(20 * time.Second); len(got.Swaps) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nobody was swapped in")
		}
		time.Sleep(10 * time.Millisecond) // the distributor's own clock: no event to wait for
		got, err = e.Agent.LoadBalancer(ctx, e.Distributor, LB)
		must(t, err)
	}
	swap := distributor.Swap{Seq: 1, Position: 1, AmphoraID: Amphora(1), StandbyID: Amphora(3), Reason: "probe", AtUnixMS: got.Swaps[0].AtUnixMS}
	if diff := cmp.Diff([]distributor.Swap{swap}, got.Swaps); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(distributor.Position{Position: 1, AmphoraID: Amphora(3), MAC: AmphoraMAC(3), Swapped: true}, got.Positions[1]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{Amphora(1)}, got.Silent); diff != "" {
		t.Error(diff)
	}
	_, err = e.Agent.Register(ctx, e.Distributor, table(stamp(1, 2, 1)))
	var refused *distributor.SwapsError
	if !errors.As(err, &refused) {
		t.Fatalf("a table that does not know the swap: %v", err)
	}
	if diff := cmp.Diff([]distributor.Swap{swap}, refused.Swaps); diff != "" {
		t.Error(diff)
	}
	taken := table(stamp(1, 2, 1))
	taken.Table.Current.Holders[1], taken.Table.Standbys, taken.Table.TakenSwap = 3, nil, 1
	got, err = e.Agent.Register(ctx, e.Distributor, taken)
	must(t, err)
	if len(got.Swaps) != 0 || got.Positions[1].Swapped || got.Positions[1].AmphoraID != Amphora(3) {
		t.Errorf("after the table that takes it in: %+v", got)
	}
}

func late(t *testing.T, ctx context.Context, e Env) {
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := e.Agent.PlugVIP(over, e.Distributor, Plug(stamp(1, 1, 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("PlugVIP: %v", err)
	}
	if _, err := e.Agent.Status(over, e.Distributor); !errors.Is(err, context.Canceled) {
		t.Errorf("Status: %v", err)
	}
	if _, err := e.Agent.LoadBalancer(ctx, e.Distributor, LB); lb.KindOf(err) != lb.KindNotFound {
		t.Errorf("plugged all the same: %v", err)
	}
}
