package e2e_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// eventually asks until ok says yes, or fails with what was seen last.
func eventually(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	last := ""
	for ctx.Err() == nil {
		var yes bool
		if yes, last = ok(); yes {
			return
		}
		pass(t, 50*time.Millisecond)
	}
	t.Errorf("%s: %s", what, last)
}

// served counts who answers one request from each source.
func served(t *testing.T, sv *stage.Service, from *stage.Machine, url string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, source := range from.Sources {
		r := traffic.Get(within(t, 20*time.Second), from.Dial, source, url)
		if r.Failure != "" {
			out["failed: "+r.Failure]++
			continue
		}
		out[r.Answer.Member]++
	}
	return out
}

// poolOf finds the pool of a name.
func poolOf(t *testing.T, s *stage.Stage, sv *stage.Service, name string) wire.Pool {
	t.Helper()
	pools, err := s.Client().Pools().List(within(t, 10*time.Second), map[string][]string{"name": {name}, "loadbalancer_id": {sv.ID}})
	must(t, err)
	if len(pools) != 1 {
		t.Fatalf("%d pools are named %s", len(pools), name)
	}
	return pools[0]
}

// TestChangesReachEveryAmphora makes a tenant's usual changes and looks at what clients get from all amphorae.
func TestChangesReachEveryAmphora(t *testing.T) {
	s := set(t, quick)
	sv, internet := serving(t, s, 0, 40)
	c := s.Client()
	ctx := within(t, 2*time.Minute)
	settled := func() {
		t.Helper()
		l, err := c.WaitSettled(ctx, sv.ID, nil)
		must(t, err)
		if l.ProvisioningStatus != "ACTIVE" {
			t.Fatalf("load balancer is %s", l.ProvisioningStatus)
		}
	}
	web := poolOf(t, s, sv, "web")
	members, err := c.Members(web.ID).List(ctx, nil)
	must(t, err)
	if len(members) != 2 {
		t.Fatalf("%d members", len(members))
	}
	first, second := sv.Members[0], sv.Members[1]
	byName := map[string]wire.Member{}
	for _, m := range members {
		byName[m.Name] = m
	}

	t.Run("S33 both members are served", func(t *testing.T) {
		got := served(t, sv, internet, sv.Web())
		if got[first.Name] == 0 || got[second.Name] == 0 || len(got) != 2 {
			t.Errorf("served %v", got)
		}
	})
	t.Run("S28 S32 the tree is ONLINE", func(t *testing.T) {
		eventually(t, "status tree", func() (bool, string) {
			l, err := c.LoadBalancers().Get(ctx, sv.ID)
			must(t, err)
			m, err := c.Members(web.ID).Get(ctx, byName[first.Name].ID)
			must(t, err)
			return l.OperatingStatus == "ONLINE" && m.OperatingStatus == "ONLINE", l.OperatingStatus + ", member " + m.OperatingStatus
		})
	})
	t.Run("weight 0 drains a member everywhere", func(t *testing.T) {
		_, err := c.Members(web.ID).Update(ctx, byName[first.Name].ID, wire.MemberUpdate{MemberFields: wire.MemberFields{Weight: wire.Some(0)}})
		must(t, err)
		settled()
		if got := served(t, sv, internet, sv.Web()); got[second.Name] != len(internet.Sources) {
			t.Errorf("served %v", got)
		}
		eventually(t, "member status", func() (bool, string) {
			m, err := c.Members(web.ID).Get(ctx, byName[first.Name].ID)
			must(t, err)
			return m.OperatingStatus == "DRAINING", m.OperatingStatus
		})
		_, err = c.Members(web.ID).Update(ctx, byName[first.Name].ID, wire.MemberUpdate{MemberFields: wire.MemberFields{Weight: wire.Some(1)}})
		must(t, err)
		settled()
	})
	t.Run("a member removed gets nothing any more", func(t *testing.T) {
		must(t, c.Members(web.ID).Delete(ctx, byName[second.Name].ID))
		settled()
		if got := served(t, sv, internet, sv.Web()); got[first.Name] != len(internet.Sources) {
			t.Errorf("served %v", got)
		}
	})
	t.Run("a member added gets its share", func(t *testing.T) {
		_, err := c.Members(web.ID).Create(ctx, wire.MemberCreate{
			Address: wire.Some(second.Address.String()), ProtocolPort: wire.Some(stage.WebPort),
			SubnetID: wire.Some(sv.BackEnd.Subnets[0].ID), MemberFields: wire.MemberFields{Name: wire.Some("again")},
		})
		must(t, err)
		settled()
		eventually(t, "share", func() (bool, string) {
			got := served(t, sv, internet, sv.Web())
			return got[second.Name] > 0 && got[first.Name] > 0, ""
		})
	})
	t.Run("S32 a member that fails its checks is ERROR and gets nothing", func(t *testing.T) {
		dead, err := s.Tenant(ctx, "dead", sv.BackEnd) // nobody listens there
		must(t, err)
		m, err := c.Members(web.ID).Create(ctx, wire.MemberCreate{
			Address: wire.Some(dead.Address.String()), ProtocolPort: wire.Some(stage.WebPort), SubnetID: wire.Some(sv.BackEnd.Subnets[0].ID),
		})
		must(t, err)
		settled()
		eventually(t, "member status", func() (bool, string) {
			got, err := c.Members(web.ID).Get(ctx, m.ID)
			must(t, err)
			l, err := c.LoadBalancers().Get(ctx, sv.ID)
			must(t, err)
			return got.OperatingStatus == "ERROR" && l.OperatingStatus == "DEGRADED", got.OperatingStatus + ", load balancer " + l.OperatingStatus
		})
		if got := served(t, sv, internet, sv.Web()); got[first.Name]+got[second.Name] != len(internet.Sources) {
			t.Errorf("served %v", got)
		}
		must(t, c.Members(web.ID).Delete(ctx, m.ID))
		settled()
	})
	t.Run("a second listener serves, and is gone when deleted", func(t *testing.T) {
		l, err := c.Listeners().Create(ctx, wire.ListenerCreate{
			LoadBalancerID: wire.Some(sv.ID), Protocol: wire.Some("HTTP"), ProtocolPort: wire.Some(8080),
			ListenerFields: wire.ListenerFields{DefaultPoolID: wire.Some(web.ID)},
		})
		must(t, err)
		settled()
		url := "http://" + netip.AddrPortFrom(sv.VIP, 8080).String() + "/"
		if got := served(t, sv, internet, url); got[first.Name]+got[second.Name] != len(internet.Sources) {
			t.Errorf("served %v", got)
		}
		must(t, c.Listeners().Delete(ctx, l.ID))
		settled()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if conn, err := internet.Dial(short, internet.Address, netip.AddrPortFrom(sv.VIP, 8080).String()); err == nil {
			_ = conn.Close()
			t.Error("the deleted listener still accepts")
		}
	})
	t.Run("S40 statistics sum over the amphorae", func(t *testing.T) {
		eventually(t, "statistics", func() (bool, string) {
			st, err := c.Statistics(ctx, sv.ID)
			must(t, err)
			return st.TotalConnections >= uint64(len(internet.Sources)) && st.BytesOut > 0, ""
		})
	})
	t.Run("a disabled load balancer serves nobody, and again when enabled", func(t *testing.T) {
		_, err := c.LoadBalancers().Update(ctx, sv.ID, wire.LoadBalancerUpdate{AdminStateUp: wire.Some(false)})
		must(t, err)
		settled()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if conn, err := internet.Dial(short, internet.Address, netip.AddrPortFrom(sv.VIP, stage.WebPort).String()); err == nil {
			_ = conn.Close()
			t.Error("the disabled load balancer still accepts")
		}
		_, err = c.LoadBalancers().Update(ctx, sv.ID, wire.LoadBalancerUpdate{AdminStateUp: wire.Some(true)})
		must(t, err)
		settled()
		if got := served(t, sv, internet, sv.Web()); got[first.Name]+got[second.Name] != len(internet.Sources) {
			t.Errorf("served %v", got)
		}
	})
}

