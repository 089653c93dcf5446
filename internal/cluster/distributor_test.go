package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/cluster"
	"colonnade/internal/compute"
	"colonnade/internal/distributor"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// house is where one distributor lives: its row, its instance and what is heard of it.
type house struct {
	now    time.Time
	row    *lb.Distributor // nil: no such row
	health lb.InstanceHealth
	lbs    []string
	// boot is what its agent answers; "" when it does not.
	boot string

	running   bool
	broken    string // why it cannot be built
	ports     []string
	deletes   int
	given     bool // a cluster is given it at the moment it is to go
	readErr   error
	listedErr error
	events    []string
	wakes     []lb.Wake
}

func (h *house) reconciler() *cluster.DistributorReconciler {
	return cluster.NewDistributorReconciler(cluster.Deps{
		Store: houseStore{Store: nil, h: h}, Distributors: houseAgent{h: h}, Compute: houseCompute{h: h}, Network: houseNetwork{h: h}, Issuer: issuer{},
		Now: func() time.Time { return h.now },
	})
}

type houseStore struct {
	cluster.Store
	h *house
}

func (s houseStore) Distributor(context.Context, string) (lb.Distributor, lb.InstanceHealth, []string, error) {
	if s.h.readErr != nil {
		return lb.Distributor{}, lb.InstanceHealth{}, nil, s.h.readErr
	}
	if s.h.row == nil || s.h.row.Status == lb.AmphoraDeleted {
		return lb.Distributor{}, lb.InstanceHealth{}, nil, lb.Faultf(lb.KindNotFound, "no such distributor")
	}
	return *s.h.row, s.h.health, s.h.lbs, nil
}

func (s houseStore) UpdateDistributor(_ context.Context, _ lb.Lease, change func(*lb.Distributor) (lb.Outcome, error)) error {
	row := *s.h.row
	o, err := change(&row)
	if err != nil {
		return err
	}
	if row.Status == lb.AmphoraDeleted && s.h.given {
		s.h.given, s.h.lbs = false, []string{"lb1"}
		return lb.Faultf(lb.KindConflict, "a cluster names it")
	}
	*s.h.row = row
	for _, e := range o.Events {
		s.h.events = append(s.h.events, e.Action)
	}
	s.h.wakes = append(s.h.wakes, o.Wakes...)
	return nil
}

type houseAgent struct {
	cluster.DistributorAgent
	h *house
}

func (a houseAgent) Status(context.Context, lb.Distributor) (distributor.Status, error) {
	if a.h.boot == "" {
		return distributor.Status{}, errors.New("no answer")
	}
	return distributor.Status{BootID: a.h.boot}, nil
}

type houseCompute struct {
	compute.Driver
	h *house
}

func (c houseCompute) Ensure(_ context.Context, s compute.Spec) (compute.Instance, error) {
	if c.h.broken != "" {
		return compute.Instance{State: compute.StateError, Reason: c.h.broken}, nil
	}
	c.h.running = true
	return compute.Instance{ID: s.ID, ComputeID: "i", State: compute.StateRunning}, nil
}

func (c houseCompute) Delete(context.Context, string) error {
	c.h.running, c.h.deletes = false, c.h.deletes+1
	return nil
}
func (c houseCompute) BuildBudget() time.Duration { return 0 }

type houseNetwork struct {
	network.Driver
	h *house
}

func (n houseNetwork) EnsurePort(_ context.Context, s network.PortSpec) (network.Port, error) {
	if !slices.Contains(n.h.ports, s.ID) {
		n.h.ports = append(n.h.ports, s.ID)
	}
	return network.Port{ID: s.ID, Address: "198.18.9.9"}, nil
}

func (n houseNetwork) Ports(context.Context, string) (all []network.Port, err error) {
	for _, id := range n.h.ports {
		all = append(all, network.Port{ID: id})
	}
	return all, n.h.listedErr
}

