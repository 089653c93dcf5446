package worker_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/worker"
)

func TestOperate(t *testing.T) {
	report := func(members ...string) health.AmphoraReport {
		r := health.AmphoraReport{Listeners: map[string]bool{"li": false}, Members: map[string]string{}}
		for i, s := range members {
			if s != "" {
				r.Members[[]string{"m1", "m2"}[i]] = s
			}
		}
		return r
	}
	full := report("UP", "UP")
	full.Listeners = map[string]bool{"li": true}
	none := report("UP", "UP")
	none.Listeners = nil
	type want struct{ LB, Listener, Pool, M1, M2 lb.OperatingStatus }
	cases := []struct {
		name    string
		reports []health.AmphoraReport
		cluster lb.OperatingStatus
		change  func(*lb.Tree)
		want    want
	}{
		{"S38 all up", []health.AmphoraReport{report("UP", "UP"), report("UP", "UP")}, lb.Online, nil, want{lb.Online, lb.Online, lb.Online, lb.Online, lb.Online}},
		{"S32 one member down everywhere", []health.AmphoraReport{report("UP", "DOWN"), report("UP", "DOWN 1/3")}, lb.Online, nil, want{lb.Degraded, lb.Online, lb.Degraded, lb.Online, lb.OperatingErr}},
		{"S32 one of three amphorae does not reach it", []health.AmphoraReport{report("UP", "UP"), report("UP", "UP"), report("UP", "DOWN")}, lb.Online, nil, want{lb.Degraded, lb.Online, lb.Degraded, lb.Online, lb.Online}},
		{"S32 as many say DOWN as UP", []health.AmphoraReport{report("UP", "UP"), report("UP", "DOWN")}, lb.Online, nil, want{lb.Degraded, lb.Online, lb.Degraded, lb.Online, lb.OperatingErr}},
		{"S32 all members down", []health.AmphoraReport{report("DOWN", "DOWN")}, lb.Online, nil, want{lb.OperatingErr, lb.Online, lb.OperatingErr, lb.OperatingErr, lb.OperatingErr}},
		{"S28 cluster degraded", []health.AmphoraReport{report("UP", "UP")}, lb.Degraded, nil, want{lb.Degraded, lb.Online, lb.Online, lb.Online, lb.Online}},
		{"S28 cluster down shows as ERROR", nil, lb.OperatingDown, nil, want{lb.OperatingErr, lb.OperatingErr, lb.Online, lb.Offline, lb.Offline}},
		{"a listener full on one amphora", []health.AmphoraReport{report("UP", "UP"), full}, lb.Online, nil, want{lb.Degraded, lb.Degraded, lb.Online, lb.Online, lb.Online}},
		{"a listener that nobody runs", []health.AmphoraReport{none}, lb.Online, nil, want{lb.OperatingErr, lb.OperatingErr, lb.Online, lb.Online, lb.Online}},
		{"weight 0 drains, no check is no monitor", []health.AmphoraReport{report("DRAIN", "no check")}, lb.Online, nil, want{lb.Online, lb.Online, lb.Online, lb.Draining, lb.NoMonitor}},
		{"a member that is UP with weight 0 drains", []health.AmphoraReport{report("UP", "UP")}, lb.Online, func(t *lb.Tree) { t.Pools[0].Members[0].Weight = 0 }, want{lb.Online, lb.Online, lb.Online, lb.Draining, lb.Online}},
		{"a listener that is too new to be reported stays as it was", []health.AmphoraReport{none, none}, lb.Online, func(t *lb.Tree) {
			t.LoadBalancer.Revision, t.Listeners[0].OperatingStatus = 1, lb.Offline
		}, want{lb.Online, lb.Offline, lb.Online, lb.Online, lb.Online}},
		{"a listener that some could not report yet is ONLINE by the others", []health.AmphoraReport{report("UP", "UP"), none}, lb.Online, func(t *lb.Tree) {
			t.LoadBalancer.Revision = 1
		}, want{lb.Online, lb.Online, lb.Online, lb.Online, lb.Online}},
		{"a disabled member is offline and degrades nothing", []health.AmphoraReport{report("UP", "MAINT")}, lb.Online, func(t *lb.Tree) { t.Pools[0].Members[1].Enabled = false }, want{lb.Online, lb.Online, lb.Online, lb.Online, lb.Offline}},
		{"a disabled load balancer is offline", []health.AmphoraReport{report("UP", "UP")}, lb.Online, func(t *lb.Tree) { t.LoadBalancer.Enabled = false }, want{lb.Offline, lb.Offline, lb.Offline, lb.Offline, lb.Offline}},
		{"a pool that nothing uses is offline", []health.AmphoraReport{report("", "")}, lb.Online, func(t *lb.Tree) { t.Listeners[0].DefaultPoolID = "" }, want{lb.Online, lb.Online, lb.Offline, lb.Offline, lb.Offline}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tree := lb.Tree{
				LoadBalancer: lb.LoadBalancer{Enabled: true, ProvisioningStatus: lb.Active},
				Listeners:    []lb.Listener{{ID: "li", Enabled: true, DefaultPoolID: "p", ProvisioningStatus: lb.Active}},
				Pools: []lb.Pool{{ID: "p", Enabled: true, HealthMonitor: &lb.HealthMonitor{Enabled: true}, Members: []lb.Member{
					{ID: "m1", Enabled: true, Weight: 1, OperatingStatus: lb.Offline}, {ID: "m2", Enabled: true, Weight: 1, OperatingStatus: lb.Offline},
				}}},
			}
			if c.change != nil {
				c.change(&tree)
			}
			worker.Operate(&tree, worker.View{Reports: c.reports, Cluster: c.cluster, Revision: tree.LoadBalancer.Revision, Created: true})
			p := tree.Pools[0]
			got := want{tree.LoadBalancer.OperatingStatus, tree.Listeners[0].OperatingStatus, p.OperatingStatus, p.Members[0].OperatingStatus, p.Members[1].OperatingStatus}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
