// Package housekeeping removes what nothing accounts for: instances and ports of ours that no row names, left by a
// crash at the worst moment or by a database that was restored from a backup.
package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"colonnade/internal/compute"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Store is what housekeeping needs of the database.
type Store interface {
	// Subjects lists all amphorae and distributors that are not DELETED.
	Subjects(ctx context.Context) ([]health.Subject, error)
	// ClusterState is asked whether a load balancer still exists; one that is gone is lb.KindNotFound.
	ClusterState(ctx context.Context, lbID string) (lb.ClusterState, error)
}

// Deps is what housekeeping works with.
type Deps struct {
	Store   Store
	Compute compute.Driver
	Network network.Driver
	// Every is the time between two sweeps; MinAge how long something must have been without a row before it goes.
	Every, MinAge time.Duration
	Now           func() time.Time
	Log           *slog.Logger
}

// Defaults of Deps.
const (
	DefaultEvery  = 30 * time.Second
	DefaultMinAge = 2 * time.Minute
	sweepTimeout  = 2 * time.Minute
)

// Role sweeps periodically.
type Role struct {
	Deps
	orphans map[string]time.Time // since when an instance or port has had no row; lost with the process
}

// New makes the housekeeping role.
func New(d Deps) *Role {
	if d.Every <= 0 {
		d.Every = DefaultEvery
	}
	if d.MinAge <= 0 {
		d.MinAge = DefaultMinAge
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
		sweepCtx, cancel := context.WithTimeout(ctx, sweepTimeout)
		if err := r.Sweep(sweepCtx); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "sweep failed", "error", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Sweep looks once, and removes what has been without a row for MinAge. Reality is listed before the rows: a row is
// written before what it names is made, so nothing new can look like an orphan.
func (r *Role) Sweep(ctx context.Context) error {
	instances, err := r.Compute.List(ctx)
	if err != nil {
		return fmt.Errorf("list instances: %w", err)
	}
	ports, err := r.Network.Ports(ctx, "")
	if err != nil {
		return fmt.Errorf("list ports: %w", err)
	}
	subjects, err := r.Store.Subjects(ctx)
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
		if err := r.Compute.Delete(ctx, i.ID); err != nil {
			errs = append(errs, fmt.Errorf("delete orphan instance %s: %w", i.ID, err))
			continue
		}
		r.Log.WarnContext(ctx, "orphan removed", "kind", string(i.Kind), "instance_id", i.ID)
	}
	for _, p := range ports {
		accounted, err := r.accounted(ctx, p, known)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if accounted || !old(p.ID) {
			continue
		}
		if err := r.Network.DeletePort(ctx, p.ID); err != nil {
			errs = append(errs, fmt.Errorf("delete orphan port %s: %w", p.ID, err))
			continue
		}
		r.Log.WarnContext(ctx, "orphan removed", "kind", "port", "port_id", p.ID, "owner_id", p.OwnerID)
	}
	r.orphans = present
	return errors.Join(errs...)
}

// accounted reports whether somebody needs the port. Ports that are not made by us for a load balancer always are.
func (r *Role) accounted(ctx context.Context, p network.Port, known map[string]bool) (bool, error) {
	switch p.Purpose {
	case network.PurposeFrontEnd, network.PurposeBackEnd, network.PurposeManagement:
		return known[p.OwnerID], nil
	case network.PurposeVIP:
		state, err := r.Store.ClusterState(ctx, p.OwnerID)
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
