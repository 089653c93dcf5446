package housekeeping_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/compute"
	"colonnade/internal/health"
	"colonnade/internal/housekeeping"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

type rows struct{ err error }

func (r rows) Subjects(context.Context) ([]health.Subject, error) {
	return []health.Subject{{ID: "a1"}, {ID: "d1"}}, r.err
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
		return housekeeping.New(housekeeping.Deps{Store: s, Compute: instances{r: r}, Network: ports{r: r}, Now: func() time.Time { return now }})
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
		now = now.Add(housekeeping.DefaultMinAge)
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
