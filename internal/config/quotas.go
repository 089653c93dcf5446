package config

import "colonnade/internal/lb"

// Quotas are what a project may have that has no quota of its own; -1 is any number.
type Quotas struct {
	LoadBalancer  int `toml:"load_balancer"`
	Listener      int `toml:"listener"`
	Pool          int `toml:"pool"`
	Member        int `toml:"member"`
	HealthMonitor int `toml:"health_monitor"`
	L7Policy      int `toml:"l7policy"`
	L7Rule        int `toml:"l7rule"`
}

// Quota is the same for the store.
func (q Quotas) Quota() lb.Quota {
	return lb.Quota{
		LoadBalancer: &q.LoadBalancer, Listener: &q.Listener, Pool: &q.Pool, Member: &q.Member, HealthMonitor: &q.HealthMonitor,
		L7Policy: &q.L7Policy, L7Rule: &q.L7Rule,
	}
}

func (q Quotas) check(wrong func(format string, args ...any)) {
	for _, k := range []struct {
		name  string
		limit int
	}{
		{"load_balancer", q.LoadBalancer},
		{"listener", q.Listener},
		{"pool", q.Pool},
		{"member", q.Member},
		{"health_monitor", q.HealthMonitor},
		{"l7policy", q.L7Policy},
		{"l7rule", q.L7Rule},
	} {
		if k.limit < lb.Unlimited || k.limit > lb.MaxQuota {
			wrong("quotas.%s %d: want -1 (any number) to %d", k.name, k.limit, lb.MaxQuota)
		}
	}
}
