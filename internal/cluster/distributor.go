package cluster

import (
	"context"
	"fmt"
	"time"

	"colonnade/internal/cert"
	"colonnade/internal/compute"
	"colonnade/internal/crashpoint"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// distributorLook is when a distributor that boots, or whose death is not certain yet, is looked at again.
const distributorLook = time.Second

// distributorStep names what is done to a distributor.
type distributorStep string

// Steps of a distributor. All but build, delete and renew change its row only.
const (
	distributorBuild   distributorStep = "build"
	distributorReady   distributorStep = "mark ready"
	distributorReplace distributorStep = "replace" // to be built anew under its own id
	distributorRetire  distributorStep = "retire"
	distributorDelete  distributorStep = "delete"
	distributorRenew   distributorStep = "renew certificate"
)

// DistributorReconciler builds, heals and removes distributors: WorkDistributor in the queue.
type DistributorReconciler struct {
	Deps

	renewals renewals
}

// NewDistributorReconciler makes the reconciler of WorkDistributor.
func NewDistributorReconciler(d Deps) *DistributorReconciler {
	return &DistributorReconciler{Deps: d.filled()}
}

// Reconcile brings one distributor to where it should be: running while a cluster names it, else gone. A dead one is
// rebuilt under its own id; its load balancers' managers then plug and register again.
func (r *DistributorReconciler) Reconcile(ctx context.Context, lease lb.Lease) (time.Duration, error) {
	for range maxRounds {
		d, h, lbs, err := r.read(ctx, lease)
		if lb.KindOf(err) == lb.KindNotFound {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		again, done, err := r.step(ctx, lease, d, h, lbs)
		if err != nil || done {
			return again, err
		}
	}
	return 0, fmt.Errorf("reconcile distributor %s: not at rest after %d rounds", lease.Key, maxRounds)
}

func (r *DistributorReconciler) read(ctx context.Context, lease lb.Lease) (lb.Distributor, lb.InstanceHealth, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
	defer cancel()
	return r.Store.Distributor(ctx, lease.Key)
}

// step does the next thing; done when there is nothing more to do now.
func (r *DistributorReconciler) step(ctx context.Context, lease lb.Lease, d lb.Distributor, h lb.InstanceHealth, lbs []string) (again time.Duration, done bool, err error) {
	now := r.Now()
	switch {
	case d.Status == lb.AmphoraPendingDelete:
		return 0, false, r.remove(ctx, lease, d)
	case len(lbs) == 0:
		// Marked first: from now on no cluster is given this distributor, so none can come between.
		return 0, false, r.row(ctx, lease, d, distributorRetire, "distributor to be deleted", "no cluster needs it", nil, func(d *lb.Distributor) {
			d.Status = lb.AmphoraPendingDelete
		})
	case d.Status == lb.AmphoraPendingCreate:
		return 0, false, r.build(ctx, lease, d)
	case d.Status == lb.AmphoraBooting:
		if st, ok := r.ask(ctx, d); ok && h.State == lb.HealthAlive && (h.BootID == "" || h.BootID == st.BootID) {
			wakes := make([]lb.Wake, 0, len(lbs))
			for _, id := range lbs {
				wakes = append(wakes, lb.Wake{Kind: lb.WorkACM, Key: id})
			}
			return 0, false, r.row(ctx, lease, d, distributorReady, "distributor ready", "", wakes, func(d *lb.Distributor) {
				d.Status, d.StatusReason, d.BootDeadline = lb.AmphoraReady, "", time.Time{}
			})
		}
		if !d.BootDeadline.After(now) {
			return 0, false, r.rebuild(ctx, lease, d, "not heard before its boot deadline")
		}
		return min(distributorLook, d.BootDeadline.Sub(now)), true, nil // the health role wakes us before
	case h.State == lb.HealthSilent:
		if _, ok := r.ask(ctx, d); ok {
			return distributorLook, true, nil // alive: only its heartbeats are lost
		}
		return 0, false, r.rebuild(ctx, lease, d, "heartbeats stopped and it does not answer")
	}
	again, err = r.renew(ctx, lease, d)
	return again, true, err
}

func (r *DistributorReconciler) ask(ctx context.Context, d lb.Distributor) (distributor.Status, bool) {
	askCtx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	st, err := r.Distributors.Status(askCtx, d)
	return st, err == nil
}

// rebuild is written before anything is taken down, so that a crash in the middle ends with a distributor all the same.
func (r *DistributorReconciler) rebuild(ctx context.Context, lease lb.Lease, d lb.Distributor, why string) error {
	return r.row(ctx, lease, d, distributorReplace, "distributor replaced", why, nil, func(d *lb.Distributor) {
		d.Status, d.StatusReason, d.BootDeadline = lb.AmphoraPendingCreate, why, time.Time{}
	})
}

// build makes the instance anew: what is left of an earlier one, or of a try that was cut off, is fenced first.
func (r *DistributorReconciler) build(ctx context.Context, lease lb.Lease, d lb.Distributor) error {
	crashpoint.Of("distributor", string(distributorBuild), crashpoint.Before)
	actCtx, cancel := context.WithTimeout(ctx, r.ActTimeout)
	defer cancel()
	if err := r.Compute.Delete(actCtx, d.ID); err != nil {
		return fmt.Errorf("build distributor %s: %w", d.ID, err)
	}
	crashpoint.At("distributor.build.fenced")
	management, err := r.Network.EnsurePort(actCtx, network.PortSpec{
		ID: PortID(d.ID, network.PurposeManagement), Purpose: network.PurposeManagement, OwnerID: d.ID, ProjectID: d.ProjectID,
	})
	if err != nil {
		return fmt.Errorf("build distributor %s: %w", d.ID, err)
	}
	crashpoint.At("distributor.build.port")
	spec, notAfter, err := instance(r.Deps, cert.RoleDistributor, d.ID, d.HeartbeatKey, management)
	if err != nil {
		return fmt.Errorf("build distributor %s: %w", d.ID, err)
	}
	made, err := r.Compute.Ensure(actCtx, spec)
	if err == nil && made.State == compute.StateError {
		err = fmt.Errorf("cannot be built: %s", made.Reason)
	}
	if err != nil {
		why := err
		_ = r.set(ctx, lease, d, "", "", nil, func(d *lb.Distributor) { d.StatusReason = why.Error() }) // only to be seen; the error is returned
		return fmt.Errorf("build distributor %s: %w", d.ID, err)
	}
	crashpoint.Of("distributor", string(distributorBuild), crashpoint.Acted)
	err = r.set(ctx, lease, d, "distributor built", d.StatusReason, nil, func(d *lb.Distributor) {
		d.Status, d.ComputeID, d.ManagementIP = lb.AmphoraBooting, made.ComputeID, management.Address
		d.CertExpiration, d.BootDeadline = notAfter, r.Now().Add(r.Spec.BootTime)
	})
	if err == nil {
		crashpoint.Of("distributor", string(distributorBuild), crashpoint.Recorded)
	}
	return err
}

func (r *DistributorReconciler) remove(ctx context.Context, lease lb.Lease, d lb.Distributor) error {
	crashpoint.Of("distributor", string(distributorDelete), crashpoint.Before)
	actCtx, cancel := context.WithTimeout(ctx, r.ActTimeout)
	defer cancel()
	if err := r.Compute.Delete(actCtx, d.ID); err != nil {
		return fmt.Errorf("delete distributor %s: %w", d.ID, err)
	}
	crashpoint.At("distributor.delete.fenced")
	if err := deletePorts(actCtx, r.Network, d.ID); err != nil {
		return fmt.Errorf("delete distributor %s: %w", d.ID, err)
	}
	crashpoint.Of("distributor", string(distributorDelete), crashpoint.Acted)
	r.renewals.forget(d.ID)
	err := r.set(ctx, lease, d, "distributor deleted", d.StatusReason, nil, func(d *lb.Distributor) { d.Status = lb.AmphoraDeleted })
	if lb.KindOf(err) == lb.KindConflict {
		// A cluster was given it before it was marked: it is needed after all.
		return r.rebuild(ctx, lease, d, "needed again")
	}
	if err == nil {
		crashpoint.Of("distributor", string(distributorDelete), crashpoint.Recorded)
	}
	return err
}

// row is a step that changes nothing but the row.
func (r *DistributorReconciler) row(ctx context.Context, lease lb.Lease, d lb.Distributor, step distributorStep, action, why string, wakes []lb.Wake, change func(*lb.Distributor)) error {
	crashpoint.Of("distributor", string(step), crashpoint.Before)
	err := r.set(ctx, lease, d, action, why, wakes, func(d *lb.Distributor) {
		change(d)
		crashpoint.Of("distributor", string(step), crashpoint.Acted)
	})
	if err == nil {
		crashpoint.Of("distributor", string(step), crashpoint.Recorded)
	}
	return err
}

// set changes the row, with an event unless action is "".
func (r *DistributorReconciler) set(ctx context.Context, lease lb.Lease, d lb.Distributor, action, why string, wakes []lb.Wake, change func(*lb.Distributor)) error {
	storeCtx, cancel := context.WithTimeout(ctx, r.StoreTimeout)
	defer cancel()
	err := r.Store.UpdateDistributor(storeCtx, lease, func(d *lb.Distributor) (Outcome, error) {
		change(d)
		o := Outcome{Wakes: wakes}
		if action != "" {
			o.Events = []lb.Event{{At: r.Now(), ObjectID: d.ID, Actor: "acm", Action: action, Reason: why}}
		}
		return o, nil
	})
	if err != nil {
		return fmt.Errorf("write distributor %s: %w", d.ID, err)
	}
	if action != "" {
		r.Observe(Step{Act: Act{Name: ActName(action)}}, nil)
		r.Log.InfoContext(ctx, "distributor step", "distributor_id", d.ID, "step", action, "reason", why)
	}
	return nil
}
