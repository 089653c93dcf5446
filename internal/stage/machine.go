package stage

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"

	"colonnade/internal/api/wire"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network/bridge"
)

// Machine is a tenant's machine: a network namespace.
type Machine struct {
	Name    string
	Path    string // of its namespace
	Address netip.Addr
	// Sources are the addresses it can speak from.
	Sources []netip.Addr
}

func (m *Machine) remove() error { return linuxnet.DeleteNamespace(filepath.Base(m.Path)) }

// Listen listens inside the machine.
func (m *Machine) Listen(ctx context.Context, port int) (net.Listener, error) {
	return linuxnet.Listen(ctx, m.Path, "tcp", netip.AddrPortFrom(m.Address, uint16(port)).String())
}

// Dial is a traffic.Dial from inside the machine.
func (m *Machine) Dial(ctx context.Context, source netip.Addr, addr string) (conn net.Conn, err error) {
	err = linuxnet.In(m.Path, func() error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: source.AsSlice()}}
		conn, err = d.DialContext(ctx, "tcp", addr)
		return err
	})
	return conn, err
}

// Network makes a tenant network through the API.
func (s *Stage) Network(ctx context.Context, name, cidr string) (wire.Network, error) {
	return s.client.Networks().Create(ctx, wire.NetworkCreate{Name: wire.Some(name), CIDR: wire.Some(cidr)})
}

// Tenant puts a machine with one address on a tenant network, as a virtual machine of the tenant would be.
func (s *Stage) Tenant(ctx context.Context, name string, on wire.Network) (*Machine, error) {
	m, err := s.machine(name)
	if err != nil {
		return nil, err
	}
	port, err := s.client.Ports().Create(ctx, wire.PortCreate{
		NetworkID: wire.Some(on.ID), Name: wire.Some(name), Namespace: wire.Some(filepath.Base(m.Path)),
	})
	if err == nil {
		m.Address, err = netip.ParseAddr(port.IPAddress)
	}
	if err != nil {
		return nil, fmt.Errorf("put machine %s on network %s: %w", name, on.Name, err)
	}
	m.Sources = []netip.Addr{m.Address}
	return m, nil
}

// Internet is the world behind the gateway.
const (
	internetPrefix = "198.18.128.0/17"
	internetMTU    = 1500
)

// Internet puts a machine with many addresses behind the gateway: clients come from there as they come to a floating
// address of a cloud.
func (s *Stage) Internet(_ context.Context, name string, addresses int) (*Machine, error) {
	m, err := s.machine(name)
	if err != nil {
		return nil, err
	}
	prefix := netip.MustParsePrefix(internetPrefix)
	gateway := prefix.Addr().Next()
	inside, err := linuxnet.Open(m.Path)
	if err != nil {
		return nil, fmt.Errorf("put machine %s behind the gateway: %w", name, err)
	}
	defer inside.Close()
	gatewayNS := linuxnet.Path(s.prefix + "-gateway")
	outside, err := linuxnet.Open(gatewayNS)
	if err != nil {
		return nil, fmt.Errorf("put machine %s behind the gateway: %w", name, err)
	}
	defer outside.Close()
	const uplink = bridge.Uplink + "world"
	steps := []func() error{
		func() error {
			return inside.AddVeth(linuxnet.VethEnd{Name: "eth0", MTU: internetMTU}, linuxnet.VethEnd{Name: uplink, MTU: internetMTU}, gatewayNS)
		},
		func() error { return outside.EnsureAddress(uplink, netip.PrefixFrom(gateway, prefix.Bits())) },
		func() error { return outside.SetUp(uplink) },
	}
	for addr := gateway.Next(); len(m.Sources) < addresses; addr = addr.Next() {
		m.Sources = append(m.Sources, addr)
		steps = append(steps, func() error { return inside.EnsureAddress("eth0", netip.PrefixFrom(addr, prefix.Bits())) })
	}
	steps = append(steps,
		func() error { return inside.SetUp("eth0") },
		func() error {
			return inside.SetRoute(linuxnet.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: gateway, Device: "eth0"})
		})
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, fmt.Errorf("put machine %s behind the gateway: %w", name, err)
		}
	}
	m.Address = m.Sources[0]
	return m, nil
}

func (s *Stage) machine(name string) (*Machine, error) {
	ns := s.prefix + "-m-" + name
	if _, err := linuxnet.EnsureNamespace(ns); err != nil {
		return nil, fmt.Errorf("make machine %s: %w", name, err)
	}
	m := &Machine{Name: name, Path: linuxnet.Path(ns)}
	s.machines = append(s.machines, m)
	return m, nil
}
