package wire

// Quota is how many objects of each kind a project may have; -1 is any number. load_balancer and health_monitor are
// older names of loadbalancer and healthmonitor.
type Quota struct {
	ProjectID          string `json:"project_id"`
	TenantID           string `json:"tenant_id"`
	LoadBalancer       int    `json:"loadbalancer"`
	LoadBalancerOlder  int    `json:"load_balancer"`
	Listener           int    `json:"listener"`
	Pool               int    `json:"pool"`
	Member             int    `json:"member"`
	HealthMonitor      int    `json:"healthmonitor"`
	HealthMonitorOlder int    `json:"health_monitor"`
	L7Policy           int    `json:"l7policy"`
	L7Rule             int    `json:"l7rule"`
}

// QuotaUpdate is what PUT /lbaas/quotas/{id} takes under "quota"; null is the deployment's default. Where both names of
// a kind are given, the newer one counts.
type QuotaUpdate struct {
	LoadBalancer       Opt[int] `json:"loadbalancer,omitzero" minimum:"-1" maximum:"2000000000"`
	LoadBalancerOlder  Opt[int] `json:"load_balancer,omitzero" minimum:"-1" maximum:"2000000000"`
	Listener           Opt[int] `json:"listener,omitzero" minimum:"-1" maximum:"2000000000"`
	Pool               Opt[int] `json:"pool,omitzero" minimum:"-1" maximum:"2000000000"`
	Member             Opt[int] `json:"member,omitzero" minimum:"-1" maximum:"2000000000"`
	HealthMonitor      Opt[int] `json:"healthmonitor,omitzero" minimum:"-1" maximum:"2000000000"`
	HealthMonitorOlder Opt[int] `json:"health_monitor,omitzero" minimum:"-1" maximum:"2000000000"`
	L7Policy           Opt[int] `json:"l7policy,omitzero" minimum:"-1" maximum:"2000000000"`
	L7Rule             Opt[int] `json:"l7rule,omitzero" minimum:"-1" maximum:"2000000000"`
}
