package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/client"
	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// crashAfter are the moments at which the control plane is killed, counted from the request. They lie within the work
// that the request begins, which takes about a second here; wherever they hit, the outcome has to be the same.
var crashAfter = []time.Duration{
	20 * time.Millisecond, 80 * time.Millisecond, 150 * time.Millisecond, 250 * time.Millisecond, 400 * time.Millisecond,
	700 * time.Millisecond,
}

// inventory waits until the machine's inventory is the wanted one: what is being removed takes a moment.
func inventory(t *testing.T, s *stage.Stage, want map[string]int) {
	t.Helper()
	ctx := within(t, 40*time.Second)
	var diff string
	for ctx.Err() == nil {
		got, err := s.Inventory(ctx)
		if err != nil {
			diff = err.Error()
		} else if diff = cmp.Diff(want, got); diff == "" {
			return
		}
		pass(t, 100*time.Millisecond)
	}
	t.Errorf("not what an undisturbed run leaves (-want +got):\n%s", diff)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestControlPlaneKilledInTheMiddle kills the control plane at several moments of creating, failing over and deleting,
// starts it again and compares the world with that of an undisturbed run.
func TestControlPlaneKilledInTheMiddle(t *testing.T) {
	s := set(t, quick)
	members, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	sv, err := s.Tenancy(members, "t", 0)
	must(t, err)
	internet, err := s.Internet(within(t, 10*time.Second), "clients", 10)
	must(t, err)
	long := func() context.Context { return within(t, time.Minute) }

	// The undisturbed run.
	empty, err := s.Inventory(long())
	must(t, err)
	must(t, sv.Create(long(), "lb"))
	_, err = s.Client().WaitSettled(long(), sv.ID, nil)
	must(t, err)
	_, err = sv.WaitWhole(long(), "")
	must(t, err)
	whole, err := s.Inventory(long())
	must(t, err)
	must(t, s.Client().DeleteLoadBalancer(long(), sv.ID, true))
	must(t, s.Client().WaitGone(long(), sv.ID, nil))
	inventory(t, s, empty)

	crash := func(after time.Duration) {
		t.Helper()
		pass(t, after)
		must(t, s.Kill())
		must(t, s.Start(long()))
	}
	for _, after := range crashAfter {
		t.Run(fmt.Sprintf("%s after", after), func(t *testing.T) {
			must(t, sv.Create(long(), "lb"))
			crash(after)
			l, err := s.Client().WaitSettled(long(), sv.ID, nil)
			must(t, err)
			if l.ProvisioningStatus != "ACTIVE" {
				t.Errorf("created: %s", l.ProvisioningStatus)
			}
			before, err := sv.WaitWhole(long(), "")
			must(t, err)
			inventory(t, s, whole)

			leaving, _ := before.At(0)
			must(t, s.Client().Amphorae().Failover(long(), leaving.ID))
			crash(after)
			_, err = sv.WaitWhole(long(), leaving.ID)
			must(t, err)
			_, err = s.Client().WaitSettled(long(), sv.ID, nil)
			must(t, err)
			inventory(t, s, whole)
			for _, source := range internet.Sources {
				if r := traffic.Get(long(), internet.Dial, source, sv.Web()); r.Failure != "" {
					t.Errorf("request from %s: %s", source, r.Failure)
				}
			}

			must(t, s.Client().DeleteLoadBalancer(long(), sv.ID, true))
			crash(after)
			must(t, s.Client().WaitGone(long(), sv.ID, nil))
			inventory(t, s, empty)
			if _, err := s.Client().LoadBalancers().Get(long(), sv.ID); client.StatusOf(err) != http.StatusNotFound {
				t.Errorf("deleted load balancer: %v", err)
			}
		})
	}
}

// TestTrafficDoesNotNeedTheControlPlane kills it and lets an amphora die.
func TestTrafficDoesNotNeedTheControlPlane(t *testing.T) {
	s := set(t, quick)
	sv, internet := serving(t, s, 0, 30)
	before, err := sv.View(within(t, 10*time.Second))
	must(t, err)
	victim, _ := before.At(2)
	owned := ownedBy(t, before, victim.ID, internet.Sources)
	f := open(t, sv, internet, internet.Sources)
	must(t, s.Kill())
	must(t, s.PowerCut(within(t, 10*time.Second), victim.ID))
	// A lost SYN is sent again after a second: by then the standby is swapped in.
	for _, source := range internet.Sources {
		if r := traffic.Get(within(t, 20*time.Second), internet.Dial, source, sv.Web()); r.Failure != "" {
			t.Errorf("request from %s without a control plane: %s", source, r.Failure)
		}
	}
	must(t, s.Start(within(t, time.Minute)))
	_, err = sv.WaitWhole(within(t, time.Minute), victim.ID)
	must(t, err)
	for source, end := range f.finish() {
		if !owned[source] && end.Reason != traffic.FlowAlive {
			t.Errorf("flow from %s of another amphora ended %q", source, end.Reason)
		}
	}
}