func (n houseNetwork) DeletePort(_ context.Context, id string) error {
	n.h.ports = slices.DeleteFunc(n.h.ports, func(x string) bool { return x == id })
	return nil
}

func TestDistributor(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	alive := lb.InstanceHealth{State: lb.HealthAlive, BootID: "b1"}
	cases := []struct {
		name    string
		house   house
		status  lb.AmphoraStatus // afterwards
		running bool
		events  []string
		wakes   []lb.Wake
		fails   string
	}{
		{name: "no row, no work", house: house{}},
		{name: "a row that cannot be read is an error", house: house{readErr: errors.New("database away")}, fails: "database away"},
		{
			name: "S37 a new one is built", house: house{row: &lb.Distributor{Status: lb.AmphoraPendingCreate}, lbs: []string{"lb1"}},
			status: lb.AmphoraBooting, running: true, events: []string{"distributor built"},
		},
		{
			name:   "one that cannot be built says why and is tried again",
			house:  house{row: &lb.Distributor{Status: lb.AmphoraPendingCreate}, lbs: []string{"lb1"}, broken: "no room"},
			status: lb.AmphoraPendingCreate, fails: "cannot be built: no room",
		},
		{
			name:   "heard and answering: ready, and its load balancers' managers know",
			house:  house{row: &lb.Distributor{Status: lb.AmphoraBooting, BootDeadline: start.Add(time.Second)}, running: true, lbs: []string{"lb1", "lb2"}, health: alive, boot: "b1"},
			status: lb.AmphoraReady, running: true, events: []string{"distributor ready"},
			wakes: []lb.Wake{{Kind: lb.WorkACM, Key: "lb1"}, {Kind: lb.WorkACM, Key: "lb2"}},
		},
		{
			name:   "the heartbeat of an earlier life does not make it ready",
			house:  house{row: &lb.Distributor{Status: lb.AmphoraBooting, BootDeadline: start.Add(time.Second)}, running: true, lbs: []string{"lb1"}, health: alive, boot: "b2"},
			status: lb.AmphoraBooting, running: true,
		},
		{
			name:   "not heard before its boot deadline: built anew",
			house:  house{row: &lb.Distributor{Status: lb.AmphoraBooting, BootDeadline: start, HeartbeatKey: "k"}, running: true, lbs: []string{"lb1"}},
			status: lb.AmphoraBooting, running: true, events: []string{"distributor replaced", "distributor built"},
		},
		{
			name:   "D7 silent and not answering: built anew",
			house:  house{row: &lb.Distributor{Status: lb.AmphoraReady, HeartbeatKey: "k"}, running: true, lbs: []string{"lb1"}, health: lb.InstanceHealth{State: lb.HealthSilent}},
			status: lb.AmphoraBooting, running: true, events: []string{"distributor replaced", "distributor built"},
		},
		{
			name:   "silent but answering: left alone",
			house:  house{row: &lb.Distributor{Status: lb.AmphoraReady}, running: true, lbs: []string{"lb1"}, health: lb.InstanceHealth{State: lb.HealthSilent}, boot: "b1"},
			status: lb.AmphoraReady, running: true,
		},
		{
			name:   "needed by nobody: gone without a trace",
			house:  house{row: &lb.Distributor{Status: lb.AmphoraReady}, running: true, ports: []string{"p"}},
			status: lb.AmphoraDeleted, events: []string{"distributor to be deleted", "distributor deleted"},
		},
		{
			name:   "needed again at the moment it goes: built anew",
			house:  house{row: &lb.Distributor{Status: lb.AmphoraPendingDelete, HeartbeatKey: "k"}, running: true, given: true},
			status: lb.AmphoraBooting, running: true, events: []string{"distributor replaced", "distributor built"},
		},
		{
			name:   "ports that cannot be listed keep the row",
			house:  house{row: &lb.Distributor{Status: lb.AmphoraPendingDelete}, running: true, ports: []string{"p"}, listedErr: errors.New("network away")},
			status: lb.AmphoraPendingDelete, fails: "network away",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := c.house
			h.now = start
			_, err := h.reconciler().Reconcile(t.Context(), lb.Lease{Kind: lb.WorkDistributor, Key: "d1"})
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("error %v, want %q", err, c.fails)
			}
			if h.row != nil && h.row.Status != c.status {
				t.Errorf("status %s, want %s", h.row.Status, c.status)
			}
			if h.running != c.running {
				t.Errorf("running: %v", h.running)
			}
			if h.row != nil && h.row.Status == lb.AmphoraDeleted && len(h.ports) > 0 {
				t.Errorf("ports %v are left", h.ports)
			}
			if h.broken != "" && !strings.Contains(h.row.StatusReason, h.broken) {
				t.Errorf("reason %q", h.row.StatusReason)
			}
			if d := cmp.Diff(c.events, h.events); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.wakes, h.wakes); d != "" {
				t.Error(d)
			}
		})
	}
}

