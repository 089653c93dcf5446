package lb

import "time"

// Cluster is the set of amphorae that serve one load balancer (S43, S67); 1:1 with the load balancer.
type Cluster struct {
	ID                 string             `bun:"id,pk"`
	LoadBalancerID     string             `bun:"load_balancer_id"`
	ProjectID          string             `bun:"project_id"`
	Name               string             `bun:"cluster_name"`
	Type               string             `bun:"cluster_type"` // the manager: "fixed"
	DesiredSize        int                `bun:"desired_size"` // N: positions 0…N-1
	MinSize            int                `bun:"min_size"`     // the smallest number that serves
	StandbySize        int                `bun:"standby_size"` // amphorae beyond N, warm
	Cooldown           time.Duration      `bun:"cooldown"`     // between elective changes
	Affinity           string             `bun:"affinity"`     // AffinitySourceIP or AffinitySourceIPPort
	Sharing            string             `bun:"sharing"`      // SharingProject, SharingDedicated or SharingAll
	ComputeFlavor      string             `bun:"compute_flavor"`
	ImageTag           string             `bun:"image_tag"`
	DistributorID      string             `bun:"distributor_id,nullzero"`
	DistributorPortID  string             `bun:"distributor_port_id,nullzero"`
	ProvisioningStatus ProvisioningStatus `bun:"provisioning_status"`
	OperatingStatus    OperatingStatus    `bun:"operating_status"`
	StandbyReady       int                `bun:"standby_ready"`
	Enabled            bool               `bun:"enabled"`
	// Table is the forwarding table in force or being installed, as JSON (distributor.Table); "" before the first.
	Table string `bun:"forwarding_table"`
	// ProbeKey signs the probes between distributor and amphorae; sealed nowhere else, 16 bytes in hex.
	ProbeKey string `bun:"probe_key"`
	// LastElectiveAt is when the last elective transition ended; zero before the first.
	LastElectiveAt time.Time `bun:"last_elective_at,nullzero"`
	// FailoverRequestedAt asks for every amphora older than it to be handed over (planned failover of the load balancer).
	FailoverRequestedAt time.Time `bun:"failover_requested_at,nullzero"`
	CreatedAt           time.Time `bun:"created_at"`
	UpdatedAt           time.Time `bun:"updated_at,nullzero"`
}

// NoPosition is the Position of an amphora that holds none.
const NoPosition = -1

// Amphora is one instance that balances.
type Amphora struct {
	ID             string        `bun:"id,pk"`
	LoadBalancerID string        `bun:"load_balancer_id"`
	ClusterID      string        `bun:"cluster_id"`
	Role           Role          `bun:"role"`
	Status         AmphoraStatus `bun:"status"`
	StatusReason   string        `bun:"status_reason"`
	ComputeID      string        `bun:"compute_id,nullzero"`
	ManagementIP   string        `bun:"lb_network_ip,nullzero"`
	FrontEndPortID string        `bun:"vrrp_port_id,nullzero"` // the API's name for the front-end port
	FrontEndIP     string        `bun:"vrrp_ip,nullzero"`
	FrontEndMAC    string        `bun:"frontend_mac,nullzero"`
	Position       int           `bun:"position"` // NoPosition for a standby or a draining one
	// OutOfService is set when the amphora lost its position to a failure; it owns nothing any more.
	OutOfService bool `bun:"out_of_service"`
	// DrainingSince is when a hand-over took its position away; zero otherwise.
	DrainingSince time.Time `bun:"draining_since,nullzero"`
	// FailoverRequestedAt asks for a planned hand-over of this amphora; zero otherwise.
	FailoverRequestedAt time.Time `bun:"failover_requested_at,nullzero"`
	// BootDeadline is when an amphora that is not heard yet counts as failed to build.
	BootDeadline    time.Time `bun:"boot_deadline,nullzero"`
	AppliedRevision int64     `bun:"applied_revision"` // revision it last said it runs (S39)
	AppliedTable    int64     `bun:"applied_table"`    // table version it last said it has
	CertExpiration  time.Time `bun:"cert_expiration,nullzero"`
	HeartbeatKey    string    `bun:"heartbeat_key"` // 32 bytes in hex, of this amphora alone
	CreatedAt       time.Time `bun:"created_at"`
	UpdatedAt       time.Time `bun:"updated_at,nullzero"`
}

