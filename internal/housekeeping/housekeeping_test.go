package housekeeping_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/compute"
	"colonnade/internal/housekeeping"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// minAge is how old an orphan has to be.
const minAge = 2 * time.Minute

type rows struct{ err error }

func (r rows) Subjects(context.Context) ([]lb.Subject, error) {
	return []lb.Subject{{ID: "a1"}, {ID: "d1"}}, r.err
}

func (rows) ClusterState(_ context.Context, id string) (lb.ClusterState, error) {
	switch id {
	case "lb1":
		return lb.ClusterState{LoadBalancer: lb.LoadBalancer{ProvisioningStatus: lb.Active}}, nil
	case "lb-deleted":
		return lb.ClusterState{LoadBalancer: lb.LoadBalancer{ProvisioningStatus: lb.Deleted}}, nil
	}
	return lb.ClusterState{}, lb.Faultf(lb.KindNotFound, "Load Balancer %s not found.", id)
}

type reality struct {
	instances []string
	ports     []network.Port
}

type instances struct {
	compute.Driver
	r *reality
}

func (i instances) List(context.Context) (all []compute.Instance, err error) {
	for _, id := range i.r.instances {
		all = append(all, compute.Instance{ID: id})
	}
	return all, nil
}

func (i instances) Delete(_ context.Context, id string) error {
	i.r.instances = slices.DeleteFunc(i.r.instances, func(x string) bool { return x == id })
	return nil
}

type ports struct {
	network.Driver
	r *reality
}

func (p ports) Ports(context.Context, string) ([]network.Port, error) {
	return slices.Clone(p.r.ports), nil
}

func (p ports) DeletePort(_ context.Context, id string) error {
	p.r.ports = slices.DeleteFunc(p.r.ports, func(x network.Port) bool { return x.ID == id })
	return nil
}

func (p ports) ReleasePort(ctx context.Context, id string) error { return p.DeletePort(ctx, id) }

func TestSweep(t *testing.T) {
	port := func(id string, purpose network.Purpose, owner string) network.Port {
		return network.Port{ID: id, Purpose: purpose, OwnerID: owner}
	}
	made := func() *reality {
		return &reality{instances: []string{"a1", "orphan", "d1"}, ports: []network.Port{
			port("kept-fe", network.PurposeFrontEnd, "a1"), port("orphan-fe", network.PurposeFrontEnd, "a0"),
			port("orphan-be", network.PurposeBackEnd, "a0"), port("kept-mgmt", network.PurposeManagement, "d1"),
			port("kept-vip", network.PurposeVIP, "lb1"), port("orphan-vip", network.PurposeVIP, "lb0"),
			port("deleted-vip", network.PurposeVIP, "lb-deleted"), port("kept-tenant", network.PurposeTenant, "somebody"),
		}}
	}
	left := func(r *reality) []string {
		ids := slices.Clone(r.instances)
		for _, p := range r.ports {
			ids = append(ids, p.ID)
		}
		return ids
	}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	role := func(r *reality, s rows) *housekeeping.Role {
		return housekeeping.New(housekeeping.Deps{Store: s, MinAge: minAge, Compute: instances{r: r}, Network: ports{r: r}, Now: func() time.Time { return now }})
	}
	t.Run("orphans go once they are old enough, nothing else does", func(t *testing.T) {
		r := made()
		h := role(r, rows{})
		if err := h.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(left(made()), left(r)); d != "" {
			t.Errorf("at first sight: %s", d)
		}
		now = now.Add(minAge)
		if err := h.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"a1", "d1", "kept-fe", "kept-mgmt", "kept-vip", "kept-tenant"}, left(r)); d != "" {
			t.Errorf("later: %s", d)
		}
	})
	t.Run("without the rows nothing is removed", func(t *testing.T) {
		r := made()
		h := role(r, rows{err: errors.New("database away")})
		for range 3 {
			now = now.Add(time.Hour)
			if err := h.Sweep(t.Context()); err == nil {
				t.Error("no error")
			}
		}
		if d := cmp.Diff(left(made()), left(r)); d != "" {
			t.Error(d)
		}
	})
}

// crashes is a reality in which housekeeping dies at its nth change, before or after it took effect.
type crashes struct {
	*reality
	at    int
	after bool
	n     int
}

