package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/distributor"
	"colonnade/internal/traffic"
)

// Ports of a Service.
const (
	WebPort  = 80
	EchoPort = 7000
)

// Service is a complete load balancer in front of two members, which serve web requests and echo lines.
type Service struct {
	stage *Stage
	ID    string
	VIP   netip.Addr

	// Flavor is the id of the flavor to create it with; "" is none.
	Flavor string

	FrontEnd, BackEnd wire.Network
	Members           []*Machine
	// Asked is when the POST of the load balancer was sent.
	Asked time.Time
}

// Stage is where it plays.
func (s *Service) Stage() *Stage { return s.stage }

// Web and Echo are where clients go.
func (s *Service) Web() string  { return fmt.Sprintf("http://%s/", netip.AddrPortFrom(s.VIP, WebPort)) }
func (s *Service) Echo() string { return netip.AddrPortFrom(s.VIP, EchoPort).String() } //nolint:revive // documented above

// Tenancy makes the networks and members of one tenant; the third octet of both networks follows from number (0…60).
// Members serve until ctx ends.
func (s *Stage) Tenancy(ctx context.Context, name string, number int) (*Service, error) {
	sv := &Service{stage: s}
	var err error
	if sv.FrontEnd, err = s.Network(ctx, name+"-front", fmt.Sprintf("198.18.%d.0/24", 2*number)); err != nil {
		return nil, err
	}
	if sv.BackEnd, err = s.Network(ctx, name+"-back", fmt.Sprintf("198.18.%d.0/24", 2*number+1)); err != nil {
		return nil, err
	}
	for i := range 2 {
		m, err := s.Tenant(ctx, name+"-web"+strconv.Itoa(i+1), sv.BackEnd)
		if err != nil {
			return nil, err
		}
		if err := s.serve(ctx, m); err != nil {
			return nil, err
		}
		sv.Members = append(sv.Members, m)
	}
	return sv, nil
}

// serve starts a member's two servers. They end with ctx; errors after that are of no interest, and one before shows
// as a member that does not answer.
func (s *Stage) serve(ctx context.Context, m *Machine) error {
	web, err := m.Listen(ctx, WebPort)
	if err != nil {
		return fmt.Errorf("serve web on %s: %w", m.Name, err)
	}
	echo, err := m.Listen(ctx, EchoPort)
	if err != nil {
		return fmt.Errorf("serve echo on %s: %w", m.Name, err)
	}
	go func() { _ = traffic.ServeWeb(ctx, web, m.Name) }()
	go func() { _ = traffic.ServeEcho(ctx, echo) }()
	return nil
}

// Create asks for the load balancer, whole in one call, and returns as soon as the API accepted it.
func (s *Service) Create(ctx context.Context, name string) error {
	s.Asked = time.Now()
	in := wire.LoadBalancerCreate{
		Name: wire.Some(name), VIPSubnetID: wire.Some(s.FrontEnd.Subnets[0].ID),
		Listeners: wire.Some([]wire.ListenerCreate{
			s.listener("web", "HTTP", WebPort, &wire.HealthMonitorCreate{
				Type: wire.Some("HTTP"), Delay: wire.Some(1), Timeout: wire.Some(1), MaxRetries: wire.Some(1),
			}),
			s.listener("echo", "TCP", EchoPort, nil),
		}),
	}
	if s.Flavor != "" {
		in.FlavorID = wire.Some(s.Flavor)
	}
	tree, err := s.stage.client.CreateTree(ctx, in)
	if err != nil {
		return fmt.Errorf("create load balancer: %w", err)
	}
	s.ID = tree.ID
	s.VIP, err = netip.ParseAddr(tree.VIPAddress)
	return err
}

func (s *Service) listener(name, protocol string, port int, monitor *wire.HealthMonitorCreate) wire.ListenerCreate {
	pool := wire.PoolCreate{
		Protocol: wire.Some(protocol), LBAlgorithm: wire.Some("ROUND_ROBIN"),
		PoolFields: wire.PoolFields{Name: wire.Some(name)},
	}
	if monitor != nil {
		pool.HealthMonitor = wire.Some(*monitor)
	}
	var members []wire.MemberCreate
	for _, m := range s.Members {
		members = append(members, wire.MemberCreate{
			Address: wire.Some(m.Address.String()), ProtocolPort: wire.Some(port), SubnetID: wire.Some(s.BackEnd.Subnets[0].ID),
			MemberFields: wire.MemberFields{Name: wire.Some(m.Name)},
		})
	}
	pool.Members = wire.Some(members)
	l := wire.ListenerCreate{Protocol: wire.Some(protocol), ProtocolPort: wire.Some(port), DefaultPool: wire.Some(pool)}
	l.Name = wire.Some(name)
	if protocol == "HTTP" {
		l.InsertHeaders = wire.Some(map[string]string{"X-Forwarded-For": "true"})
	}
	return l
}

