package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/cert"
	"colonnade/internal/compute"
	"colonnade/internal/crashpoint"
	"colonnade/internal/distributor"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Issuer makes the certificates of agents; *cert.Authority is one.
type Issuer interface {
	Issue(identity cert.Identity, ips []net.IP, validity time.Duration) (cert.Bundle, error)
}

// Deps is what the cluster manager works with.
type Deps struct {
	Store        Store
	Amphorae     AmphoraAgent
	Distributors DistributorAgent
	Compute      compute.Driver
	Network      network.Driver
	Issuer       Issuer
	Certificates CertificateAgent // nil: certificates are not renewed
	// Fleet counts all amphorae for the guard against mass failure; nil switches the guard off.
	Fleet func(ctx context.Context) (Fleet, error)
	// HeartbeatTargets are the addresses of all health roles.
	HeartbeatTargets []string
	Spec             Spec // zero: DefaultSpec of the compute driver's build budget
	// ActTimeout bounds one act on drivers and agents, StoreTimeout one call of the store; zero: the defaults.
	ActTimeout, StoreTimeout time.Duration
	Now                      func() time.Time
	Log                      *slog.Logger
	// Observe is told each step that was made, or failed; nil tells nobody. It may be called from several goroutines.
	Observe func(s Step, err error)
}

func (d Deps) filled() Deps {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Observe == nil {
		d.Observe = func(Step, error) {}
	}
	if d.Spec == (Spec{}) {
		d.Spec = DefaultSpec(d.Compute.BuildBudget())
	}
	if d.Certificates == nil {
		d.Spec.CertificateValidity = 0
	}
	if d.ActTimeout <= 0 {
		d.ActTimeout = actTimeout
	}
	if d.StoreTimeout <= 0 {
		d.StoreTimeout = storeTimeout
	}
	return d
}

// Deadlines of calls to agents. A table is small and pushed to all side by side; a question is asked when something
// is wrong already, and traffic waits for the answer.
const (
	pushTimeout     = time.Second
	askTimeout      = 300 * time.Millisecond
	registerTimeout = 2 * time.Second
	plugTimeout     = 5 * time.Second
	listTimeout     = 2 * time.Second // of all instances, for the second witness
)

// Defaults of Deps. An act holds the lease, and what it does not get done is tried again: a driver that hangs must not
// keep the cluster from its next failure. Nothing in it waits for a boot.
const (
	actTimeout   = 20 * time.Second
	storeTimeout = 10 * time.Second
)

// maxRounds bounds one run; what is left is done by the next. Every round either writes rows or acts, so a plan that
// does not come to rest would show here.
const maxRounds = 40

// refusesAfter is how long a living amphora may fail to take tables.
const refusesAfter = 5 * time.Second

// Actor reconciles clusters: WorkACM in the queue. It is safe for concurrent use on different load balancers.
type Actor struct {
	Deps

	mu sync.Mutex
	// suspects and refusers remember since when, by amphora id. Lost with the process, they only begin again.
	suspects map[string]time.Time
	refusers map[string]time.Time

	renewals renewals
}

// NewActor makes the reconciler of WorkACM.
func NewActor(d Deps) *Actor {
	return &Actor{Deps: d.filled(), suspects: map[string]time.Time{}, refusers: map[string]time.Time{}}
}

// run is one Reconcile: what was learnt and tried under this lease.
type run struct {
	*Actor
	lease  lb.Lease
	failed map[Act]bool
	tables map[string]int64 // versions that amphorae acknowledged in this run
	// distributor is what it answered in this run; nil while only its heartbeats are known.
	distributor *distributor.LBStatus
	asked       map[string]answer
	registered  bool // a table was installed since the questions were asked
	fleet       Fleet
	errs        []error

	mu     sync.Mutex // results of acts that run side by side
	serial int64
}

