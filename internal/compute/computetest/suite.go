// Package computetest is the conformance suite of compute drivers. For tests only.
package computetest

import (
	stdcmp "cmp"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"colonnade/internal/compute"
	"colonnade/internal/lb"
	"colonnade/internal/testenv/conformance"
)

// Env is a driver without instances and what it takes to make some.
type Env struct {
	Driver compute.Driver
	// Spec makes a specification with a management port that exists.
	Spec func(t *testing.T, kind compute.Kind) compute.Spec
	// Port makes a port on a tenant network and returns its id; Plugged reports whether it is in an instance.
	Port    func(t *testing.T) string
	Plugged func(t *testing.T, portID string) bool
	// Kill ends everything that runs in the instance, behind the driver's back.
	Kill func(t *testing.T, id string)
	// AbsentPort is an id of no port; "" is a fresh UUID.
	AbsentPort string
}

// Run runs the suite; open is called once a test and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Env) {
	conformance.Run(t, open, []conformance.Case[Env]{
		{"probe is content", func(t *testing.T, ctx context.Context, e Env) { must(t, e.Driver.Probe(ctx)) }},
		{"an instance is built once, listed and deleted", lifecycle},
		{"two kinds live side by side", sideBySide},
		{"a dead instance is gone, is left as it is, and is built anew after deletion", gone},
		{"ports are plugged and unplugged", ports},
		{"deletion takes ports away", deletionTakesPorts},
		{"a dead instance loses its ports when it is deleted", deadLosesPorts},
		{"two that build one instance at a time build one", together},
		{"an instance of no kind is none", noKind},
		{"what is not there", missing},
		{"a call whose time is over does nothing", late},
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantList(t *testing.T, ctx context.Context, d compute.Driver, want ...compute.Instance) {
	t.Helper()
	got, err := d.List(ctx)
	must(t, err)
	opts := cmp.Options{
		cmpopts.EquateEmpty(), cmpopts.IgnoreFields(compute.Instance{}, "Reason"),
		cmpopts.SortSlices(func(a, b compute.Instance) bool { return a.ID < b.ID }),
	}
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Errorf("list:\n%s", diff)
	}
}

func lifecycle(t *testing.T, ctx context.Context, e Env) {
	if e.Driver.BuildBudget() < 0 {
		t.Error("a negative budget")
	}
	wantList(t, ctx, e.Driver)
	spec := e.Spec(t, compute.KindAmphora)
	first, err := e.Driver.Ensure(ctx, spec)
	must(t, err)
	if first.ID != spec.ID || first.Kind != compute.KindAmphora || first.State != compute.StateRunning || first.ComputeID == "" {
		t.Errorf("built %+v", first)
	}
	second, err := e.Driver.Ensure(ctx, spec)
	must(t, err)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("ensured again:\n%s", diff)
	}
	wantList(t, ctx, e.Driver, first)
	for range 2 {
		must(t, e.Driver.Delete(ctx, spec.ID))
	}
	wantList(t, ctx, e.Driver)
}

func sideBySide(t *testing.T, ctx context.Context, e Env) {
	a, err := e.Driver.Ensure(ctx, e.Spec(t, compute.KindAmphora))
	must(t, err)
	d, err := e.Driver.Ensure(ctx, e.Spec(t, compute.KindDistributor))
	must(t, err)
	wantList(t, ctx, e.Driver, a, d)
	must(t, e.Driver.Delete(ctx, a.ID))
	wantList(t, ctx, e.Driver, d)
}

func gone(t *testing.T, ctx context.Context, e Env) {
	spec := e.Spec(t, compute.KindAmphora)
	i, err := e.Driver.Ensure(ctx, spec)
	must(t, err)
	e.Kill(t, spec.ID)
	i.State = compute.StateGone
	wantList(t, ctx, e.Driver, i)
	again, err := e.Driver.Ensure(ctx, spec)
	must(t, err)
	if again.State != compute.StateGone {
		t.Errorf("ensured after its death: %+v", again)
	}
	must(t, e.Driver.Delete(ctx, spec.ID))
	again, err = e.Driver.Ensure(ctx, spec)
	must(t, err)
	if again.State != compute.StateRunning {
		t.Errorf("built anew: %+v", again)
	}
}

