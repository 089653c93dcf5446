package worker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/compute"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/store"
)

// kind of fault of a driver or an agent.
type kind string

const (
	fails kind = "fails"
	hangs kind = "hangs past its deadline"
	lies  kind = "succeeds and reports failure"
)

var errFault = errors.New("a fault that a test made")

// faults counts the calls of drivers and agents, checks that each has a deadline, and lets one go wrong.
type faults struct {
	t *testing.T

	mu     sync.Mutex
	counts map[string]int
	method string // of the call that goes wrong
	nth    int
	kind   kind
	met    bool
}

// arm begins to count, and lets the nth call of a method go wrong; nothing, with n 0.
func (f *faults) arm(method string, nth int, k kind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts, f.method, f.nth, f.kind, f.met = map[string]int{}, method, nth, k, false
}

func (f *faults) seen() (counts map[string]int, met bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts), f.met
}

// through makes a call, or lets it go wrong.
func through[T any](ctx context.Context, f *faults, method string, call func() (T, error)) (result T, err error) {
	timed(ctx, f.t, method)
	f.mu.Lock()
	var k kind
	if f.counts != nil {
		f.counts[method]++
		if f.method == method && f.counts[method] == f.nth {
			k, f.met = f.kind, true
		}
	}
	f.mu.Unlock()
	switch k {
	case fails:
		return result, errFault
	case hangs:
		<-ctx.Done()
		return result, ctx.Err()
	case lies:
		_, _ = call()
		return result, errFault
	}
	return call()
}

func timed(ctx context.Context, t *testing.T, method string) {
	if _, ok := ctx.Deadline(); !ok {
		t.Errorf("%s is called without a deadline", method)
	}
}

type none struct{}

type faultyAmphorae struct {
	f *faults
	*lab
}

func (d *faultyAmphorae) Status(ctx context.Context, a lb.Amphora) (amphora.Status, error) {
	return through(ctx, d.f, "amphora.Status", func() (amphora.Status, error) { return d.lab.Status(ctx, a) })
}

func (d *faultyAmphorae) PutTable(ctx context.Context, a lb.Amphora, doc amphora.TableDocument) (amphora.Status, error) {
	return through(ctx, d.f, "amphora.PutTable", func() (amphora.Status, error) { return d.lab.PutTable(ctx, a, doc) })
}

func (d *faultyAmphorae) PutDocument(ctx context.Context, a lb.Amphora, doc amphora.Desired) (amphora.Status, error) {
	return through(ctx, d.f, "amphora.PutDocument", func() (amphora.Status, error) { return d.lab.PutDocument(ctx, a, doc) })
}

type faultyDistributors struct {
	f *faults
	dist
}

func (d *faultyDistributors) Status(ctx context.Context, row lb.Distributor) (distributor.Status, error) {
	return through(ctx, d.f, "distributor.Status", func() (distributor.Status, error) { return d.dist.Status(ctx, row) })
}

func (d *faultyDistributors) PlugVIP(ctx context.Context, row lb.Distributor, p distributor.VIPPlug) (distributor.LBStatus, error) {
	return through(ctx, d.f, "distributor.PlugVIP", func() (distributor.LBStatus, error) { return d.dist.PlugVIP(ctx, row, p) })
}

func (d *faultyDistributors) Register(ctx context.Context, row lb.Distributor, r distributor.Registrations) (distributor.LBStatus, error) {
	return through(ctx, d.f, "distributor.Register", func() (distributor.LBStatus, error) { return d.dist.Register(ctx, row, r) })
}

func (d *faultyDistributors) UnplugVIP(ctx context.Context, row lb.Distributor, lbID string, stamp lb.Stamp) error {
	_, err := through(ctx, d.f, "distributor.UnplugVIP", func() (none, error) { return none{}, d.dist.UnplugVIP(ctx, row, lbID, stamp) })
	return err
}

type faultyCompute struct {
	f *faults
	computer
}

func (d *faultyCompute) Ensure(ctx context.Context, s compute.Spec) (compute.Instance, error) {
	return through(ctx, d.f, "compute.Ensure", func() (compute.Instance, error) { return d.computer.Ensure(ctx, s) })
}

func (d *faultyCompute) List(ctx context.Context) ([]compute.Instance, error) {
	return through(ctx, d.f, "compute.List", func() ([]compute.Instance, error) { return d.computer.List(ctx) })
}

func (d *faultyCompute) Delete(ctx context.Context, id string) error {
	_, err := through(ctx, d.f, "compute.Delete", func() (none, error) { return none{}, d.computer.Delete(ctx, id) })
	return err
}

