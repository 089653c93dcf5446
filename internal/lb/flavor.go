package lb

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// Topology is how many amphorae serve a load balancer, and how.
type Topology string

// Topologies (S1). Each is a cluster of its own size: the manager, the distributor and the amphorae are the same.
const (
	TopologySingle        Topology = "SINGLE"         // one position and no standby: a death is an outage until it is rebuilt
	TopologyActiveStandby Topology = "ACTIVE_STANDBY" // one position and one standby
	TopologyActiveActive  Topology = "ACTIVE_ACTIVE"  // N positions and standbys
)

// Values of the distributor's options in a flavor.
const (
	AffinitySourceIP     = "source_ip"      // as distributor.AffinitySourceIP
	AffinitySourceIPPort = "source_ip_port" // as distributor.AffinitySourceIPPort

	SharingProject   = "project"   // one distributor for all load balancers of a project
	SharingDedicated = "dedicated" // one of its own
	SharingAll       = "all"       // one for load balancers of any project

	ClusterFixed = "fixed" // the manager that keeps a cluster at its size
)

// Bounds of a cluster's size; the first is distributor.MaxPositions.
const (
	MaxClusterSize = 32
	MaxStandbySize = MaxClusterSize / 4
)

// FlavorOptions is what a flavor's profile may say (S2, S69). Missing ones leave the operator's defaults.
type FlavorOptions struct {
	Topology           *Topology `json:"loadbalancer_topology"`
	ComputeFlavor      *string   `json:"compute_flavor"`
	ImageTag           *string   `json:"amp_image_tag"`
	SRIOVVIP           *bool     `json:"sriov_vip"`
	AllowMemberSRIOV   *bool     `json:"allow_member_sriov"`
	ClusterSize        *int      `json:"cluster_size"`
	ClusterMinSize     *int      `json:"cluster_min_size"`
	ClusterStandbySize *int      `json:"cluster_standby_size"`
	ClusterType        *string   `json:"cluster_type"`
	Affinity           *string   `json:"distributor_affinity"`
	Sharing            *string   `json:"distributor_sharing"`
}

// ZoneOptions is what an availability zone's profile may say.
type ZoneOptions struct {
	ComputeZone       *string  `json:"compute_zone"`
	VolumeZone        *string  `json:"volume_zone"`
	ManagementNetwork *string  `json:"management_network"`
	ValidVIPNetworks  []string `json:"valid_vip_networks"`
}

// Capability is one option that a provider knows, for people.
type Capability struct{ Name, Description string }

// FlavorCapabilities are all options of flavors. A provider offers those it can do.
func FlavorCapabilities() []Capability {
	return []Capability{
		{"loadbalancer_topology", "SINGLE: one amphora; ACTIVE_STANDBY: one and a standby; ACTIVE_ACTIVE: a cluster behind a distributor."},
		{"compute_flavor", "The compute driver's name for the size of an amphora."},
		{"amp_image_tag", "The tag of the image that amphorae are made from."},
		{"sriov_vip", "The VIP's ports are SR-IOV ones."},
		{"allow_member_sriov", "Tenants may ask for SR-IOV ports towards members."},
		{"cluster_size", "ACTIVE_ACTIVE: how many amphorae share the load, 2 to 32."},
		{"cluster_min_size", "ACTIVE_ACTIVE: how many of them have to serve for the load balancer not to be down, 1 to cluster_size."},
		{"cluster_standby_size", "ACTIVE_ACTIVE: how many warm amphorae stand by to replace lost ones, 0 to 8."},
		{"cluster_type", "The cluster's manager: fixed keeps its size."},
		{"distributor_affinity", "What keeps a client on one amphora: source_ip, or source_ip_port, where each connection is placed by itself."},
		{"distributor_sharing", "Who shares the distributor: project, dedicated (nobody) or all (every project)."},
	}
}

// ZoneCapabilities are all options of availability zones.
func ZoneCapabilities() []Capability {
	return []Capability{
		{"compute_zone", "The compute driver's zone that amphorae are built in."},
		{"volume_zone", "The zone of amphorae's volumes."},
		{"management_network", "The network that amphorae are managed on."},
		{"valid_vip_networks", "A list of networks that VIPs may be on."},
	}
}

// ParseFlavorOptions reads a profile's data, which is to hold no option but those offered.
func ParseFlavorOptions(data string, offered []Capability) (FlavorOptions, error) {
	var o FlavorOptions
	if err := parseOptions("flavor_data", data, offered, &o); err != nil {
		return o, err
	}
	return o, o.validate()
}

