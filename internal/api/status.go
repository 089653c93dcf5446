package api

import (
	"context"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
)

func (s *server) statusTree(ctx context.Context, c *call) (any, error) {
	l, err := s.loadBalancer(ctx, c)
	if err != nil {
		return nil, err
	}
	t, err := s.Store.Tree(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	return one(c, "statuses", statusesOf(&t))
}

func node(id, name string, ps lb.ProvisioningStatus, os lb.OperatingStatus) wire.StatusNode {
	return wire.StatusNode{ID: id, Name: name, ProvisioningStatus: string(ps), OperatingStatus: string(os)}
}

// statusesOf shows the tree by listener; pools that no listener uses do not appear.
func statusesOf(t *lb.Tree) wire.StatusTree {
	l := t.LoadBalancer
	root := wire.StatusLoadBalancer{
		StatusNode: node(l.ID, l.Name, l.ProvisioningStatus, shownOperating(l.OperatingStatus)),
		Listeners:  []wire.StatusListener{},
	}
	for _, li := range t.Listeners {
		v := wire.StatusListener{StatusNode: node(li.ID, li.Name, li.ProvisioningStatus, li.OperatingStatus), Pools: []wire.StatusPool{}}
		for _, id := range li.PoolIDs() {
			if p, err := t.Pool(id); err == nil {
				v.Pools = append(v.Pools, statusPool(*p))
			}
		}
		root.Listeners = append(root.Listeners, v)
	}
	return wire.StatusTree{LoadBalancer: root}
}

func statusPool(p lb.Pool) wire.StatusPool {
	v := wire.StatusPool{StatusNode: node(p.ID, p.Name, p.ProvisioningStatus, p.OperatingStatus), Members: []wire.StatusMember{}}
	if h := p.HealthMonitor; h != nil {
		v.HealthMonitor = &wire.StatusMonitor{StatusNode: node(h.ID, h.Name, h.ProvisioningStatus, h.OperatingStatus), Type: h.Type}
	}
	for _, m := range p.Members {
		v.Members = append(v.Members, wire.StatusMember{
			StatusNode: node(m.ID, m.Name, m.ProvisioningStatus, m.OperatingStatus), Address: m.Address, ProtocolPort: m.ProtocolPort,
		})
	}
	return v
}