type fleetStore struct {
	subjects []lb.Subject
	health   []lb.InstanceHealth
	err      error
}

func (s fleetStore) Subjects(context.Context) ([]lb.Subject, error)      { return s.subjects, nil }
func (s fleetStore) Health(context.Context) ([]lb.InstanceHealth, error) { return s.health, s.err }
func (fleetStore) SaveHealth(context.Context, []lb.InstanceHealth, []lb.Wake) error {
	return errors.New("not asked")
}

func (fleetStore) SaveLastSeen(context.Context, []lb.InstanceHealth) error {
	return errors.New("not asked")
}

func (fleetStore) SaveListenerStatistics(context.Context, map[string][]amphora.ListenerStats) error {
	return errors.New("not asked")
}

func report(r health.DistributorReport) string {
	text, _ := json.Marshal(r)
	return string(text)
}

// TestFleet counts whoever any witness speaks against: heartbeats, probes, a swap, being out of service.
func TestFleet(t *testing.T) {
	s := fleetStore{
		subjects: []lb.Subject{
			{ID: "a1", Kind: "amphora", LoadBalancers: []string{"lb1"}},
			{ID: "a2", Kind: "amphora", LoadBalancers: []string{"lb1"}},
			{ID: "a3", Kind: "amphora", LoadBalancers: []string{"lb2"}},
			{ID: "a4", Kind: "amphora", LoadBalancers: []string{"lb2"}},
			{ID: "a5", Kind: "amphora", LoadBalancers: []string{"lb2"}},
			{ID: "a6", Kind: "amphora", LoadBalancers: []string{"lb2"}, OutOfService: true},
			{ID: "a7", Kind: "amphora", LoadBalancers: []string{"lb2"}},
			{ID: "d1", Kind: "distributor", LoadBalancers: []string{"lb1", "lb2"}},
		},
		health: []lb.InstanceHealth{{InstanceID: "a1", State: lb.HealthSilent}, {InstanceID: "a2", State: lb.HealthAlive}, {
			InstanceID: "d1", Kind: "distributor", State: lb.HealthSilent, Report: report(health.DistributorReport{LoadBalancers: map[string]health.LBReport{
				"lb1": {Silent: []string{"a1", "a3"}}, "lb2": {Swaps: []distributor.Swap{{AmphoraID: "a4", StandbyID: "a5"}}},
			}}),
		}, {InstanceID: "d2", Kind: "distributor", Report: "of another version"}},
	}
	got, err := cluster.FleetOf(s)(t.Context())
	if want := (cluster.Fleet{Clusters: 2, Amphorae: 7, Silent: 4}); err != nil || got != want {
		t.Errorf("E24 counted %+v, %v, want %+v", got, err, want)
	}
	s.err = errors.New("database away")
	if _, err := cluster.FleetOf(s)(t.Context()); err == nil {
		t.Error("no error")
	}
}