// TestTwoLoadBalancersStandBesideEachOther: on networks of their own they share a distributor and nothing else.
func TestTwoLoadBalancersStandBesideEachOther(t *testing.T) {
	s := set(t, quick)
	a, internet := serving(t, s, 0, 20)
	b, _ := serving(t, s, 1, 0)
	for _, sv := range []*stage.Service{a, b} {
		got := served(t, sv, internet, sv.Web())
		for name := range got {
			if name != sv.Members[0].Name && name != sv.Members[1].Name {
				t.Errorf("VIP %s was answered by %v", sv.VIP, got)
			}
		}
	}
	va, err := a.View(within(t, 10*time.Second))
	must(t, err)
	vb, err := b.View(within(t, 10*time.Second))
	must(t, err)
	if *va.Cluster.DistributorID != *vb.Cluster.DistributorID {
		t.Errorf("S19 S61 two load balancers of a project use distributors %s and %s", *va.Cluster.DistributorID, *vb.Cluster.DistributorID)
	}
	must(t, s.Client().DeleteLoadBalancer(within(t, 10*time.Second), a.ID, true))
	must(t, s.Client().WaitGone(within(t, time.Minute), a.ID, nil))
	if got := served(t, b, internet, b.Web()); got[b.Members[0].Name]+got[b.Members[1].Name] != len(internet.Sources) {
		t.Errorf("after the other was deleted: served %v", got)
	}
}
