package lb

// ProvisioningStatus says how far reality follows what was asked for; values are those of the Load Balancer v2 API.
type ProvisioningStatus string

// Provisioning statuses. Children are removed at once when deleted; only load balancers and amphorae keep a DELETED row.
const (
	Active        ProvisioningStatus = "ACTIVE"
	PendingCreate ProvisioningStatus = "PENDING_CREATE"
	PendingUpdate ProvisioningStatus = "PENDING_UPDATE"
	PendingDelete ProvisioningStatus = "PENDING_DELETE"
	Error         ProvisioningStatus = "ERROR"
	Deleted       ProvisioningStatus = "DELETED"
)

// Pending reports whether a change is under way.
func (s ProvisioningStatus) Pending() bool {
	return s == PendingCreate || s == PendingUpdate || s == PendingDelete
}

// OperatingStatus says how an object is doing, as observed.
type OperatingStatus string

// Operating statuses. Down exists for clusters only (S28); the v2 API shows a load balancer in that state as ERROR.
const (
	Online        OperatingStatus = "ONLINE"
	Offline       OperatingStatus = "OFFLINE"
	Degraded      OperatingStatus = "DEGRADED"
	OperatingErr  OperatingStatus = "ERROR"
	Draining      OperatingStatus = "DRAINING"
	NoMonitor     OperatingStatus = "NO_MONITOR"
	OperatingDown OperatingStatus = "DOWN"
)

// AmphoraStatus is the provisioning status of one amphora or distributor (S28: it is each amphora's own).
type AmphoraStatus string

// Amphora statuses, in the order of a life.
const (
	AmphoraPendingCreate AmphoraStatus = "PENDING_CREATE" // row written, nothing built yet
	AmphoraBooting       AmphoraStatus = "BOOTING"        // instance asked for, agent not heard yet
	AmphoraReady         AmphoraStatus = "READY"          // agent answered, not configured yet
	AmphoraAllocated     AmphoraStatus = "ALLOCATED"      // runs a document of its load balancer
	AmphoraError         AmphoraStatus = "ERROR"          // could not be built, or declared dead
	AmphoraPendingDelete AmphoraStatus = "PENDING_DELETE"
	AmphoraDeleted       AmphoraStatus = "DELETED"
)

// Role is an amphora's part in its cluster (S27).
type Role string

// Roles. A standby is configured and warm and holds no position; the only way into a position is from standby.
const (
	RoleInCluster        Role = "IN_CLUSTER"
	RoleInClusterStandby Role = "IN_CLUSTER_STANDBY"
)
