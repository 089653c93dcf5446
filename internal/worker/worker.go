package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"colonnade/internal/compute"
	"colonnade/internal/crashpoint"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Deps is what the worker works with.
type Deps struct {
	Store    Store
	Amphorae AmphoraAgent
	Compute  compute.Driver
	Network  network.Driver
	Settings Settings
	Secrets  Secrets // nil: nobody has any, and amphorae need none
	// PortTimeout bounds the work on the ports of one load balancer, StoreTimeout one call of the store; zero: the defaults.
	PortTimeout, StoreTimeout time.Duration

	Now func() time.Time
	Log *slog.Logger
}

// Defaults of Deps. What is not done in time is tried again; the lease is free for the cluster manager meanwhile.
const (
	portTimeout  = 20 * time.Second
	storeTimeout = 10 * time.Second
)

// step names what the worker does.
type step string

// Steps of the worker.
const (
	stepPorts     step = "plug ports"    // of member subnets, into every amphora
	stepDocument  step = "put document"  // on one amphora; recorded for all together
	stepSettle    step = "settle"        // statuses
	stepDropPorts step = "drop ports"    // that no member needs any more
	stepFinish    step = "finish delete" // the VIP's port, and the rows
)

func crash(s step, phase crashpoint.Phase) { crashpoint.Of("worker", string(s), phase) }

// pendingLimit is how long a load balancer may be PENDING_* beyond the compute driver's build budget (T11).
const pendingLimit = time.Minute

// applyWithin is how long an amphora may fail to apply what others applied, before it is taken out of service.
const applyWithin = 5 * time.Second

// retryLook is when amphorae that did not apply are tried again; the lease is free for the cluster manager meanwhile.
const retryLook = 250 * time.Millisecond

// waitLook is the net under lost wakes while a load balancer is pending.
const waitLook = 2 * time.Second

// Worker reconciles load balancers: WorkWorker in the queue. It is safe for concurrent use on different ones.
type Worker struct {
	Deps

	mu sync.Mutex
	// failing remembers since when an amphora has not applied, by amphora id; lost with the process, it begins again.
	failing map[string]time.Time
}

// New makes the reconciler of WorkWorker.
func New(d Deps) *Worker {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.PortTimeout <= 0 {
		d.PortTimeout = portTimeout
	}
	if d.StoreTimeout <= 0 {
		d.StoreTimeout = storeTimeout
	}
	return &Worker{Deps: d, failing: map[string]time.Time{}}
}

// run is one Reconcile.
type run struct {
	*Worker
	lease  lb.Lease
	tree   lb.Tree
	state  lb.ClusterState
	failed map[string]string // children at fault -> reason
	// refused is why the document as a whole is at fault.
	refused string

	mu      sync.Mutex
	serial  int64
	plugged []lb.AmphoraPort // back-end ports that amphorae were given in this run
}

// Reconcile makes the amphorae of one load balancer run its present revision and writes what it observed.
func (w *Worker) Reconcile(ctx context.Context, lease lb.Lease) (time.Duration, error) {
	r := &run{Worker: w, lease: lease, failed: map[string]string{}}
	err := r.read(ctx)
	if lb.KindOf(err) == lb.KindNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	l := r.tree.LoadBalancer
	if l.ProvisioningStatus == lb.Deleted {
		return 0, nil
	}
	if l.ProvisioningStatus == lb.PendingDelete || r.state.Cluster.ProvisioningStatus == lb.PendingDelete {
		return r.remove(ctx)
	}
	behind, applyErr := r.apply(ctx)
	if errors.Is(applyErr, lb.ErrFenced) {
		return 0, applyErr
	}
	again, err := r.settle(ctx, behind, applyErr)
	if err != nil {
		return 0, errors.Join(applyErr, err)
	}
	return again, applyErr
}

func (r *run) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
	defer cancel()
	var err error
	if r.tree, err = r.Store.Tree(ctx, r.lease.Key); err != nil {
		return err
	}
	r.state, err = r.Store.ClusterState(ctx, r.lease.Key)
	return err
}

