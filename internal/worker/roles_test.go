package worker_test

import (
	"errors"
	"fmt"
	"testing"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// create makes a complete load balancer, as the API does, and waits until it is whole.
func (l *lab) create(change func(*lb.Tree)) {
	l.t.Helper()
	l.ports["vip"] = network.Port{ID: "vip", Address: "198.18.0.9", MAC: "02:00:00:00:ff:ff", CIDR: "198.18.0.0/16", OwnerID: "lb1", Purpose: network.PurposeVIP}
	tree, err := lb.NewTree(lb.LoadBalancer{
		ID: "lb1", ProjectID: "p1", Enabled: true, Provider: "colonnade", VIPAddress: "198.18.0.9", VIPPortID: "vip", VIPPortOwned: true,
		VIPSubnetID: "sub1", VIPNetworkID: "net1", Revision: 1,
	}, []lb.Listener{{
		ID: "li", Enabled: true, Protocol: lb.ProtocolHTTP, ProtocolPort: 80, ConnectionLimit: -1, DefaultPoolID: "pool",
		TimeoutClientData: 50000, TimeoutMemberConnect: 5000, TimeoutMemberData: 50000,
	}}, []lb.Pool{{
		ID: "pool", Enabled: true, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin, Members: []lb.Member{
			{ID: "m1", Enabled: true, Address: "198.18.5.1", ProtocolPort: 80, Weight: 1, SubnetID: "sub5"},
			{ID: "m2", Enabled: true, Address: "198.18.0.2", ProtocolPort: 80, Weight: 1, SubnetID: "sub1"},
		},
	}})
	if err != nil {
		l.t.Fatal(err)
	}
	if change != nil {
		change(&tree)
	}
	err = l.CreateTree(l.t.Context(), tree, lb.Cluster{
		Affinity: lb.AffinitySourceIP, Sharing: lb.SharingProject,
		ID: "c1", LoadBalancerID: "lb1", ProjectID: "p1", Type: "fixed", DesiredSize: 3, MinSize: 1, StandbySize: 1, Enabled: true,
		ProvisioningStatus: lb.PendingCreate, OperatingStatus: lb.Offline, ProbeKey: "000102030405060708090a0b0c0d0e0f",
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.await(l.whole)
}

// whole says what is missing for a load balancer that is ACTIVE and ONLINE with all its amphorae.
func (l *lab) whole() string {
	tree, err := l.Tree(l.t.Context(), "lb1")
	if err != nil {
		return err.Error()
	}
	s, err := l.ClusterState(l.t.Context(), "lb1")
	if err != nil {
		return err.Error()
	}
	if st := tree.LoadBalancer; st.ProvisioningStatus != lb.Active || st.OperatingStatus != lb.Online {
		return fmt.Sprintf("load balancer is %s %s %s", st.ProvisioningStatus, st.OperatingStatus, st.StatusReason)
	}
	if s.Cluster.OperatingStatus != lb.Online || s.Cluster.StandbyReady != 1 || len(s.Amphorae) != 4 {
		return fmt.Sprintf("cluster is %s with %d standbys of %d amphorae", s.Cluster.OperatingStatus, s.Cluster.StandbyReady, len(s.Amphorae))
	}
	for _, a := range s.Amphorae {
		if a.AppliedRevision != tree.LoadBalancer.Revision {
			return fmt.Sprintf("amphora %s runs revision %d", a.ID, a.AppliedRevision)
		}
	}
	return ""
}

func (l *lab) holder(position int) lb.Amphora {
	l.t.Helper()
	s, err := l.ClusterState(l.t.Context(), "lb1")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, a := range s.Amphorae {
		if a.Position == position {
			return a
		}
	}
	l.t.Fatalf("nobody holds position %d", position)
	return lb.Amphora{}
}

func TestLife(t *testing.T) {
	l := newLab(t)
	l.create(nil)
	t.Run("S51 a back-end port for the members' subnet is plugged into every amphora", func(t *testing.T) {
		s, err := l.ClusterState(t.Context(), "lb1")
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Ports) != 4 {
			t.Errorf("%d back-end ports", len(s.Ports))
		}
		for _, a := range s.Amphorae {
			if n := len(l.plugged[a.ID]); n != 2 || len(l.agents[a.ID].doc.BackEnds) != 1 {
				t.Errorf("%d ports plugged into %s, document names %d", n, a.ID, len(l.agents[a.ID].doc.BackEnds))
			}
		}
	})
	t.Run("D3 S7 one killed: the standby holds its position and a new standby is built", func(t *testing.T) {
		victim := l.holder(1)
		l.kill(victim.ID)
		l.await(func() string {
			s, err := l.ClusterState(t.Context(), "lb1")
			if err != nil {
				return err.Error()
			}
			for _, a := range s.Amphorae {
				if a.ID == victim.ID {
					return "the dead one is still there"
				}
			}
			return l.whole()
		})
	})
	t.Run("a change reaches every amphora", func(t *testing.T) {
		_, err := l.ChangeTree(t.Context(), "lb1", "ann", func(tree *lb.Tree) error {
			return tree.UpdateMember("pool", "m2", func(m *lb.Member) error { m.Weight = 7; return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		l.await(l.whole)
		l.mu.Lock()
		defer l.mu.Unlock()
		for id, a := range l.agents {
			if a.kind == "amphora" && a.doc.Pools[0].Members[1].Weight != 7 {
				t.Errorf("%s has weight %d", id, a.doc.Pools[0].Members[1].Weight)
			}
		}
	})
	t.Run("S53 planned failover of the load balancer replaces everybody", func(t *testing.T) {
		old := map[string]bool{}
		s, err := l.ClusterState(t.Context(), "lb1")
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Amphorae {
			old[a.ID] = true
		}
		if err := l.RequestLoadBalancerFailover(t.Context(), "lb1"); err != nil {
			t.Fatal(err)
		}
		l.await(func() string {
			s, err := l.ClusterState(t.Context(), "lb1")
			if err != nil {
				return err.Error()
			}
			for _, a := range s.Amphorae {
				if old[a.ID] {
					return a.ID + " is still there"
				}
			}
			return l.whole()
		})
	})
	t.Run("D7 the distributor killed: rebuilt and everything registered again", func(*testing.T) {
		l.killDistributor()
	})
	t.Run("deleted without a trace", func(t *testing.T) {
		_, err := l.ChangeTree(t.Context(), "lb1", "ann", func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(true) })
		if err != nil {
			t.Fatal(err)
		}
		l.await(func() string {
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.agents) > 0 || len(l.ports) > 0 {
				return fmt.Sprintf("%d instances and %d ports are left", len(l.agents), len(l.ports))
			}
			return ""
		})
	})
}

func TestFault(t *testing.T) {
	t.Run("what all refuse is the child's fault: left out, ERROR, the load balancer ACTIVE", func(t *testing.T) {
		l := newLab(t)
		l.refuse = func(_ string, d amphora.Desired) error {
			for _, p := range d.Pools {
				for _, m := range p.Members {
					if m.ID == "m2" {
						return &amphora.RefusedError{Problems: []amphora.Problem{{ObjectType: "member", ObjectID: "m2", Reason: "no such address"}}}
					}
				}
			}
			return nil
		}
		l.create(nil)
		tree, err := l.Tree(t.Context(), "lb1")
		if err != nil {
			t.Fatal(err)
		}
		m, err := tree.Member("pool", "m2")
		if err != nil || m.ProvisioningStatus != lb.Error || m.StatusReason != "no such address" {
			t.Errorf("member: %+v, %v", m, err)
		}
	})
	t.Run("a member's subnet that is not there is its fault", func(t *testing.T) {
		l := newLab(t)
		l.create(func(tree *lb.Tree) { tree.Pools[0].Members[0].SubnetID = "nowhere" })
		tree, err := l.Tree(t.Context(), "lb1")
		if err != nil {
			t.Fatal(err)
		}
		if m, err := tree.Member("pool", "m1"); err != nil || m.ProvisioningStatus != lb.Error {
			t.Errorf("member: %+v, %v", m, err)
		}
	})
	t.Run("one that does not apply what others do is replaced", func(t *testing.T) {
		l := newLab(t)
		l.create(nil)
		stuck := l.holder(2).ID
		l.refuse = func(id string, _ amphora.Desired) error {
			if id == stuck {
				return errors.New("hung")
			}
			return nil
		}
		_, err := l.ChangeTree(t.Context(), "lb1", "ann", func(tree *lb.Tree) error {
			return tree.UpdateMember("pool", "m2", func(m *lb.Member) error { m.Weight = 9; return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
		l.await(func() string {
			if l.holder(2).ID == stuck {
				return "the stuck one holds its position"
			}
			return l.whole()
		})
	})
}