func (d *faultyCompute) Plug(ctx context.Context, id, port string) error {
	_, err := through(ctx, d.f, "compute.Plug", func() (none, error) { return none{}, d.computer.Plug(ctx, id, port) })
	return err
}

func (d *faultyCompute) Unplug(ctx context.Context, id, port string) error {
	_, err := through(ctx, d.f, "compute.Unplug", func() (none, error) { return none{}, d.computer.Unplug(ctx, id, port) })
	return err
}

type faultyNetwork struct {
	f *faults
	netw
}

func (d *faultyNetwork) Subnet(ctx context.Context, id string) (network.Subnet, error) {
	return through(ctx, d.f, "network.Subnet", func() (network.Subnet, error) { return d.netw.Subnet(ctx, id) })
}

func (d *faultyNetwork) EnsurePort(ctx context.Context, s network.PortSpec) (network.Port, error) {
	return through(ctx, d.f, "network.EnsurePort", func() (network.Port, error) { return d.netw.EnsurePort(ctx, s) })
}

func (d *faultyNetwork) Port(ctx context.Context, id string) (network.Port, error) {
	return through(ctx, d.f, "network.Port", func() (network.Port, error) { return d.netw.Port(ctx, id) })
}

func (d *faultyNetwork) DeletePort(ctx context.Context, id string) error {
	_, err := through(ctx, d.f, "network.DeletePort", func() (none, error) { return none{}, d.netw.DeletePort(ctx, id) })
	return err
}

func (d *faultyNetwork) ReleasePort(ctx context.Context, id string) error {
	_, err := through(ctx, d.f, "network.ReleasePort", func() (none, error) { return none{}, d.netw.ReleasePort(ctx, id) })
	return err
}

func (d *faultyNetwork) Ports(ctx context.Context, owner string) ([]network.Port, error) {
	return through(ctx, d.f, "network.Ports", func() ([]network.Port, error) { return d.netw.Ports(ctx, owner) })
}

// timedStore checks that the roles call the store with a deadline.
type timedStore struct {
	*store.Store
	t *testing.T
}

func (s timedStore) Tree(ctx context.Context, id string) (lb.Tree, error) {
	timed(ctx, s.t, "Tree")
	return s.Store.Tree(ctx, id)
}

func (s timedStore) ClusterState(ctx context.Context, id string) (lb.ClusterState, error) {
	timed(ctx, s.t, "ClusterState")
	return s.Store.ClusterState(ctx, id)
}

func (s timedStore) UpdateTree(ctx context.Context, l lb.Lease, change func(*lb.Tree) (lb.Outcome, error)) error {
	timed(ctx, s.t, "UpdateTree")
	return s.Store.UpdateTree(ctx, l, change)
}

func (s timedStore) UpdateCluster(ctx context.Context, l lb.Lease, change func(*lb.ClusterState) (lb.Outcome, error)) error {
	timed(ctx, s.t, "UpdateCluster")
	return s.Store.UpdateCluster(ctx, l, change)
}

func (s timedStore) FinishDelete(ctx context.Context, l lb.Lease) error {
	timed(ctx, s.t, "FinishDelete")
	return s.Store.FinishDelete(ctx, l)
}

func (s timedStore) AssignDistributor(ctx context.Context, l lb.Lease) (lb.Distributor, error) {
	timed(ctx, s.t, "AssignDistributor")
	return s.Store.AssignDistributor(ctx, l)
}

func (s timedStore) Distributor(ctx context.Context, id string) (lb.Distributor, lb.InstanceHealth, []string, error) {
	timed(ctx, s.t, "Distributor")
	return s.Store.Distributor(ctx, id)
}

func (s timedStore) UpdateDistributor(ctx context.Context, l lb.Lease, change func(*lb.Distributor) (lb.Outcome, error)) error {
	timed(ctx, s.t, "UpdateDistributor")
	return s.Store.UpdateDistributor(ctx, l, change)
}

// phases are what may be going on when a call goes wrong. Each begins with a whole load balancer, but for create.
var phases = map[string]func(*lab){
	"create": func(l *lab) { l.create(nil) },
	"change": func(l *lab) {
		l.change(func(tree *lb.Tree) error { return tree.DeleteMember("pool", "m1") }) // the last on its subnet
		l.await(l.whole)
		l.await(func() string { // its ports are taken away after the load balancer is ACTIVE
			if s, err := l.ClusterState(l.t.Context(), "lb1"); err != nil || len(s.Ports) > 0 {
				return fmt.Sprintf("%d back-end ports are left, %v", len(s.Ports), err)
			}
			return ""
		})
	},
	"death of an amphora": func(l *lab) {
		victim := l.holder(1).ID
		l.kill(victim)
		l.await(func() string { return l.without(victim) })
	},
	"planned failover": func(l *lab) {
		victim := l.holder(0).ID
		if err := l.RequestAmphoraFailover(l.t.Context(), victim); err != nil {
			l.t.Fatal(err)
		}
		l.await(func() string { return l.without(victim) })
	},
	"death of the distributor": (*lab).killDistributor,
	"delete": func(l *lab) {
		l.change(func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(true) })
		l.await(l.nothing)
	},
}

