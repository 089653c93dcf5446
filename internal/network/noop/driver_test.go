package noop_test

import (
	"context"
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
		return networktest.Env{
			Driver: d, NetworkID: s.NetworkID, SubnetID: s.ID, ExternalID: uuid.NewString(), Absent: "nothing", Outside: "2001:db8::9",
			TenantPort: func(ctx context.Context) (network.Port, error) { return d.Port(ctx, uuid.NewString()) },
		}
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

// What a request names together belongs together; what is used stays where it is.
func TestInvent(t *testing.T) {
	ctx, d := t.Context(), noop.New()
	net, subnet, six, port := uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
	d.Invent(network.PortSpec{NetworkID: net, SubnetID: subnet})
	d.Invent(network.PortSpec{NetworkID: net, Address: "2001:db8::10"})
	if _, err := d.Subnet(ctx, six); err != nil { // clients look up what they name
		t.Error(err)
	}
	d.Invent(network.PortSpec{SubnetID: six, Address: "2001:db8::11"})
	d.Invent(network.PortSpec{ID: port, NetworkID: net, SubnetID: subnet, Address: "192.0.2.7"})
	d.Invent(network.PortSpec{NetworkID: uuid.NewString(), SubnetID: subnet, Address: "2001:db8::12"})
	d.Invent(network.PortSpec{ID: "nothing", NetworkID: "nothing"})
	n, err := d.Network(ctx, net)
	if err != nil || len(n.Subnets) != 2 || n.Subnets[0].ID != subnet || n.Subnets[0].CIDR != "0.0.0.0/0" || n.Subnets[1].CIDR != "::/0" {
		t.Errorf("network: %+v, %v", n, err)
	}
	s, err := d.Subnet(ctx, six)
	if err != nil || s.CIDR != "::/0" {
		t.Errorf("subnet of an IPv6 address: %+v, %v", s, err)
	}
	p, err := d.EnsurePort(ctx, network.PortSpec{ID: uuid.NewString(), SubnetID: six, Purpose: network.PurposeVIP})
	if err != nil || p.Address != "fd00::2" || p.Gateway != s.GatewayIP {
		t.Errorf("port with an address of that subnet's: %+v, %v", p, err)
	}
	p, err = d.Port(ctx, port)
	if err != nil || p.NetworkID != net || p.SubnetID != subnet || p.Address != "192.0.2.7" || p.OwnerID != "" {
		t.Errorf("port that was named: %+v, %v", p, err)
	}
	d.Invent(network.PortSpec{ID: port, Address: "192.0.2.8"})
	if again, err := d.Port(ctx, port); err != nil || again.Address != p.Address {
		t.Errorf("port that was named twice: %+v, %v", again, err)
	}
}