// settle ends what is pending if it has come true or can not, and writes the operating statuses.
func (r *run) settle(ctx context.Context, behind bool, cause error) (time.Duration, error) {
	l := r.tree.LoadBalancer
	pending := l.ProvisioningStatus.Pending()
	set := lb.Settlement{Revision: l.Revision, Failed: r.failed}
	again := time.Duration(0)
	settle := false
	switch {
	case r.refused != "":
		settle, set.LoadBalancerFailed = pending, r.refused
	case r.done(behind):
		settle = pending || l.ProvisioningStatus == lb.Error || len(r.failed) > 0 || r.childPending()
	case pending && !l.PendingSince.IsZero() && r.Now().Sub(l.PendingSince) >= r.deadline():
		settle, set.LoadBalancerFailed = true, r.lateReason(cause)
	case pending:
		again = waitLook
	}
	if behind {
		again = retryLook
	}
	view := viewOf(r.state)
	change := func(t *lb.Tree) {
		if t.LoadBalancer.Revision == l.Revision {
			// At once, though the rest may be pending for long: the next run has to leave them out too.
			leaveOut(t, r.failed)
		}
		if settle {
			t.Settle(set)
		}
		Operate(t, view)
		if cause != nil && t.LoadBalancer.ProvisioningStatus.Pending() {
			t.LoadBalancer.StatusReason = "being tried again: " + cause.Error()
		}
	}
	after := r.tree.Clone()
	change(&after)
	if reflect.DeepEqual(after, r.tree) {
		return again, nil
	}
	err := r.writeTree(ctx, func(t *lb.Tree) (lb.Outcome, error) {
		before := t.LoadBalancer.ProvisioningStatus
		change(t)
		now := t.LoadBalancer
		var o lb.Outcome
		if now.ProvisioningStatus != before {
			o.Events = append(o.Events, lb.Event{
				At: r.Now(), LoadBalancerID: now.ID, ObjectID: now.ID, Actor: "worker", Action: "load balancer " + string(now.ProvisioningStatus), Reason: now.StatusReason,
			})
			r.Log.InfoContext(ctx, "load balancer settled", "lb_id", now.ID, "revision", now.Revision, "status", string(now.ProvisioningStatus), "reason", now.StatusReason)
		}
		for id, why := range r.failed {
			o.Events = append(o.Events, lb.Event{At: r.Now(), LoadBalancerID: now.ID, ObjectID: id, Actor: "worker", Action: "left out", Reason: why})
		}
		return o, nil
	})
	if err != nil {
		return 0, fmt.Errorf("write statuses of load balancer %s: %w", l.ID, err)
	}
	return again, nil
}

// writeTree writes statuses.
func (r *run) writeTree(ctx context.Context, change func(*lb.Tree) (lb.Outcome, error)) error {
	ctx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
	defer cancel()
	crash(stepSettle, crashpoint.Before)
	err := r.Store.UpdateTree(ctx, r.lease, func(t *lb.Tree) (lb.Outcome, error) {
		o, err := change(t)
		crash(stepSettle, crashpoint.Acted)
		return o, err
	})
	if err == nil {
		crash(stepSettle, crashpoint.Recorded)
	}
	return err
}

// writeCluster writes what was done to the cluster's amphorae.
func (r *run) writeCluster(ctx context.Context, change func(*lb.ClusterState) (lb.Outcome, error)) error {
	ctx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
	defer cancel()
	return r.Store.UpdateCluster(ctx, r.lease, change)
}

// leaveOut marks children at fault.
func leaveOut(t *lb.Tree, failed map[string]string) {
	mark := func(id string, s *lb.ProvisioningStatus, reason *string) {
		if why, ok := failed[id]; ok && *s != lb.PendingDelete {
			*s, *reason = lb.Error, why
		}
	}
	for i := range t.Listeners {
		l := &t.Listeners[i]
		mark(l.ID, &l.ProvisioningStatus, &l.StatusReason)
	}
	for i := range t.Pools {
		p := &t.Pools[i]
		mark(p.ID, &p.ProvisioningStatus, &p.StatusReason)
		if h := p.HealthMonitor; h != nil {
			mark(h.ID, &h.ProvisioningStatus, &h.StatusReason)
		}
		for j := range p.Members {
			m := &p.Members[j]
			mark(m.ID, &m.ProvisioningStatus, &m.StatusReason)
		}
	}
}

