// Package housekeeping removes what nothing accounts for: instances and ports of ours that no row names, left by a
// crash at the worst moment or by a database that was restored from a backup; and rows that nobody needs any more.
package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"colonnade/internal/compute"
	"colonnade/internal/crashpoint"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Store is what housekeeping needs of the database.
type Store interface {
	// Subjects lists all amphorae and distributors that are not DELETED.
	Subjects(ctx context.Context) ([]lb.Subject, error)
	// ClusterState is asked whether a load balancer still exists; one that is gone is lb.KindNotFound.
	ClusterState(ctx context.Context, lbID string) (lb.ClusterState, error)
}

// Purger is a Store that can forget.
type Purger interface {
	// Purge removes rows that were DELETED before the given time, with their history, and says how many.
	Purge(ctx context.Context, before time.Time) (int, error)
}

// Deps is what housekeeping works with.
type Deps struct {
	Store   Store
	Compute compute.Driver
	Network network.Driver
	// Every is the time between two sweeps; MinAge how long something must have been without a row before it goes.
	Every, MinAge time.Duration
	// KeepDeleted is how long rows of what was deleted are kept, if the store is a Purger.
	KeepDeleted time.Duration
	// CallTimeout bounds one call: one instance that cannot be removed must not keep the others.
	CallTimeout time.Duration
	Now         func() time.Time
	Log         *slog.Logger
}

// callTimeout is the default of Deps.CallTimeout.
const callTimeout = 20 * time.Second

// purgeEvery is the time between two purges. There is no hurry, and a purge reads much.
const purgeEvery = time.Hour

// Role sweeps periodically.
type Role struct {
	Deps
	orphans map[string]time.Time // since when an instance or port has had no row; lost with the process
	purged  time.Time
}

// New makes the housekeeping role.
func New(d Deps) *Role {
	if d.CallTimeout <= 0 {
		d.CallTimeout = callTimeout
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Role{Deps: d, orphans: map[string]time.Time{}}
}

// Run sweeps until ctx ends and returns nil then.
func (r *Role) Run(ctx context.Context) error {
	t := time.NewTicker(r.Every)
	defer t.Stop()
	for {
		if err := errors.Join(r.Sweep(ctx), r.Purge(ctx)); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "sweep failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// call makes one call with a deadline of its own.
func call[T any](ctx context.Context, r *Role, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, r.CallTimeout)
	defer cancel()
	return f(ctx)
}

// Purge forgets, now and then, what was deleted long ago.
func (r *Role) Purge(ctx context.Context) error {
	p, ok := r.Store.(Purger)
	now := r.Now()
	if !ok || now.Sub(r.purged) < purgeEvery {
		return nil
	}
	crashpoint.At("housekeeping.purge.before")
	n, err := call(ctx, r, func(ctx context.Context) (int, error) { return p.Purge(ctx, now.Add(-r.KeepDeleted)) })
	if err != nil {
		return fmt.Errorf("purge deleted rows: %w", err)
	}
	crashpoint.At("housekeeping.purge.acted")
	r.purged = now
	if n > 0 {
		r.Log.InfoContext(ctx, "deleted rows purged", "rows", n)
	}
	return nil
}

// Sweep looks once, and removes what has been without a row for MinAge. Reality is listed before the rows: a row is
// written before what it names is made, so nothing new can look like an orphan. The VIP's port alone is made before its
// row; MinAge is longer than that request can take.
func (r *Role) Sweep(ctx context.Context) error {
	instances, err := call(ctx, r, r.Compute.List)
	if err != nil {
		return fmt.Errorf("list instances: %w", err)
	}
	ports, err := call(ctx, r, func(ctx context.Context) ([]network.Port, error) { return r.Network.Ports(ctx, "") })
	if err != nil {
		return fmt.Errorf("list ports: %w", err)
	}
	subjects, err := call(ctx, r, r.Store.Subjects)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, s := range subjects {
		known[s.ID] = true
	}
	now := r.Now()
	present := map[string]time.Time{}
	old := func(id string) bool { // notes an orphan and says whether it has been one for long enough
		since, ok := r.orphans[id]
		if !ok {
			since = now
		}
		present[id] = since
		return now.Sub(since) >= r.MinAge
	}
	var errs []error
	for _, i := range instances {
		if known[i.ID] || !old(i.ID) {
			continue
		}
		if err := r.removeInstance(ctx, i); err != nil {
			errs = append(errs, err)
		}
	}
	for _, p := range ports {
		accounted, err := r.accounted(ctx, p, known)
		if err != nil {
			errs = append(errs, err)
			if since, ok := r.orphans[p.ID]; ok {
				present[p.ID] = since // not known today; it does not become younger by that
			}
			continue
		}
		if accounted || !old(p.ID) {
			continue
		}
		if err := r.removePort(ctx, p); err != nil {
			errs = append(errs, err)
		}
	}
	r.orphans = present
	return errors.Join(errs...)
}

func (r *Role) removeInstance(ctx context.Context, i compute.Instance) error {
	crashpoint.At("housekeeping.remove-instance.before")
	ctx, cancel := context.WithTimeout(ctx, r.CallTimeout)
	defer cancel()
	if err := r.Compute.Delete(ctx, i.ID); err != nil {
		return fmt.Errorf("delete orphan instance %s: %w", i.ID, err)
	}
	crashpoint.At("housekeeping.remove-instance.acted")
	r.Log.WarnContext(ctx, "orphan removed", "kind", string(i.Kind), "instance_id", i.ID)
	return nil
}

func (r *Role) removePort(ctx context.Context, p network.Port) error {
	crashpoint.At("housekeeping.remove-port.before")
	ctx, cancel := context.WithTimeout(ctx, r.CallTimeout)
	defer cancel()
	if err := r.Network.ReleasePort(ctx, p.ID); err != nil { // a tenant's own port stays theirs
		return fmt.Errorf("delete orphan port %s: %w", p.ID, err)
	}
	crashpoint.At("housekeeping.remove-port.acted")
	r.Log.WarnContext(ctx, "orphan removed", "kind", "port", "port_id", p.ID, "owner_id", p.OwnerID)
	return nil
}

// accounted reports whether somebody needs the port. Ports that are not made by us for a load balancer always are.
func (r *Role) accounted(ctx context.Context, p network.Port, known map[string]bool) (bool, error) {
	switch p.Purpose {
	case network.PurposeFrontEnd, network.PurposeBackEnd, network.PurposeManagement:
		return known[p.OwnerID], nil
	case network.PurposeVIP:
		state, err := call(ctx, r, func(ctx context.Context) (lb.ClusterState, error) { return r.Store.ClusterState(ctx, p.OwnerID) })
		if lb.KindOf(err) == lb.KindNotFound {
			return false, nil
		}
		if err != nil {
			return true, err
		}
		return state.LoadBalancer.ProvisioningStatus != lb.Deleted, nil
	}
	return true, nil
}