func (l *lab) change(f func(*lb.Tree) error) {
	l.t.Helper()
	if _, err := l.ChangeTree(l.t.Context(), "lb1", "ann", f); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) boot(id string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.agents[id].boot
}

// killDistributor kills it and waits until another stands in its place and all is whole.
func (l *lab) killDistributor() {
	s, err := l.ClusterState(l.t.Context(), "lb1")
	if err != nil {
		l.t.Fatal(err)
	}
	boot := l.boot(s.Distributor.ID)
	l.kill(s.Distributor.ID)
	l.await(func() string {
		l.mu.Lock()
		a := l.agents[s.Distributor.ID]
		ok := a != nil && a.boot != boot && a.dist["lb1"] != nil && a.dist["lb1"].TableVersion > 0
		l.mu.Unlock()
		if !ok {
			return "the distributor"
		}
		return l.whole()
	})
}

// without says what is missing for a whole load balancer without one amphora.
func (l *lab) without(id string) string {
	s, err := l.ClusterState(l.t.Context(), "lb1")
	if err != nil {
		return err.Error()
	}
	if slices.ContainsFunc(s.Amphorae, func(a lb.Amphora) bool { return a.ID == id }) {
		return id + " is still there"
	}
	return l.whole()
}

// nothing says what is left on the machine.
func (l *lab) nothing() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.agents) > 0 || len(l.ports) > 0 {
		return fmt.Sprintf("%d instances and %d ports are left", len(l.agents), len(l.ports))
	}
	return ""
}

// tidy says what is there beside what a whole load balancer has.
func (l *lab) tidy() string {
	s, err := l.ClusterState(l.t.Context(), "lb1")
	if err != nil {
		return err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ports := 1 + 1 + 2*len(s.Amphorae) + len(s.Ports); len(l.agents) != len(s.Amphorae)+1 || len(l.ports) != ports {
		return fmt.Sprintf("%d instances for %d amphorae, %d ports instead of %d", len(l.agents), len(s.Amphorae), len(l.ports), ports)
	}
	return ""
}

// TestDriverFaults lets each call of drivers and agents go wrong in each way, and waits for the same end as without.
func TestDriverFaults(t *testing.T) {
	type trial struct {
		phase, method string
		nth           int
		kind          kind
	}
	var trials []trial
	for _, phase := range slices.Sorted(maps.Keys(phases)) {
		l := newLab(t)
		if phase != "create" {
			l.create(nil)
		}
		l.faults.arm("", 0, "")
		phases[phase](l)
		counts, _ := l.faults.seen()
		for _, method := range slices.Sorted(maps.Keys(counts)) {
			for nth := range counts[method] {
				for _, k := range []kind{fails, hangs, lies} {
					trials = append(trials, trial{phase, method, nth + 1, k})
				}
			}
		}
	}
	all := len(trials)
	if os.Getenv("COLONNADE_LONG") == "" {
		seed := uint64(time.Now().Unix() / 86400)
		if text := os.Getenv("COLONNADE_SEED"); text != "" {
			seed, _ = strconv.ParseUint(text, 10, 64)
		}
		rand.New(rand.NewPCG(seed, 0)).Shuffle(all, func(i, j int) { trials[i], trials[j] = trials[j], trials[i] })
		trials = trials[:min(14, all)]
		t.Logf("%d of %d faults, by COLONNADE_SEED=%d", len(trials), all, seed)
	}
	slots := make(chan struct{}, 8) // they mostly wait
	for _, x := range trials {
		t.Run(fmt.Sprintf("%s: call %d of %s %s", x.phase, x.nth, x.method, x.kind), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			l := newLab(t)
			if x.phase != "create" {
				l.create(nil)
			}
			l.faults.arm(x.method, x.nth, x.kind)
			phases[x.phase](l)
			if _, met := l.faults.seen(); !met {
				t.Log("the call was not made this time")
			}
			if x.phase != "delete" {
				l.await(l.tidy)
			}
		})
	}
}
