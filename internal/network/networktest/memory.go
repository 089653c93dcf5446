package networktest

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Memory is a bridge.Store for tests of what stands on it.
type Memory struct {
	mu    sync.Mutex
	nets  []network.Network
	ports map[string]network.Port
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{ports: map[string]network.Port{}} }

func (m *Memory) subnets() []network.Subnet {
	var all []network.Subnet
	for _, n := range m.nets {
		all = append(all, n.Subnets...)
	}
	return all
}

func (m *Memory) network(id string) (int, error) {
	if i := slices.IndexFunc(m.nets, func(n network.Network) bool { return n.ID == id }); i >= 0 {
		return i, nil
	}
	return -1, lb.Faultf(lb.KindNotFound, "network %s not found", id)
}

// CreateNetwork implements bridge.Store.
func (m *Memory) CreateNetwork(_ context.Context, n network.Network, check func([]network.Subnet) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.network(n.ID); err == nil {
		return lb.Faultf(lb.KindConflict, "network %s exists", n.ID)
	}
	if err := check(m.subnets()); err != nil {
		return err
	}
	n.Subnets = slices.Clone(n.Subnets)
	m.nets = append(m.nets, n)
	return nil
}

// CreateSubnet implements bridge.Store.
func (m *Memory) CreateSubnet(_ context.Context, s network.Subnet, check func([]network.Subnet) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.network(s.NetworkID)
	if err != nil {
		return err
	}
	if err := check(m.subnets()); err != nil {
		return err
	}
	m.nets[i].Subnets = append(m.nets[i].Subnets, s)
	return nil
}

// Networks implements bridge.Store.
func (m *Memory) Networks(context.Context) ([]network.Network, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(m.nets)
	for i := range out {
		out[i].Subnets = slices.Clone(out[i].Subnets)
	}
	return out, nil
}

// Network implements bridge.Store.
func (m *Memory) Network(_ context.Context, id string) (network.Network, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.network(id)
	if err != nil {
		return network.Network{}, err
	}
	n := m.nets[i]
	n.Subnets = slices.Clone(n.Subnets)
	return n, nil
}

// Subnet implements bridge.Store.
func (m *Memory) Subnet(_ context.Context, id string) (network.Subnet, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.subnets() {
		if s.ID == id {
			return s, nil
		}
	}
	return network.Subnet{}, lb.Faultf(lb.KindNotFound, "subnet %s not found", id)
}

// DeleteNetwork implements bridge.Store.
func (m *Memory) DeleteNetwork(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, err := m.network(id)
	if err != nil {
		return err
	}
	for _, p := range m.ports {
		if p.NetworkID == id {
			return lb.Faultf(lb.KindConflict, "network %s has ports", id)
		}
	}
	m.nets = slices.Delete(m.nets, i, i+1)
	return nil
}

// DeleteSubnet implements bridge.Store.
func (m *Memory) DeleteSubnet(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.ports {
		if p.SubnetID == id {
			return lb.Faultf(lb.KindConflict, "subnet %s has ports", id)
		}
	}
	for i, n := range m.nets {
		if j := slices.IndexFunc(n.Subnets, func(s network.Subnet) bool { return s.ID == id }); j >= 0 {
			m.nets[i].Subnets = slices.Delete(slices.Clone(n.Subnets), j, j+1)
			return nil
		}
	}
	return lb.Faultf(lb.KindNotFound, "subnet %s not found", id)
}

// InsertPort implements bridge.Store.
func (m *Memory) InsertPort(ctx context.Context, p network.Port, choose func(map[string]bool) (string, string, error)) (network.Port, error) {
	if err := ctx.Err(); err != nil {
		return network.Port{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.ports[p.ID]; ok {
		return m.fill(old), nil
	}
	taken := map[string]bool{}
	for _, o := range m.ports {
		if o.NetworkID == p.NetworkID {
			taken[o.Address] = true
		}
	}
	var err error
	if p.SubnetID, p.Address, err = choose(taken); err != nil {
		return network.Port{}, err
	}
	m.ports[p.ID] = p
	return m.fill(p), nil
}

// fill adds what belongs to subnet and network.
func (m *Memory) fill(p network.Port) network.Port {
	for _, n := range m.nets {
		for _, s := range n.Subnets {
			if s.ID == p.SubnetID {
				p.CIDR, p.Gateway, p.MTU = s.CIDR, s.GatewayIP, n.MTU
			}
		}
	}
	return p
}

// Port implements bridge.Store.
func (m *Memory) Port(ctx context.Context, id string) (network.Port, error) {
	if err := ctx.Err(); err != nil {
		return network.Port{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, ok := m.ports[id]; ok {
		return m.fill(p), nil
	}
	return network.Port{}, lb.Faultf(lb.KindNotFound, "port %s not found", id)
}

// Ports implements bridge.Store.
func (m *Memory) Ports(ctx context.Context, ownerID string) ([]network.Port, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []network.Port
	for _, p := range m.ports {
		if ownerID == "" || p.OwnerID == ownerID {
			out = append(out, m.fill(p))
		}
	}
	slices.SortFunc(out, func(a, b network.Port) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// DeletePort implements bridge.Store.
func (m *Memory) DeletePort(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ports, id)
	return nil
}