type death struct{}

func (c *crashes) change(f func() error) error {
	c.n++
	if c.n == c.at && !c.after {
		panic(death{})
	}
	err := f()
	if c.n == c.at {
		panic(death{})
	}
	return err
}

type crashingInstances struct {
	instances
	c *crashes
}

func (i crashingInstances) Delete(ctx context.Context, id string) error {
	timed(ctx)
	return i.c.change(func() error { return i.instances.Delete(ctx, id) })
}

type crashingPorts struct {
	ports
	c *crashes
}

func (p crashingPorts) DeletePort(ctx context.Context, id string) error {
	timed(ctx)
	return p.c.change(func() error { return p.ports.DeletePort(ctx, id) })
}

func timed(ctx context.Context) {
	if _, ok := ctx.Deadline(); !ok {
		panic("a call without a deadline")
	}
}

func TestCrash(t *testing.T) {
	for at := range 6 {
		for _, after := range []bool{false, true} {
			now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
			r := &crashes{at: at + 1, after: after, reality: &reality{instances: []string{"a1", "o1", "o2"}, ports: []network.Port{
				{ID: "kept", Purpose: network.PurposeFrontEnd, OwnerID: "a1"},
				{ID: "p1", Purpose: network.PurposeFrontEnd, OwnerID: "o1"},
				{ID: "p2", Purpose: network.PurposeVIP, OwnerID: "lb0"},
			}}}
			started := func() *housekeeping.Role {
				return housekeeping.New(housekeeping.Deps{
					Store: rows{}, MinAge: minAge, Compute: crashingInstances{instances{r: r.reality}, r}, Network: crashingPorts{ports{r: r.reality}, r}, Now: func() time.Time { return now },
				})
			}
			h := started()
			for range 8 {
				func() {
					defer func() {
						if p := recover(); p != nil {
							if p != (death{}) {
								t.Fatal(p)
							}
							h = started()
						}
					}()
					if err := h.Sweep(t.Context()); err != nil {
						t.Error(err)
					}
				}()
				now = now.Add(minAge)
			}
			if d := cmp.Diff([]string{"a1"}, r.instances); d != "" || len(r.ports) != 1 {
				t.Errorf("crash at change %d, after it %v: %s, ports %v", at+1, after, d, r.ports)
			}
		}
	}
}

// stuck is an instance that cannot be removed.
type stuck struct{ instances }

func (s stuck) Delete(ctx context.Context, id string) error {
	if id == "o1" {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.instances.Delete(ctx, id)
}

func TestOneHangs(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &reality{instances: []string{"a1", "o1", "o2"}}
	h := housekeeping.New(housekeeping.Deps{
		Store: rows{}, MinAge: minAge, Compute: stuck{instances{r: r}}, Network: ports{r: r}, Now: func() time.Time { return now }, CallTimeout: 20 * time.Millisecond,
	})
	if err := h.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(minAge)
	if err := h.Sweep(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if d := cmp.Diff([]string{"a1", "o1"}, r.instances); d != "" {
		t.Errorf("the others: %s", d)
	}
}

type forgetful struct {
	rows
	before []time.Time
	err    error
}

func (f *forgetful) Purge(ctx context.Context, before time.Time) (int, error) {
	timed(ctx)
	f.before = append(f.before, before)
	return 3, f.err
}

func TestPurge(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start
	s := &forgetful{err: errors.New("database away")}
	h := housekeeping.New(housekeeping.Deps{Store: s, KeepDeleted: 24 * time.Hour, Now: func() time.Time { return now }})
	if err := h.Purge(t.Context()); err == nil {
		t.Error("no error")
	}
	s.err = nil
	for range 5 { // tried again at once, and not again before an hour has passed
		if err := h.Purge(t.Context()); err != nil {
			t.Error(err)
		}
		now = now.Add(20 * time.Minute)
	}
	want := []time.Time{start.Add(-24 * time.Hour), start.Add(-24 * time.Hour), start.Add(time.Hour - 24*time.Hour)}
	if d := cmp.Diff(want, s.before); d != "" {
		t.Error(d)
	}
	t.Run("a store that cannot forget is left alone", func(t *testing.T) {
		if err := housekeeping.New(housekeeping.Deps{Store: rows{}}).Purge(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
