package noop_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"colonnade/internal/network"
	"colonnade/internal/network/networktest"
	"colonnade/internal/network/noop"
)

func TestConformance(t *testing.T) {
	networktest.Run(t, func(t *testing.T) networktest.Env {
		d := noop.New()
		s, err := d.Subnet(t.Context(), uuid.NewString())
		if err != nil {
			t.Fatal(err)
		}
		return networktest.Env{Driver: d, NetworkID: s.NetworkID, SubnetID: s.ID, Absent: "nothing", Outside: "2001:db8::9"}
	})
}

func TestWhateverIsNamedExists(t *testing.T) {
	ctx, d := t.Context(), noop.New()
	subnet, other, port := uuid.NewString(), uuid.NewString(), uuid.NewString()
	net := uuid.NewString()
	for _, s := range []string{subnet, other} {
		p, err := d.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), NetworkID: net, SubnetID: s, Purpose: network.PurposeVIP, Address: ""})
		if err != nil || p.NetworkID != net || p.SubnetID != s {
			t.Errorf("port %+v, %v", p, err)
		}
	}
	n, err := d.Network(ctx, net)
	if err != nil || len(n.Subnets) != 2 || n.Subnets[0].ID != subnet || n.Subnets[1].ID != other {
		t.Errorf("network with two subnets that were named: %+v, %v", n, err)
	}
	first, err := d.Port(ctx, port)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.Port(ctx, port)
	if diff := cmp.Diff(first, again); diff != "" || err != nil {
		t.Errorf("the same port: %v\n%s", err, diff)
	}
	if ours, err := d.Ports(ctx, ""); err != nil || len(ours) != 2 {
		t.Errorf("a port that somebody else made is listed: %v, %v", ours, err)
	}
	if s, err := d.Subnet(ctx, first.SubnetID); err != nil || s.NetworkID != first.NetworkID {
		t.Errorf("its subnet: %+v, %v", s, err)
	}
}
