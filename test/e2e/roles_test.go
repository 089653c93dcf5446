package e2e_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"colonnade/internal/stage"
	"colonnade/internal/store/storetest"
	"colonnade/internal/traffic"
)

// TestRolesAsProcesses runs every role as a process of its own, kills each in turn under traffic, asks for something
// that needs it, starts it again and waits until the world is whole. Nobody's request fails by that.
func TestRolesAsProcesses(t *testing.T) {
	for _, d := range storetest.Databases {
		t.Run(d.Name, func(t *testing.T) {
			if d.Name == "sqlite" && os.Getenv("COLONNADE_LONG") == "" {
				t.Skip("one database will do in a short run; COLONNADE_LONG=1 runs both")
			}
			dsn := d.New(t)
			rolesAsProcesses(t, setWith(t, stage.Options{Separate: true, Config: quick + fmt.Sprintf("[database]\ndsn = %q\n", dsn)}))
		})
	}
}

func rolesAsProcesses(t *testing.T, s *stage.Stage) {
	sv, internet := serving(t, s, 0, 20)
	long := func() context.Context { return within(t, 90*time.Second) }

	ctx, stop := context.WithCancel(context.Background())
	var mu sync.Mutex
	answered, failures := 0, map[string]int{}
	var streaming sync.WaitGroup
	streaming.Go(func() {
		traffic.Stream(ctx, internet.Dial, internet.Sources, sv.Web(), 10*time.Millisecond, func(r traffic.Request) {
			mu.Lock()
			defer mu.Unlock()
			if r.Failure == "" {
				answered++
			} else {
				failures[r.Failure]++
			}
		})
	})
	end := sync.OnceFunc(func() { stop(); streaming.Wait() })
	t.Cleanup(end)

	failover := func(position int) string {
		t.Helper()
		v, err := sv.View(long())
		must(t, err)
		a, ok := v.At(position)
		if !ok {
			t.Fatalf("nobody is at position %d", position)
		}
		must(t, s.Client().Amphorae().Failover(long(), a.ID))
		return a.ID
	}
	heal := func(without string) {
		t.Helper()
		_, err := sv.WaitWhole(long(), without)
		must(t, err)
		l, err := s.Client().WaitSettled(long(), sv.ID, nil)
		must(t, err)
		if l.ProvisioningStatus != "ACTIVE" {
			t.Errorf("load balancer is %s", l.ProvisioningStatus)
		}
	}
	for i, role := range s.Roles() {
		began := time.Now()
		switch role {
		case "api": // nobody can ask meanwhile: what was asked before goes on
			leaving := failover(i % 3)
			must(t, s.KillRole(role))
			must(t, s.StartRole(long(), role))
			heal(leaving)
		default:
			must(t, s.KillRole(role))
			leaving := failover(i % 3)
			must(t, s.StartRole(long(), role))
			heal(leaving)
		}
		t.Logf("%s killed, started again, healed: %.1f s", role, time.Since(began).Seconds())
	}
	if os.Getenv("COLONNADE_LONG") != "" {
		for i, role := range []string{"worker", "acm"} { // holding leases, which have to run out
			leaving := failover(i)
			pass(t, 50*time.Millisecond)
			must(t, s.KillRole(role))
			must(t, s.StartRole(long(), role))
			heal(leaving)
		}
	}
	end()
	if len(failures) > 0 || answered == 0 {
		t.Errorf("%d requests answered, failed: %v", answered, failures)
	}

	// And what nobody planned: an amphora dies while nobody hears heartbeats.
	must(t, s.KillRole("health"))
	v, err := sv.View(long())
	must(t, err)
	victim, _ := v.At(1)
	must(t, s.PowerCut(long(), victim.ID))
	must(t, s.StartRole(long(), "health"))
	heal(victim.ID)

	must(t, s.Client().DeleteLoadBalancer(long(), sv.ID, true))
	must(t, s.Client().WaitGone(long(), sv.ID, nil))
}