// Reconcile brings the cluster of one load balancer to where it should be: it looks at everything afresh, plans, acts,
// and plans again until nothing is left.
func (a *Actor) Reconcile(ctx context.Context, lease lb.Lease) (time.Duration, error) {
	r := &run{Actor: a, lease: lease, failed: map[Act]bool{}, tables: map[string]int64{}, asked: map[string]answer{}}
	for round := range maxRounds {
		state, err := r.read(ctx)
		if lb.KindOf(err) == lb.KindNotFound {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if state.LoadBalancer.ProvisioningStatus == lb.Deleted {
			return 0, nil
		}
		if round == 0 {
			r.ask(ctx, state)
		}
		plan, err := MakePlan(a.Spec, r.observe(state), a.Now())
		if err != nil {
			return 0, err
		}
		switch {
		case len(plan.Rows) > 0:
			err = r.write(ctx, plan.Rows)
		case len(plan.Reality) > 0:
			err = r.act(ctx, state, plan.Reality)
		default:
			return plan.Again, errors.Join(r.errs...)
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("reconcile cluster of %s: not at rest after %d rounds", lease.Key, maxRounds)
}

func (r *run) read(ctx context.Context) (lb.ClusterState, error) {
	ctx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
	defer cancel()
	return r.Store.ClusterState(ctx, r.lease.Key)
}

func (r *run) update(ctx context.Context, change func(*lb.ClusterState) (Outcome, error)) error {
	ctx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
	defer cancel()
	return r.Store.UpdateCluster(ctx, r.lease, change)
}

// crash passes one point of each step.
func crash(steps []Step, phase crashpoint.Phase) {
	for _, s := range steps {
		crashpoint.Of("acm", string(s.Name), phase)
	}
}

// write makes the steps in the rows, in one transaction but for the choice of a distributor.
func (r *run) write(ctx context.Context, steps []Step) error {
	var inRows, assign []Step
	for _, s := range steps {
		if s.Name == ActAssign {
			assign = append(assign, s)
			continue
		}
		inRows = append(inRows, s)
	}
	names := Names{ID: uuid.NewString, Key: randomHex}
	if len(inRows) > 0 {
		crash(inRows, crashpoint.Before)
		err := r.update(ctx, func(state *lb.ClusterState) (Outcome, error) {
			var all Outcome
			for _, s := range inRows {
				o, err := Apply(state, s, r.Now(), r.Spec.BootTime, names)
				if err != nil {
					return Outcome{}, err
				}
				all.Wakes, all.Events = append(all.Wakes, o.Wakes...), append(all.Events, o.Events...)
			}
			crash(inRows, crashpoint.Acted)
			return all, nil
		})
		if err != nil {
			return fmt.Errorf("write plan for cluster of %s: %w", r.lease.Key, err)
		}
		crash(inRows, crashpoint.Recorded)
	}
	for _, s := range inRows {
		r.log(ctx, s)
		r.Observe(s, nil)
		if s.Name == ActWakeWorker {
			r.failed[s.Act] = true // done, and nothing in the rows shows it
		}
	}
	if len(assign) > 0 {
		crash(assign, crashpoint.Before)
		ctx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
		defer cancel()
		if _, err := r.Store.AssignDistributor(ctx, r.lease); err != nil {
			return fmt.Errorf("assign distributor to %s: %w", r.lease.Key, err)
		}
		crash(assign, crashpoint.Acted)
		crash(assign, crashpoint.Recorded)
	}
	return nil
}

func (r *run) log(ctx context.Context, s Step) {
	if s.Name == ActSetStatuses || s.Name == ActWakeWorker {
		return
	}
	attrs := []any{"lb_id", r.lease.Key, "step", string(s.Name), "amphora_id", s.AmphoraID, "reason", s.Reason}
	if s.Table != nil {
		attrs = append(attrs, "table_version", s.Table.Version, "change", string(s.Table.Change))
	}
	r.Log.InfoContext(ctx, "cluster step", attrs...)
}

// observe puts together rows, health and what this run has learnt.
func (r *run) observe(state lb.ClusterState) Observed {
	ob := Observed{ClusterState: state, Amphorae: map[string]Facts{}, Failed: r.failed, Fleet: r.fleet}
	ob.Distributor = r.viewDistributor(state)
	silent := map[string]bool{}
	if report, ok := reportOf(state); ok {
		for _, id := range report.Silent {
			silent[id] = true
		}
	}
	if r.distributor != nil {
		for _, id := range r.distributor.Silent {
			silent[id] = true
		}
	}
	in, hasTable, err := DecodeInstall(state.Cluster.Table)
	for _, s := range ob.Distributor.Swaps {
		if err == nil && hasTable && s.Seq > in.TakenSwap {
			silent[s.AmphoraID] = true
		}
	}
	now := r.Now()
	r.Actor.mu.Lock()
	defer r.Actor.mu.Unlock()
	for _, a := range state.Amphorae {
		f := factsOf(a, state.Health[a.ID])
		f.ProbeSilent = silent[a.ID]
		if ans, ok := r.asked[a.ID]; ok {
			f.Asked, f.Reachable, f.Status, f.Gone = true, ans.status != nil, ans.status, ans.gone
			if ans.status != nil {
				f.Table = max(f.Table, ans.status.TableApplied.Revision)
				f.Down = f.Down && ans.status.HAProxy != "up"
			}
			if r.registered {
				f.Status = nil // its count is of before its rows moved
			}
		}
		f.Table, f.RenewAfter = max(f.Table, r.tables[a.ID]), r.renewals.backoff(a.ID)
		if !f.Silent && !f.Down && !f.ProbeSilent && (!f.Asked || f.Reachable) {
			delete(r.suspects, a.ID)
		} else if r.suspects[a.ID].IsZero() {
			r.suspects[a.ID] = now
		}
		f.SuspectSince = r.suspects[a.ID]
		since := r.refusers[a.ID]
		f.Refuses = !since.IsZero() && now.Sub(since) >= refusesAfter
		ob.Amphorae[a.ID] = f
	}
	return ob
}

// factsOf reads what the health role knows of an amphora.
func factsOf(a lb.Amphora, h lb.InstanceHealth) Facts {
	f := Facts{Table: a.AppliedTable, Alive: h.State == lb.HealthAlive, Silent: h.State == lb.HealthSilent, Down: h.State == lb.HealthDown}
	if report, err := health.DecodeAmphoraReport(h.Report); err == nil {
		f.Table = max(f.Table, report.TableApplied.Revision)
	}
	return f
}

// reportOf is what the distributor's last heartbeat said about the load balancer.
func reportOf(state lb.ClusterState) (health.LBReport, bool) {
	if state.Distributor == nil {
		return health.LBReport{}, false
	}
	report, err := health.DecodeDistributorReport(state.Health[state.Distributor.ID].Report)
	if err != nil {
		return health.LBReport{}, false
	}
	one, ok := report.LoadBalancers[state.LoadBalancer.ID]
	return one, ok
}

func (r *run) viewDistributor(state lb.ClusterState) DistributorView {
	d := state.Distributor
	if d == nil {
		return DistributorView{}
	}
	v := DistributorView{Ready: d.Status == lb.AmphoraReady || d.Status == lb.AmphoraAllocated}
	if report, ok := reportOf(state); ok {
		v.Plugged = report.VIPApplied != (lb.Stamp{}) && state.Cluster.DistributorPortID == state.LoadBalancer.VIPPortID
		v.Table, v.Swaps = report.TableVersion, report.Swaps
	}
	if s := r.distributor; s != nil {
		v.Plugged, v.Table, v.Swaps = s.VIPApplied != (lb.Stamp{}), s.TableVersion, s.Swaps
	}
	return v
}

// stamp orders what this lease sends.
func (r *run) stamp(revision int64) lb.Stamp {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serial++
	return lb.Stamp{Epoch: r.lease.Epoch, Revision: revision, Serial: r.serial}
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