// ParseZoneOptions reads a profile's data, which is to hold no option but those offered.
func ParseZoneOptions(data string, offered []Capability) (ZoneOptions, error) {
	var o ZoneOptions
	return o, parseOptions("availability_zone_data", data, offered, &o)
}

// parseOptions refuses what is no JSON object as invalid, and what the provider does not offer as unsupported, as
// upstream's provider does.
func parseOptions(field, data string, offered []Capability, into any) error {
	var names map[string]json.RawMessage
	d := json.NewDecoder(strings.NewReader(data))
	if err := d.Decode(&names); err != nil || names == nil {
		return InvalidField(field, data, "Value should be a JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return InvalidField(field, data, "Value should be one JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if offered != nil && !slices.ContainsFunc(offered, func(c Capability) bool { return c.Name == name }) {
			return Unsupported("%s is none of the options in %s", name, field)
		}
		if bytes.Equal(names[name], []byte("null")) {
			return Unsupported("%s null in %s", name, field)
		}
	}
	if err := json.Unmarshal([]byte(data), into); err != nil {
		var typed *json.UnmarshalTypeError
		if errors.As(err, &typed) {
			return Unsupported("%s in %s is to be a %s, not a %s", typed.Field, field, typed.Type, typed.Value)
		}
		return InvalidField(field, data, "Value should be a JSON object")
	}
	return nil
}

func (o FlavorOptions) validate() error {
	one := func(name string, value *string, of ...string) error {
		if value != nil && !slices.Contains(of, *value) {
			return Unsupported("%s %s; it is one of %s", name, *value, strings.Join(of, ", "))
		}
		return nil
	}
	err := errors.Join(
		one("loadbalancer_topology", (*string)(o.Topology), string(TopologySingle), string(TopologyActiveStandby), string(TopologyActiveActive)),
		one("cluster_type", o.ClusterType, ClusterFixed),
		one("distributor_affinity", o.Affinity, AffinitySourceIP, AffinitySourceIPPort),
		one("distributor_sharing", o.Sharing, SharingProject, SharingDedicated, SharingAll),
	)
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	if o.Topology != nil && *o.Topology != TopologyActiveActive && (o.ClusterSize != nil || o.ClusterMinSize != nil || o.ClusterStandbySize != nil) {
		return Unsupported("cluster sizes with loadbalancer_topology %s", *o.Topology)
	}
	within := func(name string, value *int, least, most int) error {
		if value != nil && (*value < least || *value > most) {
			return Unsupported("%s %d; it is from %d to %d", name, *value, least, most)
		}
		return nil
	}
	most := MaxClusterSize
	if err := within("cluster_size", o.ClusterSize, 2, most); err != nil {
		return err
	}
	if o.ClusterSize != nil {
		most = *o.ClusterSize
	}
	if err := within("cluster_min_size", o.ClusterMinSize, 1, most); err != nil {
		return err
	}
	return within("cluster_standby_size", o.ClusterStandbySize, 0, MaxStandbySize)
}

// Shape is what a cluster is made with.
type Shape struct {
	Topology    Topology
	DesiredSize int    // N, positions
	MinSize     int    // the smallest number that serves
	StandbySize int    // warm amphorae beyond N
	Type        string // the manager
	Affinity    string
	Sharing     string // of the distributor
}

// In makes a cluster of this shape in this topology: of one position, without or with a standby, unless it is
// ACTIVE_ACTIVE.
func (s Shape) In(t Topology) Shape {
	s.Topology = t
	switch t {
	case TopologySingle:
		s.DesiredSize, s.MinSize, s.StandbySize = 1, 1, 0
	case TopologyActiveStandby:
		s.DesiredSize, s.MinSize, s.StandbySize = 1, 1, 1
	case TopologyActiveActive:
	}
	return s
}

// With is the shape as a flavor changes it.
func (s Shape) With(o FlavorOptions) Shape {
	topology := s.Topology
	if o.ClusterSize != nil || o.ClusterMinSize != nil || o.ClusterStandbySize != nil {
		topology = TopologyActiveActive // only there they mean something
	}
	set(&topology, o.Topology)
	set(&s.DesiredSize, o.ClusterSize)
	s.MinSize = min(s.MinSize, s.DesiredSize) // the operator's default may be of a larger cluster
	set(&s.MinSize, o.ClusterMinSize)
	s.DesiredSize = max(s.DesiredSize, s.MinSize)
	set(&s.StandbySize, o.ClusterStandbySize)
	set(&s.Type, o.ClusterType)
	set(&s.Affinity, o.Affinity)
	set(&s.Sharing, o.Sharing)
	return s.In(topology)
}

func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}
