package lb

// Unlimited is the quota of who may have any number.
const Unlimited = -1

// MaxQuota is the highest limit there is.
const MaxQuota = 2_000_000_000

// Quota is how many objects of each kind a project may have; Unlimited is any number, nil the deployment's default.
type Quota struct {
	LoadBalancer  *int `bun:"load_balancer"`
	Listener      *int `bun:"listener"`
	Pool          *int `bun:"pool"`
	Member        *int `bun:"member"`
	HealthMonitor *int `bun:"health_monitor"`
	L7Policy      *int `bun:"l7_policy"`
	L7Rule        *int `bun:"l7_rule"`
}

// NoQuota has no limits.
func NoQuota() (q Quota) {
	for _, limit := range q.limits() {
		*limit = new(Unlimited)
	}
	return q
}

func (q *Quota) limits() []**int {
	return []**int{&q.LoadBalancer, &q.Listener, &q.Pool, &q.Member, &q.HealthMonitor, &q.L7Policy, &q.L7Rule}
}

// Over puts q's limits over those of defaults.
func (q Quota) Over(defaults Quota) Quota {
	under := defaults.limits()
	for i, limit := range q.limits() {
		if *limit == nil {
			*limit = *under[i]
		}
	}
	return q
}
