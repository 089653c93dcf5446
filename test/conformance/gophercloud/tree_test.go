package gophercloud_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/l7policies"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
)

// A load balancer is made piece by piece, each piece is listed, shown and changed, and all is taken away again.
func TestTree(t *testing.T) {
	s := newSuite(t)
	ctx := s.Context()
	var l *loadbalancers.LoadBalancer
	var listener *listeners.Listener
	var pool *pools.Pool
	var member *pools.Member
	var monitor *monitors.Monitor
	var policy *l7policies.L7Policy
	var rule *l7policies.Rule
	var err error

	s.run("load balancer", func(s *suite) {
		l, err = loadbalancers.Create(ctx, s.lb, loadbalancers.CreateOpts{
			Name: "shop", Description: "of all", VipSubnetID: s.subnet, VipAddress: "198.18.10.9", AdminStateUp: ptr(true),
			Provider: "amphora", Tags: []string{"a", "b"}, ProjectID: "p",
		}).Extract()
		s.must(err)
		same(s, "provisioning status at first", l.ProvisioningStatus, "PENDING_CREATE")
		same(s, "operating status at first", l.OperatingStatus, "OFFLINE")
		same(s, "VIP", l.VipAddress, "198.18.10.9")
		same(s, "VIP's subnet", l.VipSubnetID, s.subnet)
		same(s, "project", l.ProjectID, "p")
		if l.CreatedAt.IsZero() || l.VipPortID == "" || l.VipNetworkID == "" {
			s.Errorf("created at, VIP port or network missing: %+v", l)
		}
		l = s.active(l.ID)
		l, err = loadbalancers.Update(ctx, s.lb, l.ID, loadbalancers.UpdateOpts{Name: ptr("web"), Tags: ptr([]string{"c"}), AdminStateUp: ptr(true)}).Extract()
		s.must(err)
		same(s, "name", l.Name, "web")
		l = s.active(l.ID)
		if l.UpdatedAt.IsZero() || !slices.Equal(l.Tags, []string{"c"}) {
			s.Errorf("updated at or tags wrong: %+v", l)
		}
		for _, opts := range []loadbalancers.ListOpts{
			{Name: "web"},
			{ID: l.ID, VipAddress: "198.18.10.9", VipSubnetID: l.VipSubnetID, VipPortID: l.VipPortID, VipNetworkID: l.VipNetworkID, Provider: l.Provider, ProjectID: "p"},
			{AdminStateUp: ptr(true), ProvisioningStatus: "ACTIVE", SortKey: "name", SortDir: "desc", Limit: 1},
			{Tags: []string{"c"}, TagsAny: []string{"c", "d"}, TagsNot: []string{"x"}, TagsNotAny: []string{"y", "z"}},
		} {
			found := all(s, loadbalancers.List(s.lb, opts), loadbalancers.ExtractLoadBalancers)
			if len(found) != 1 || found[0].ID != l.ID {
				s.Errorf("%+v found %+v", opts, found)
			}
		}
		for _, opts := range []loadbalancers.ListOpts{{Name: "shop"}, {Tags: []string{"a"}}, {TagsNot: []string{"c"}}, {ProvisioningStatus: "ERROR"}, {AdminStateUp: ptr(false)}} {
			if found := all(s, loadbalancers.List(s.lb, opts), loadbalancers.ExtractLoadBalancers); len(found) != 0 {
				s.Errorf("%+v found %+v", opts, found)
			}
		}
	})

	s.run("listener", func(s *suite) {
		listener, err = listeners.Create(ctx, s.lb, listeners.CreateOpts{
			LoadbalancerID: l.ID, Protocol: listeners.ProtocolHTTP, ProtocolPort: 80, Name: "http", ConnLimit: ptr(100),
			TimeoutClientData: ptr(1000), TimeoutMemberData: ptr(2000), TimeoutMemberConnect: ptr(3000), TimeoutTCPInspect: ptr(0),
			InsertHeaders: map[string]string{"X-Forwarded-For": "true"}, AllowedCIDRs: []string{"10.0.0.5/8"}, Tags: []string{"t"},
		}).Extract()
		s.must(err)
		s.active(l.ID)
		got, err := listeners.Get(ctx, s.lb, listener.ID).Extract()
		s.must(err)
		want := listeners.Listener{
			ID: listener.ID, ProjectID: "p", Name: "http", Protocol: "HTTP", ProtocolPort: 80, Loadbalancers: []listeners.LoadBalancerID{{ID: l.ID}},
			ConnLimit: 100, SniContainerRefs: []string{}, AdminStateUp: true, L7Policies: []l7policies.L7Policy{}, ProvisioningStatus: "ACTIVE",
			TimeoutClientData: 1000, TimeoutMemberData: 2000, TimeoutMemberConnect: 3000, InsertHeaders: map[string]string{"X-Forwarded-For": "true"},
			AllowedCIDRs: []string{"10.0.0.0/8"}, Tags: []string{"t"}, ClientAuthentication: "NONE", OperatingStatus: got.OperatingStatus,
		}
		if d := cmp.Diff(want, *got); d != "" {
			s.Error(d)
		}
		_, err = listeners.Update(ctx, s.lb, listener.ID, listeners.UpdateOpts{
			Name: ptr("www"), ConnLimit: ptr(-1), AllowedCIDRs: ptr([]string{}), InsertHeaders: ptr(map[string]string{"X-Forwarded-Port": "true"}), TimeoutClientData: ptr(5000),
		}).Extract()
		s.must(err)
		s.active(l.ID)
		found := all(s, listeners.List(s.lb, listeners.ListOpts{Name: "www", LoadbalancerID: l.ID, Protocol: "HTTP", ProtocolPort: 80, TimeoutClientData: ptr(5000)}), listeners.ExtractListeners)
		if len(found) != 1 || found[0].ConnLimit != -1 || found[0].AllowedCIDRs != nil || found[0].InsertHeaders["X-Forwarded-Port"] != "true" {
			s.Errorf("found %+v", found)
		}
		_, err = listeners.GetStats(ctx, s.lb, listener.ID).Extract()
		s.must(err)
		err = listeners.Create(ctx, s.lb, listeners.CreateOpts{LoadbalancerID: l.ID, Protocol: listeners.ProtocolTCP, ProtocolPort: 80}).Err
		same(s, "answer to a second listener of a port", status(err), 409)
	})

	s.run("pool", func(s *suite) {
		pool, err = pools.Create(ctx, s.lb, pools.CreateOpts{
			ListenerID: listener.ID, Protocol: pools.ProtocolHTTP, LBMethod: pools.LBMethodRoundRobin, Name: "p1", Tags: []string{"t"},
			Persistence: &pools.SessionPersistence{Type: "APP_COOKIE", CookieName: "session"},
		}).Extract()
		s.must(err)
		s.active(l.ID)
		got, err := pools.Update(ctx, s.lb, pool.ID, pools.UpdateOpts{Name: ptr("p2"), LBMethod: pools.LBMethodLeastConnections, Persistence: &pools.SessionPersistence{Type: "HTTP_COOKIE"}}).Extract()
		s.must(err)
		same(s, "name", got.Name, "p2")
		s.active(l.ID)
		got, err = pools.Get(ctx, s.lb, pool.ID).Extract()
		s.must(err)
		same(s, "algorithm", got.LBMethod, "LEAST_CONNECTIONS")
		same(s, "persistence", got.Persistence, pools.SessionPersistence{Type: "HTTP_COOKIE"})
		same(s, "load balancer", got.Loadbalancers[0].ID, l.ID)
		found := all(s, pools.List(s.lb, pools.ListOpts{Name: "p2", LoadbalancerID: l.ID, Protocol: "HTTP", LBMethod: "LEAST_CONNECTIONS", Tags: []string{"t"}}), pools.ExtractPools)
		if len(found) != 1 || found[0].ID != pool.ID {
			s.Errorf("found %+v", found)
		}
		of, err := listeners.Get(ctx, s.lb, listener.ID).Extract()
		s.must(err)
		same(s, "default pool of the listener", of.DefaultPoolID, pool.ID)
	})

	s.run("members", func(s *suite) {
		member, err = pools.CreateMember(ctx, s.lb, pool.ID, pools.CreateMemberOpts{
			Address: "192.0.2.1", ProtocolPort: 8080, Name: "m1", Weight: ptr(5), SubnetID: s.subnet, MonitorAddress: "192.0.2.9", MonitorPort: ptr(81), Backup: ptr(true), Tags: []string{"t"},
		}).Extract()
		s.must(err)
		s.active(l.ID)
		_, err := pools.UpdateMember(ctx, s.lb, pool.ID, member.ID, pools.UpdateMemberOpts{Weight: ptr(0), Backup: ptr(false), Name: ptr("m")}).Extract()
		s.must(err)
		s.active(l.ID)
		got, err := pools.GetMember(ctx, s.lb, pool.ID, member.ID).Extract()
		s.must(err)
		same(s, "weight", got.Weight, 0)
		same(s, "backup", got.Backup, false)
		same(s, "monitor port", got.MonitorPort, 81)
		same(s, "subnet", got.SubnetID, s.subnet)
		same(s, "provisioning status", got.ProvisioningStatus, "ACTIVE")
		s.must(pools.BatchUpdateMembers(ctx, s.lb, pool.ID, []pools.BatchUpdateMemberOpts{
			{Address: "192.0.2.1", ProtocolPort: 8080, Weight: ptr(7)}, {Address: "192.0.2.2", ProtocolPort: 8080}, {Address: "192.0.2.3", ProtocolPort: 8080, Name: ptr("third")},
		}).ExtractErr())
		s.active(l.ID)
		found := all(s, pools.ListMembers(s.lb, pool.ID, pools.ListMembersOpts{SortKey: "address", Limit: 2}), pools.ExtractMembers)
		if len(found) != 3 || found[0].ID != member.ID || found[0].Weight != 7 || found[2].Name != "third" {
			s.Errorf("found %+v", found)
		}
		s.must(pools.BatchUpdateMembers(ctx, s.lb, pool.ID, []pools.BatchUpdateMemberOpts{{Address: "192.0.2.1", ProtocolPort: 8080}}).ExtractErr())
		s.active(l.ID)
		found = all(s, pools.ListMembers(s.lb, pool.ID, nil), pools.ExtractMembers)
		if len(found) != 1 || found[0].ID != member.ID || found[0].Weight != 1 {
			s.Errorf("found %+v", found)
		}
	})

	s.run("monitor", func(s *suite) {
		monitor, err = monitors.Create(ctx, s.lb, monitors.CreateOpts{
			PoolID: pool.ID, Type: monitors.TypeHTTP, Delay: 20, Timeout: 10, MaxRetries: 5, MaxRetriesDown: 4, URLPath: "/check", HTTPMethod: "HEAD",
			HTTPVersion: "1.1", DomainName: "example.com", ExpectedCodes: "200-299", Name: "hm", Tags: []string{"t"},
		}).Extract()
		s.must(err)
		s.active(l.ID)
		_, err := monitors.Update(ctx, s.lb, monitor.ID, monitors.UpdateOpts{Delay: 30, Timeout: 20, MaxRetries: 10, MaxRetriesDown: 8, URLPath: "/another_check", ExpectedCodes: "301", Name: ptr("NewHM")}).Extract()
		s.must(err)
		s.active(l.ID)
		got, err := monitors.Get(ctx, s.lb, monitor.ID).Extract()
		s.must(err)
		want := monitors.Monitor{
			ID: monitor.ID, Name: "NewHM", ProjectID: "p", Type: "HTTP", Delay: 30, Timeout: 20, MaxRetries: 10, MaxRetriesDown: 8, HTTPMethod: "HEAD", HTTPVersion: "1.1",
			URLPath: "/another_check", ExpectedCodes: "301", DomainName: "example.com", AdminStateUp: true, Pools: []monitors.PoolID{{ID: pool.ID}},
			ProvisioningStatus: "ACTIVE", OperatingStatus: got.OperatingStatus, Tags: []string{"t"},
		}
		if d := cmp.Diff(want, *got); d != "" {
			s.Error(d)
		}
		found := all(s, monitors.List(s.lb, monitors.ListOpts{PoolID: pool.ID, Type: "HTTP", Delay: 30, Name: "NewHM"}), monitors.ExtractMonitors)
		if len(found) != 1 || found[0].ID != monitor.ID {
			s.Errorf("found %+v", found)
		}
		of, err := pools.Get(ctx, s.lb, pool.ID).Extract()
		s.must(err)
		same(s, "monitor of the pool", of.MonitorID, monitor.ID)
	})

	s.run("l7 policy and rule", func(s *suite) {
		policy, err = l7policies.Create(ctx, s.lb, l7policies.CreateOpts{
			Name: "redirect", ListenerID: listener.ID, Action: l7policies.ActionRedirectToURL, RedirectURL: "http://www.example.com", RedirectHttpCode: 301, Tags: []string{"t"},
		}).Extract()
		s.must(err)
		s.active(l.ID)
		first, err := l7policies.Create(ctx, s.lb, l7policies.CreateOpts{ListenerID: listener.ID, Action: l7policies.ActionReject, Position: 1}).Extract()
		s.must(err)
		s.active(l.ID)
		_, err = l7policies.Update(ctx, s.lb, policy.ID, l7policies.UpdateOpts{Name: ptr("new"), Action: l7policies.ActionRedirectToPool, RedirectPoolID: &pool.ID}).Extract()
		s.must(err)
		s.active(l.ID)
		got, err := l7policies.Get(ctx, s.lb, policy.ID).Extract()
		s.must(err)
		same(s, "position", got.Position, 2)
		same(s, "URL", got.RedirectURL, "")
		same(s, "pool", got.RedirectPoolID, pool.ID)
		found := all(s, l7policies.List(s.lb, l7policies.ListOpts{ListenerID: listener.ID, SortKey: "position", AdminStateUp: true}), l7policies.ExtractL7Policies)
		if d := cmp.Diff([]string{first.ID, policy.ID}, []string{found[0].ID, found[1].ID}); len(found) != 2 || d != "" {
			s.Error(d)
		}
		rule, err = l7policies.CreateRule(ctx, s.lb, policy.ID, l7policies.CreateRuleOpts{
			RuleType: l7policies.TypeHeader, CompareType: l7policies.CompareTypeContains, Key: "X-Shop", Value: "a", Invert: true, Tags: []string{"t"},
		}).Extract()
		s.must(err)
		s.active(l.ID)
		_, err = l7policies.UpdateRule(ctx, s.lb, policy.ID, rule.ID, l7policies.UpdateRuleOpts{
			RuleType: l7policies.TypePath, CompareType: l7policies.CompareTypeRegex, Value: "/images/special*", Key: ptr(""), Invert: ptr(false),
		}).Extract()
		s.must(err)
		s.active(l.ID)
		r, err := l7policies.GetRule(ctx, s.lb, policy.ID, rule.ID).Extract()
		s.must(err)
		want := l7policies.Rule{
			ID: rule.ID, RuleType: "PATH", CompareType: "REGEX", Value: "/images/special*", ProjectID: "p", AdminStateUp: true,
			ProvisioningStatus: "ACTIVE", OperatingStatus: r.OperatingStatus, Tags: []string{"t"},
		}
		if d := cmp.Diff(want, *r); d != "" {
			s.Error(d)
		}
		rules := all(s, l7policies.ListRules(s.lb, policy.ID, l7policies.ListRulesOpts{RuleType: l7policies.TypePath}), l7policies.ExtractRules)
		if len(rules) != 1 || rules[0].ID != rule.ID {
			s.Errorf("found %+v", rules)
		}
	})

	s.run("statuses and statistics", func(s *suite) {
		tree, err := loadbalancers.GetStatuses(ctx, s.lb, l.ID).Extract()
		s.must(err)
		if tree.Loadbalancer.ID != l.ID || len(tree.Loadbalancer.Listeners) != 1 || tree.Loadbalancer.Listeners[0].Pools[0].Members[0].ID != member.ID {
			s.Errorf("tree: %+v", tree.Loadbalancer)
		}
		_, err = loadbalancers.GetStats(ctx, s.lb, l.ID).Extract()
		s.must(err)
		s.must(loadbalancers.Failover(ctx, s.lb, l.ID).ExtractErr())
		s.active(l.ID)
	})

	s.run("deletion", func(s *suite) {
		same(s, "answer to a deletion without its children", status(loadbalancers.Delete(ctx, s.lb, l.ID, nil).ExtractErr()), 400)
		for what, remove := range map[string]func() error{
			"rule":     func() error { return l7policies.DeleteRule(ctx, s.lb, policy.ID, rule.ID).ExtractErr() },
			"monitor":  func() error { return monitors.Delete(ctx, s.lb, monitor.ID).ExtractErr() },
			"member":   func() error { return pools.DeleteMember(ctx, s.lb, pool.ID, member.ID).ExtractErr() },
			"stranger": func() error { return ignore404(listeners.Delete(ctx, s.lb, uuid.NewString()).ExtractErr()) },
		} {
			if err := remove(); err != nil {
				s.Errorf("delete %s: %v", what, err)
			}
			s.active(l.ID)
		}
		s.must(l7policies.Delete(ctx, s.lb, policy.ID).ExtractErr())
		s.active(l.ID)
		s.must(pools.Delete(ctx, s.lb, pool.ID).ExtractErr())
		s.active(l.ID)
		s.must(listeners.Delete(ctx, s.lb, listener.ID).ExtractErr())
		s.active(l.ID)
		for what, err := range map[string]error{
			"listener": listeners.Get(ctx, s.lb, listener.ID).Err, "pool": pools.Get(ctx, s.lb, pool.ID).Err, "policy": l7policies.Get(ctx, s.lb, policy.ID).Err,
			"monitor": monitors.Get(ctx, s.lb, monitor.ID).Err, "member": pools.GetMember(ctx, s.lb, pool.ID, member.ID).Err, "rule": l7policies.GetRule(ctx, s.lb, policy.ID, rule.ID).Err,
		} {
			same(s, "answer to a look at the deleted "+what, status(err), 404)
		}
		s.must(loadbalancers.Delete(ctx, s.lb, l.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr())
		s.gone(l.ID)
	})
}

// ignore404 is what clients make of it when they delete: it is gone.
func ignore404(err error) error {
	if status(err) == 404 {
		return nil
	}
	return err
}

// A load balancer with all its children is made by one call, pools shared by name.
func TestFullyPopulated(t *testing.T) {
	s := newSuite(t)
	l, err := loadbalancers.Create(s.Context(), s.lb, loadbalancers.CreateOpts{
		Name: "whole", VipNetworkID: uuid.NewString(), ProjectID: "p",
		Pools: []pools.CreateOpts{{
			Name: "shared", Protocol: pools.ProtocolHTTP, LBMethod: pools.LBMethodRoundRobin,
			Members: []pools.CreateMemberOpts{{Address: "192.0.2.51", ProtocolPort: 80}, {Address: "192.0.2.52", ProtocolPort: 80}},
			Monitor: monitors.CreateOpts{Name: "hm", Type: monitors.TypeHTTP, Delay: 3, Timeout: 2, MaxRetries: 2, URLPath: "/index.html", ExpectedCodes: "200"},
		}},
		Listeners: []listeners.CreateOpts{{
			Name: "l", Protocol: listeners.ProtocolHTTP, ProtocolPort: 8080,
			DefaultPool: &pools.CreateOpts{Name: "own", Protocol: pools.ProtocolHTTP, LBMethod: pools.LBMethodSourceIp, Members: []pools.CreateMemberOpts{{Address: "192.0.2.53", ProtocolPort: 80}}},
			L7Policies: []l7policies.CreateOpts{{
				Name: "away", Action: l7policies.ActionRedirectToURL, RedirectURL: "http://example.com",
				Rules: []l7policies.CreateRuleOpts{{RuleType: l7policies.TypePath, CompareType: l7policies.CompareTypeRegex, Value: "/images*"}},
			}},
		}},
	}).Extract()
	s.must(err)
	if len(l.Listeners) != 1 || len(l.Pools) != 2 || len(l.Listeners[0].L7Policies) != 1 || len(l.Listeners[0].L7Policies[0].Rules) != 1 {
		t.Errorf("answer: %+v", l)
	}
	s.active(l.ID)
	found := all(s, pools.List(s.lb, pools.ListOpts{LoadbalancerID: l.ID, SortKey: "name"}), pools.ExtractPools)
	if d := cmp.Diff([]string{"own", "shared"}, ids(found, func(p pools.Pool) string { return p.Name })); d != "" {
		t.Error(d)
	}
	if len(found[1].Members) != 2 || found[1].MonitorID == "" {
		t.Errorf("pool: %+v", found[1])
	}
	s.must(loadbalancers.Delete(s.Context(), s.lb, l.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr())
	s.gone(l.ID)
	for _, p := range found {
		same(s, "answer to a look at a pool after the cascade", status(pools.Get(s.Context(), s.lb, p.ID).Err), 404)
	}
}