func ports(t *testing.T, ctx context.Context, e Env) {
	spec := e.Spec(t, compute.KindAmphora)
	_, err := e.Driver.Ensure(ctx, spec)
	must(t, err)
	port := e.Port(t)
	for range 2 {
		must(t, e.Driver.Plug(ctx, spec.ID, port))
	}
	if !e.Plugged(t, port) {
		t.Error("not plugged")
	}
	for range 2 {
		must(t, e.Driver.Unplug(ctx, spec.ID, port))
	}
	if e.Plugged(t, port) {
		t.Error("still plugged")
	}
	must(t, e.Driver.Plug(ctx, spec.ID, port))
	if !e.Plugged(t, port) {
		t.Error("not plugged again")
	}
}

func deletionTakesPorts(t *testing.T, ctx context.Context, e Env) {
	spec := e.Spec(t, compute.KindDistributor)
	_, err := e.Driver.Ensure(ctx, spec)
	must(t, err)
	all := []string{e.Port(t), e.Port(t)}
	for _, p := range all {
		must(t, e.Driver.Plug(ctx, spec.ID, p))
	}
	must(t, e.Driver.Delete(ctx, spec.ID))
	for _, p := range append(all, spec.ManagementPortID) {
		if e.Plugged(t, p) {
			t.Errorf("port %s is still plugged", p)
		}
	}
}

func missing(t *testing.T, ctx context.Context, e Env) {
	id := uuid.NewString()
	must(t, e.Driver.Delete(ctx, id))
	must(t, e.Driver.Unplug(ctx, id, e.Port(t)))
	if err := e.Driver.Plug(ctx, id, e.Port(t)); lb.KindOf(err) != lb.KindNotFound {
		t.Errorf("plug into nothing: %v", err)
	}
	spec := e.Spec(t, compute.KindAmphora)
	_, err := e.Driver.Ensure(ctx, spec)
	must(t, err)
	if err := e.Driver.Plug(ctx, spec.ID, stdcmp.Or(e.AbsentPort, uuid.NewString())); lb.KindOf(err) != lb.KindNotFound {
		t.Errorf("plug a port that is not there: %v", err)
	}
}

func deadLosesPorts(t *testing.T, ctx context.Context, e Env) {
	spec := e.Spec(t, compute.KindAmphora)
	_, err := e.Driver.Ensure(ctx, spec)
	must(t, err)
	port := e.Port(t)
	must(t, e.Driver.Plug(ctx, spec.ID, port))
	e.Kill(t, spec.ID)
	must(t, e.Driver.Delete(ctx, spec.ID))
	for _, p := range []string{port, spec.ManagementPortID} {
		if e.Plugged(t, p) {
			t.Errorf("port %s is still plugged", p)
		}
	}
}

func together(t *testing.T, ctx context.Context, e Env) {
	spec := e.Spec(t, compute.KindAmphora)
	var made [2]compute.Instance
	var errs [2]error
	var wg sync.WaitGroup
	for i := range made {
		wg.Go(func() { made[i], errs[i] = e.Driver.Ensure(ctx, spec) })
	}
	wg.Wait()
	must(t, errors.Join(errs[:]...))
	if diff := cmp.Diff(made[0], made[1]); diff != "" {
		t.Errorf("two instances:\n%s", diff)
	}
	wantList(t, ctx, e.Driver, made[0])
}

func noKind(t *testing.T, ctx context.Context, e Env) {
	spec := e.Spec(t, compute.KindAmphora)
	spec.Kind = "toaster"
	if _, err := e.Driver.Ensure(ctx, spec); err == nil {
		t.Error("a toaster was built")
	}
	wantList(t, ctx, e.Driver)
}

func late(t *testing.T, ctx context.Context, e Env) {
	over, cancel := context.WithCancel(ctx)
	cancel()
	kept, port := e.Spec(t, compute.KindAmphora), e.Port(t)
	i, err := e.Driver.Ensure(ctx, kept)
	must(t, err)
	if _, err := e.Driver.Ensure(over, e.Spec(t, compute.KindAmphora)); !errors.Is(err, context.Canceled) {
		t.Errorf("Ensure: %v", err)
	}
	if err := e.Driver.Plug(over, kept.ID, port); !errors.Is(err, context.Canceled) {
		t.Errorf("Plug: %v", err)
	}
	if err := e.Driver.Delete(over, kept.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete: %v", err)
	}
	if e.Plugged(t, port) {
		t.Error("plugged all the same")
	}
	wantList(t, ctx, e.Driver, i)
}