// AmphoraPort is a back-end port plugged into an amphora (S25).
type AmphoraPort struct {
	PortID    string `bun:"port_id,pk"`
	AmphoraID string `bun:"amphora_id"`
	NetworkID string `bun:"network_id"`
	SubnetID  string `bun:"subnet_id"`
}

// Distributor is one layer-2 forwarder, shared by the load balancers of a project unless a flavor says otherwise.
type Distributor struct {
	ID             string        `bun:"id,pk"`
	ProjectID      string        `bun:"project_id"` // of the first load balancer that it served
	Sharing        string        `bun:"sharing"`    // with whom, as Cluster.Sharing
	Status         AmphoraStatus `bun:"status"`
	StatusReason   string        `bun:"status_reason"`
	ComputeID      string        `bun:"compute_id,nullzero"`
	ManagementIP   string        `bun:"lb_network_ip,nullzero"`
	BootDeadline   time.Time     `bun:"boot_deadline,nullzero"`
	CertExpiration time.Time     `bun:"cert_expiration,nullzero"`
	HeartbeatKey   string        `bun:"heartbeat_key"`
	// Epoch rises with each lease on this distributor; what is sent about a load balancer's VIP carries the load
	// balancer's epoch instead.
	Epoch     int64     `bun:"epoch"`
	CreatedAt time.Time `bun:"created_at"`
	UpdatedAt time.Time `bun:"updated_at,nullzero"`
}

// Subject is an instance whose heartbeats are expected.
type Subject struct {
	ID            string
	Kind          string // "amphora" or "distributor"
	HeartbeatKey  string
	LoadBalancers []string // an amphora's one; a distributor's many
	OutOfService  bool     // an amphora that was taken out of service, and is not DELETED yet
}

// InstanceHealth is what the health role knows of an amphora or distributor; written when it changes, LastSeen coarsely.
type InstanceHealth struct {
	InstanceID string    `bun:"instance_id,pk"`
	Kind       string    `bun:"kind"`  // "amphora" or "distributor"
	State      string    `bun:"state"` // HealthAlive, HealthSilent, HealthDown
	Since      time.Time `bun:"since"` // when State began
	LastSeen   time.Time `bun:"last_seen"`
	BootID     string    `bun:"boot_id"`
	// Report is the last changed heartbeat content as JSON (health.AmphoraReport or health.DistributorReport).
	Report string `bun:"report"`
}

// States of InstanceHealth.
const (
	HealthAlive  = "alive"
	HealthSilent = "silent" // heartbeats stopped
	HealthDown   = "down"   // it says itself that it cannot serve
)

// ClusterState is everything about one load balancer's cluster, read and written together.
type ClusterState struct {
	LoadBalancer LoadBalancer
	Cluster      Cluster
	Amphorae     []Amphora // rows not DELETED, by creation
	Ports        []AmphoraPort
	Distributor  *Distributor
	Health       map[string]InstanceHealth // by instance id
}

// Kinds of work in the queue. A key is a load balancer's id, for WorkDistributor a distributor's. Worker and ACM lease
// the same load balancer: never both at once.
const (
	WorkWorker      = "worker"
	WorkACM         = "acm"
	WorkDistributor = "distributor"
)

// Lease is the right to change one load balancer (or distributor) for a while. Epoch fences every write made under it.
type Lease struct {
	Kind    string // WorkWorker, WorkACM or WorkDistributor
	Key     string
	Epoch   int64
	Attempt int // 0 at the first try
	// RequestID is the API request that asked for this work last; "" when none did. It is for logs only.
	RequestID string
}

// Wake names work to be enqueued in the transaction that makes it necessary.
type Wake struct {
	Kind  string
	Key   string
	After time.Duration
}

// Outcome is what a change of rows brings beside the rows, written in the same transaction.
type Outcome struct {
	Wakes  []Wake
	Events []Event
}