// FirstAnswer sends requests, one every few milliseconds and each on a connection of its own, until one is answered.
// Those that meet nobody are given up after a moment, so that they do not pile up.
func (s *Service) FirstAnswer(ctx context.Context, from *Machine) (traffic.Request, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first := make(chan traffic.Request, 1)
	dial := func(ctx context.Context, source netip.Addr, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		return from.Dial(ctx, source, addr)
	}
	go traffic.Stream(ctx, dial, from.Sources, s.Web(), 5*time.Millisecond, func(r traffic.Request) {
		if r.Failure == "" {
			select {
			case first <- r:
			default:
			}
		}
	})
	select {
	case r := <-first:
		return r, nil
	case <-ctx.Done():
		return traffic.Request{}, fmt.Errorf("no answer through %s: %w", s.VIP, ctx.Err())
	}
}

// View is a cluster as the API shows it.
type View struct {
	Cluster  wire.Cluster
	Table    distributor.Table
	Amphorae []wire.Amphora
}

// View reads the cluster.
func (s *Service) View(ctx context.Context) (View, error) {
	var v View
	filter := map[string][]string{"loadbalancer_id": {s.ID}}
	clusters, err := s.stage.client.Clusters().List(ctx, filter)
	if err != nil {
		return v, err
	}
	if len(clusters) != 1 {
		return v, fmt.Errorf("load balancer %s has %d clusters", s.ID, len(clusters))
	}
	v.Cluster = clusters[0]
	if len(v.Cluster.Table) > 0 && string(v.Cluster.Table) != "null" {
		if err := json.Unmarshal(v.Cluster.Table, &v.Table); err != nil {
			return v, fmt.Errorf("read table of load balancer %s: %w", s.ID, err)
		}
	}
	v.Amphorae, err = s.stage.client.Amphorae().List(ctx, map[string][]string{"loadbalancer_id": {s.ID}})
	return v, err
}

// At returns the amphora at a position.
func (v View) At(position int) (wire.Amphora, bool) {
	for _, a := range v.Amphorae {
		if a.Position != nil && *a.Position == position {
			return a, true
		}
	}
	return wire.Amphora{}, false
}

// Whole reports whether every position is held, the standbys are ready and nothing is on its way.
func (v View) Whole() bool {
	if v.Cluster.OperatingStatus != "ONLINE" || v.Cluster.ProvisioningStatus != "ACTIVE" ||
		v.Cluster.StandbyReady != v.Cluster.StandbySize || len(v.Amphorae) != v.Cluster.DesiredSize+v.Cluster.StandbySize {
		return false
	}
	for _, a := range v.Amphorae {
		if a.Status != "ALLOCATED" || a.DrainingSince != nil || a.OutOfService {
			return false
		}
	}
	return true
}

// WaitWhole waits until the cluster is whole and, unless without is "", has no amphora of that id any more.
func (s *Service) WaitWhole(ctx context.Context, without string) (View, error) {
	for {
		v, err := s.View(ctx)
		if err == nil && v.Whole() && !v.has(without) {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return v, fmt.Errorf("cluster of load balancer %s is not whole: %w: %s, standby_ready %d, amphorae %s (%w)", s.ID,
				ctx.Err(), v.Cluster.OperatingStatus, v.Cluster.StandbyReady, v.summary(), err)
		case <-time.After(pollEvery):
		}
	}
}

func (v View) has(id string) bool {
	for _, a := range v.Amphorae {
		if id != "" && a.ID == id {
			return true
		}
	}
	return false
}

func (v View) summary() string {
	out := ""
	for _, a := range v.Amphorae {
		position := "-"
		if a.Position != nil {
			position = strconv.Itoa(*a.Position)
		}
		out += fmt.Sprintf("[%s %s %s at %s draining=%v out=%v rev=%d table=%d %s]", a.ID[:8], a.Status, a.Role, position,
			a.DrainingSince != nil, a.OutOfService, a.AppliedRevision, a.AppliedTable, a.StatusReason)
	}
	return out
}