// done reports whether the load balancer's present revision has come true: enough amphorae serve it (create), or every
// serving one and every standby does, and no planned failover is under way.
func (r *run) done(behind bool) bool {
	l, c := r.tree.LoadBalancer, r.state.Cluster
	if c.ProvisioningStatus != lb.Active {
		return false
	}
	serving := 0
	for _, a := range r.state.Amphorae {
		if serves(a) && a.AppliedRevision >= l.Revision {
			serving++
		}
	}
	if serving < max(c.MinSize, 1) {
		return false
	}
	return l.ProvisioningStatus == lb.PendingCreate || !behind && !failingOver(r.state)
}

// failingOver reports whether a planned failover has not replaced everybody yet. Draining is no part of it: nothing
// waits for connections to end.
func failingOver(s lb.ClusterState) bool {
	return !s.Cluster.FailoverRequestedAt.IsZero() || slices.ContainsFunc(s.Amphorae, func(a lb.Amphora) bool {
		return !a.FailoverRequestedAt.IsZero() && a.DrainingSince.IsZero() && !a.OutOfService && a.Status == lb.AmphoraAllocated
	})
}

func (r *run) childPending() bool {
	for _, l := range r.tree.Listeners {
		if l.ProvisioningStatus.Pending() {
			return true
		}
	}
	for _, p := range r.tree.Pools {
		if p.ProvisioningStatus.Pending() || p.HealthMonitor != nil && p.HealthMonitor.ProvisioningStatus.Pending() ||
			slices.ContainsFunc(p.Members, func(m lb.Member) bool { return m.ProvisioningStatus.Pending() }) {
			return true
		}
	}
	return false
}

func (r *run) deadline() time.Duration { return pendingLimit + r.Compute.BuildBudget() }

func (r *run) lateReason(cause error) string {
	text := fmt.Sprintf("not done within %s", r.deadline())
	if cause != nil {
		return text + ": " + cause.Error()
	}
	for _, a := range r.state.Amphorae {
		if a.StatusReason != "" {
			return text + ": amphora " + a.ID + ": " + a.StatusReason
		}
	}
	if d := r.state.Distributor; d != nil && d.StatusReason != "" {
		return text + ": distributor " + d.ID + ": " + d.StatusReason
	}
	return text
}

// remove ends the load balancer once its cluster manager has taken everything down.
func (r *run) remove(ctx context.Context) (time.Duration, error) {
	l := r.tree.LoadBalancer
	if len(r.state.Amphorae) > 0 || r.state.Cluster.DistributorID != "" {
		late := l.ProvisioningStatus == lb.PendingDelete && !l.PendingSince.IsZero() && r.Now().Sub(l.PendingSince) >= r.deadline()
		if !late {
			return waitLook, nil // the cluster manager wakes us before
		}
		// It goes on taking down; the status only stops promising.
		err := r.writeTree(ctx, func(t *lb.Tree) (lb.Outcome, error) {
			t.Settle(lb.Settlement{Revision: t.LoadBalancer.Revision, LoadBalancerFailed: r.lateReason(nil)})
			return lb.Outcome{}, nil
		})
		return waitLook, err
	}
	crash(stepFinish, crashpoint.Before)
	for _, id := range l.VIPPorts() {
		portCtx, cancel := context.WithTimeout(ctx, r.PortTimeout)
		err := r.Network.ReleasePort(portCtx, id)
		cancel()
		if err != nil {
			return 0, fmt.Errorf("release port of a VIP: %w", err)
		}
	}
	crash(stepFinish, crashpoint.Acted)
	storeCtx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
	defer cancel()
	if err := r.Store.FinishDelete(storeCtx, r.lease); err != nil {
		return 0, err
	}
	crash(stepFinish, crashpoint.Recorded)
	r.Log.InfoContext(ctx, "load balancer deleted", "lb_id", l.ID)
	return 0, nil
}
