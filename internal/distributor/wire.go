package distributor

import "colonnade/internal/lb"

// Affinity names the row function: what of a packet decides its row.
type Affinity string

// Row functions (D1).
const (
	AffinitySourceIP     Affinity = "source_ip"
	AffinitySourceIPPort Affinity = "source_ip_port"
)

// Holder is an amphora as a target of frames.
type Holder struct {
	AmphoraID string `json:"amphora_id"`
	MAC       string `json:"mac"` // front-end MAC, lower-case with colons
}

// Vacant stands in Generation.Holders for a position nobody holds, or whose former holder is gone.
const Vacant = -1

// Generation is one assignment of positions to holders: Holders[p] is an index into Table.Holders, or Vacant.
// Its length is the number of positions, from which the rows follow.
type Generation struct {
	Holders []int `json:"holders"`
}

// Table is a load balancer's forwarding table. Rows are never sent: they are a function of (Key, Rows, number of
// positions), computed alike by distributor, amphorae and whoever explains (docs/ARCHITECTURE.md, table).
type Table struct {
	Version  int64    `json:"version"`
	Key      string   `json:"key"`  // 16 bytes in hex; keys the row function and the scores
	Rows     int      `json:"rows"` // 16,384
	Affinity Affinity `json:"affinity"`
	// Holders are all amphorae the table names: position holders, earlier owners, standbys. At most MaxHolders.
	Holders []Holder `json:"holders"`
	// Current is who holds the positions now.
	Current Generation `json:"current"`
	// Earlier are former assignments whose owners live and may still hold connections, newest first; at most three
	// of their owners stand in a row's owner list.
	Earlier []Generation `json:"earlier,omitempty"`
	// Standbys are the holders eligible for a swap, in order: standby k serves the k-th dead position.
	Standbys []int `json:"standbys,omitempty"`
	// TakenSwap is the sequence number of the last swap of the distributor that this table has taken in.
	TakenSwap int64 `json:"taken_swap"`
}

// Limits of a table.
const (
	DefaultRows  = 16384
	MaxHolders   = 64
	MaxOwners    = 5 // the owner, three earlier ones, the next choice
	MaxPositions = 32
)

// HostRoute is a route on the VIP's subnet.
type HostRoute struct {
	Destination string `json:"destination"` // CIDR
	NextHop     string `json:"nexthop"`
}

// AlgExtras names how flows are distributed, in the blueprint's terms.
type AlgExtras struct {
	Algorithm string   `json:"algorithm"` // "hash"
	Affinity  Affinity `json:"affinity"`
}

// VIPPlug is the body of PUT /v1/loadbalancers/{lb_id}/vip: attach this load balancer's port and own its VIP (S57).
type VIPPlug struct {
	lb.Stamp
	LBID       string      `json:"lb_id"`
	VIPAddress string      `json:"vip_address"`
	SubnetCIDR string      `json:"subnet_cidr"`
	Gateway    string      `json:"gateway,omitempty"`
	MACAddress string      `json:"mac_address"` // of the port in the distributor's management namespace
	MTU        int         `json:"mtu,omitempty"`
	HostRoutes []HostRoute `json:"host_routes,omitempty"`
	AlgExtras  AlgExtras   `json:"alg_extras"`
	ProbeKey   string      `json:"probe_key"` // 16 bytes in hex
}

// Registrations is the body of PUT /v1/loadbalancers/{lb_id}/amphorae: the whole table (S58). Stamp.Revision is the
// table's version.
type Registrations struct {
	lb.Stamp
	LBID  string `json:"lb_id"`
	Table Table  `json:"table"`
}

// Position is one entry of the positional list that every registration answers with (D5).
type Position struct {
	Position  int    `json:"position"`
	AmphoraID string `json:"amphora_id"` // "" when vacant
	MAC       string `json:"mac"`
	Swapped   bool   `json:"swapped"` // a standby serves it by the distributor's own swap
}

// Swap is the distributor's own replacement of a silent amphora by a standby.
type Swap struct {
	Seq       int64  `json:"seq"` // rises by one with each swap of this load balancer on this distributor
	Position  int    `json:"position"`
	AmphoraID string `json:"amphora_id"` // who was silent
	StandbyID string `json:"standby_id"` // who serves now
	Reason    string `json:"reason"`     // "probe" or "down"
	AtUnixMS  int64  `json:"at_unix_ms"`
}

// LBStatus is what a distributor answers about one load balancer.
type LBStatus struct {
	LBID         string     `json:"lb_id"`
	VIPApplied   lb.Stamp   `json:"vip_applied"`
	TableApplied lb.Stamp   `json:"table_applied"` // zero before the first table
	TableVersion int64      `json:"table_version"`
	Positions    []Position `json:"positions"`
	Swaps        []Swap     `json:"swaps"`  // those not yet taken in by a table
	Silent       []string   `json:"silent"` // amphora ids whose probes go unanswered, standbys included
}

// Status is the body of GET /v1/status.
type Status struct {
	DistributorID string     `json:"distributor_id"`
	BootID        string     `json:"boot_id"`
	Dataplane     string     `json:"dataplane"`
	LoadBalancers []LBStatus `json:"load_balancers"`
}

// Statistics is the body of GET /v1/loadbalancers/{lb_id}/statistics (S60).
type Statistics struct {
	LBID          string            `json:"lb_id"`
	ForwardedPkts uint64            `json:"forwarded_packets"`
	ForwardedByte uint64            `json:"forwarded_bytes"`
	Dropped       map[string]uint64 `json:"dropped"` // by reason
}

// Dataplane forwards for the load balancers of one distributor agent. All calls are idempotent; state is pinned, so
// that forwarding goes on while the agent is away, and Open finds it again.
type Dataplane interface {
	// Name is "ebpf", "ovs" or "nft".
	Name() string
	// Install makes the port named ifname in the network namespace at nsPath forward for vip by the table. The
	// effective holders of positions are given apart because swaps change them: holders[p] is a MAC or "" (vacant).
	Install(lbID string, port PortConfig) error
	// SetTable replaces rows and targets in one step; packets see the old or the new table, never a mixture.
	SetTable(lbID string, t EffectiveTable) error
	// Statistics reads the counters.
	Statistics(lbID string) (Statistics, error)
	// Remove detaches and unpins; removing what is not there is no error.
	Remove(lbID string) error
	// Close drops this process's handles and leaves forwarding as it is.
	Close() error
}

// PortConfig names the port of one load balancer.
type PortConfig struct {
	NamespacePath string
	Interface     string
	VIPs          []string
}

// EffectiveTable is table∘swaps, ready for a dataplane.
type EffectiveTable struct {
	Key      [16]byte
	Affinity Affinity
	// Rows[r] is an index into MACs.
	Rows []uint8
	// MACs are the targets that rows name.
	MACs [][6]byte
	// Members are the MACs of all amphorae of the load balancer: frames from them are dropped.
	Members [][6]byte
}

// SwapsError is the answer 409 to a table that does not know the distributor's last swap of this load balancer.
type SwapsError struct {
	Swaps []Swap `json:"swaps"`
}

// HTTPStatus is 409.
func (e *SwapsError) HTTPStatus() int { return 409 }

func (e *SwapsError) Error() string { return "table does not take in the distributor's last swaps" }

// StaleError is the answer 409 to anything with a lower stamp than what is applied.
type StaleError struct {
	Applied lb.Stamp `json:"applied"`
}

// HTTPStatus is 409.
func (e *StaleError) HTTPStatus() int { return 409 }

func (e *StaleError) Error() string { return "a higher stamp is applied already" }
