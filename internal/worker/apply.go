package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/amphora"
	"colonnade/internal/crashpoint"
	"colonnade/internal/distributor"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// Deadlines of documents. Who lags behind the others is left for the next round, so that one hanging amphora does not
// keep the lease from the cluster manager that would replace it.
const (
	putTimeout = applyWithin
	straggle   = time.Second
)

// maxLeftOut bounds how many rounds of leaving out children at fault are made under one lease.
const maxLeftOut = 20

// apply brings ports and document to every amphora that is behind. behind is true when one that counts still is.
func (r *run) apply(ctx context.Context) (behind bool, err error) {
	var targets []lb.Amphora
	for _, a := range r.state.Amphorae {
		if takesDocument(a) && r.isBehind(a) {
			targets = append(targets, a)
		}
	}
	if len(targets) == 0 {
		return false, r.dropPorts(ctx)
	}
	var results map[string]error
	for range maxLeftOut {
		subnets, err := r.memberNetworks(ctx)
		if err != nil {
			return true, err
		}
		doc, err := r.document(ctx)
		if err != nil {
			return true, err
		}
		results = r.put(ctx, targets, doc, subnets)
		again, err := r.blame(results)
		if err != nil {
			return true, err
		}
		if !again {
			break
		}
	}
	behind, err = r.record(ctx, targets, results)
	if err != nil || behind {
		return behind, err
	}
	return false, r.dropPorts(ctx)
}

// isBehind compares with the row and with what the agent itself says it runs.
func (r *run) isBehind(a lb.Amphora) bool {
	if a.Status != lb.AmphoraAllocated || a.AppliedRevision < r.tree.LoadBalancer.Revision {
		return true
	}
	report, err := health.DecodeAmphoraReport(r.state.Health[a.ID].Report)
	return err == nil && report.HAProxy == "idle" && report.DocumentApplied == (lb.Stamp{}) && a.AppliedRevision > 0 && r.state.Health[a.ID].State == lb.HealthAlive
}

// portError is a failure of a driver to give an amphora its ports.
type portError struct{ error }

func (e portError) Unwrap() error { return e.error }

// put brings ports and document to all targets side by side and returns each one's result.
func (r *run) put(ctx context.Context, targets []lb.Amphora, doc amphora.Desired, subnets []network.Subnet) map[string]error {
	putCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		id  string
		err error
	}
	done := make(chan result, len(targets))
	for _, a := range targets {
		go func() { done <- result{a.ID, r.putOne(putCtx, a, doc, subnets)} }()
	}
	results := map[string]error{}
	for range targets {
		res := <-done
		results[res.id] = res.err
		if res.err == nil { // one has it: the others get a moment, not the whole time
			t := time.AfterFunc(straggle, cancel)
			defer t.Stop()
		}
	}
	return results
}

func (r *run) putOne(ctx context.Context, a lb.Amphora, doc amphora.Desired, subnets []network.Subnet) error {
	var err error
	if doc.FrontEnd, doc.BackEnds, err = r.ensurePorts(ctx, a, subnets); err != nil {
		return portError{err}
	}
	r.mu.Lock()
	r.serial++
	doc.Stamp = lb.Stamp{Epoch: r.lease.Epoch, Revision: r.tree.LoadBalancer.Revision, Serial: r.serial}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	crash(stepDocument, crashpoint.Before)
	if _, err = r.Amphorae.PutDocument(ctx, a, doc); err != nil {
		return err
	}
	crash(stepDocument, crashpoint.Acted)
	return nil
}

// blame looks whose fault refusals are. What one amphora took is not the document's; what nobody took and somebody
// refused is: the children named are left out, and again says that the document is to be sent once more.
func (r *run) blame(results map[string]error) (again bool, err error) {
	var refusal *amphora.RefusedError
	taken := r.taken() // also in an earlier round
	for id, res := range results {
		var stale *distributor.StaleError
		var refused *amphora.RefusedError
		switch {
		case res == nil:
			taken = true
		case errors.As(res, &stale) && stale.Applied.Epoch > r.lease.Epoch:
			return false, fmt.Errorf("document for amphora %s: %w", id, lb.ErrFenced)
		case errors.As(res, &refused) && (refusal == nil || len(refused.Problems) > len(refusal.Problems)):
			refusal = refused
		}
	}
	if refusal == nil || taken {
		return false, nil
	}
	named := false
	for _, p := range refusal.Problems {
		if p.ObjectID != "" && p.ObjectID != r.tree.LoadBalancer.ID && r.failed[p.ObjectID] == "" {
			r.failed[p.ObjectID], named = p.Reason, true
		}
	}
	if !named {
		r.refused = refusal.Error()
	}
	return named, nil
}

// taken reports whether an amphora runs the present revision already.
func (r *run) taken() bool {
	return slices.ContainsFunc(r.state.Amphorae, func(a lb.Amphora) bool {
		return takesDocument(a) && a.Status == lb.AmphoraAllocated && a.AppliedRevision >= r.tree.LoadBalancer.Revision
	})
}

// record writes who has the revision, and takes those out of service that have failed for too long while others did
// not. The cluster manager is woken when it has something to do with it.
func (r *run) record(ctx context.Context, targets []lb.Amphora, results map[string]error) (behind bool, err error) {
	revision := r.tree.LoadBalancer.Revision
	now := r.Now()
	out := map[string]string{}
	var firstErr error
	applied := r.taken()
	for _, res := range results {
		applied = applied || res == nil
	}
	r.Worker.mu.Lock()
	for _, a := range targets {
		res := results[a.ID]
		if res == nil {
			delete(r.failing, a.ID)
			continue
		}
		if r.failing[a.ID].IsZero() {
			r.failing[a.ID] = now
		}
		limit := applyWithin
		if errors.As(res, &portError{}) {
			limit += r.Compute.BuildBudget() // a driver is no faster at plugging than it is at building
		}
		if applied && r.refused == "" && now.Sub(r.failing[a.ID]) >= limit {
			out[a.ID] = "did not apply the configuration: " + res.Error()
			delete(r.failing, a.ID)
			continue
		}
		if a.DrainingSince.IsZero() { // who drains is served as well as possible, and not waited for
			behind = true
			if firstErr == nil {
				firstErr = fmt.Errorf("document for amphora %s: %w", a.ID, res)
			}
		}
	}
	r.Worker.mu.Unlock()
	for id, why := range out {
		r.Log.WarnContext(ctx, "amphora does not apply", "lb_id", r.lease.Key, "amphora_id", id, "reason", why)
	}

	err = r.writeCluster(ctx, func(s *lb.ClusterState) (lb.Outcome, error) {
		var o lb.Outcome
		wake := len(out) > 0
		for i := range s.Amphorae {
			a := &s.Amphorae[i]
			res, sent := results[a.ID]
			switch {
			case !sent:
			case out[a.ID] != "":
				a.OutOfService, a.StatusReason = true, out[a.ID]
				o.Events = append(o.Events, lb.Event{
					At: now, LoadBalancerID: r.lease.Key, ObjectID: a.ID, Actor: "worker", Action: "amphora out of service", Reason: out[a.ID],
				})
			case res == nil:
				// Whatever waits for a standby waits for this.
				wake = wake || a.Status == lb.AmphoraReady || incomplete(s.Cluster) || failingOver(*s)
				a.AppliedRevision = revision
				if a.Status == lb.AmphoraReady {
					a.Status = lb.AmphoraAllocated
				}
			}
		}
		for _, row := range r.plugged {
			if !slices.ContainsFunc(s.Ports, func(p lb.AmphoraPort) bool { return p.PortID == row.PortID }) {
				s.Ports = append(s.Ports, row)
			}
		}
		if wake {
			o.Wakes = append(o.Wakes, lb.Wake{Kind: lb.WorkACM, Key: r.lease.Key})
		}
		r.state.Amphorae, r.state.Ports = slices.Clone(s.Amphorae), slices.Clone(s.Ports)
		return o, nil
	})
	if err != nil {
		return behind, fmt.Errorf("write applied revisions of load balancer %s: %w", r.lease.Key, err)
	}
	crash(stepPorts, crashpoint.Recorded)
	crash(stepDocument, crashpoint.Recorded)
	if behind && !applied && r.refused == "" {
		return true, firstErr // nobody has it: the reason is shown and the queue waits longer each time
	}
	return behind, nil
}

func incomplete(c lb.Cluster) bool {
	return c.OperatingStatus != lb.Online || c.StandbyReady < c.StandbySize
}

// BackEndPortID is the id of an amphora's port in a member subnet, the same on every try.
func BackEndPortID(amphoraID, subnetID string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("back-end "+amphoraID+" "+subnetID)).String()
}

// memberNetworks looks up the subnets that members name beyond the VIP's network. One that the network driver does not
// accept is its members' fault.
func (r *run) memberNetworks(ctx context.Context) ([]network.Subnet, error) {
	ctx, cancel := context.WithTimeout(ctx, r.PortTimeout)
	defer cancel()
	ids, members := memberSubnets(r.tree, r.failed)
	var subnets []network.Subnet
	for _, id := range ids {
		subnet, err := r.Network.Subnet(ctx, id)
		if fault(err) {
			for _, m := range members[id] {
				r.failed[m] = err.Error()
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up subnet %s of members: %w", id, err)
		}
		if subnet.NetworkID != r.tree.LoadBalancer.VIPNetworkID { // that one is reached by the front-end port
			subnets = append(subnets, subnet)
		}
	}
	return subnets, nil
}

// ensurePorts plugs a back-end port for each subnet into an amphora.
func (r *run) ensurePorts(ctx context.Context, a lb.Amphora, subnets []network.Subnet) (front amphora.Port, back []amphora.Port, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.PortTimeout)
	defer cancel()
	port, err := r.Network.Port(ctx, a.FrontEndPortID)
	if err != nil {
		return front, nil, fmt.Errorf("front-end port of amphora %s: %w", a.ID, err)
	}
	front = portOf(port)
	for _, subnet := range subnets {
		crash(stepPorts, crashpoint.Before)
		port, err := r.Network.EnsurePort(ctx, network.PortSpec{
			ID: BackEndPortID(a.ID, subnet.ID), NetworkID: subnet.NetworkID, SubnetID: subnet.ID, Purpose: network.PurposeBackEnd,
			OwnerID: a.ID, ProjectID: r.tree.LoadBalancer.ProjectID, Pool: r.tree.LoadBalancer.AmphoraPool,
		})
		if err != nil {
			return front, nil, fmt.Errorf("back-end port of amphora %s: %w", a.ID, err)
		}
		crashpoint.At("worker.plug-ports.made")
		if err := r.Compute.Plug(ctx, a.ID, port.ID); err != nil {
			return front, nil, fmt.Errorf("plug back-end port into amphora %s: %w", a.ID, err)
		}
		crash(stepPorts, crashpoint.Acted)
		back = append(back, portOf(port))
		r.mu.Lock()
		r.plugged = append(r.plugged, lb.AmphoraPort{PortID: port.ID, AmphoraID: a.ID, NetworkID: subnet.NetworkID, SubnetID: subnet.ID})
		r.mu.Unlock()
	}
	return front, back, nil
}

// fault reports whether an error is about what was asked for, not about the moment.
func fault(err error) bool {
	k := lb.KindOf(err)
	return k == lb.KindNotFound || k == lb.KindInvalid || k == lb.KindUnsupported
}

// dropPorts takes back-end ports away that no member needs any more. Every amphora runs a document without them. One
// that cannot be taken away holds up no other.
func (r *run) dropPorts(ctx context.Context) error {
	subnets, _ := memberSubnets(r.tree, r.failed)
	gone := map[string]bool{}
	var errs []error
	for _, p := range r.state.Ports {
		if slices.Contains(subnets, p.SubnetID) {
			continue
		}
		if err := r.dropPort(ctx, p); err != nil {
			errs = append(errs, err)
			continue
		}
		gone[p.PortID] = true
	}
	if len(gone) == 0 {
		return errors.Join(errs...)
	}
	err := r.writeCluster(ctx, func(s *lb.ClusterState) (lb.Outcome, error) {
		s.Ports = slices.DeleteFunc(s.Ports, func(p lb.AmphoraPort) bool { return gone[p.PortID] })
		return lb.Outcome{}, nil
	})
	if err == nil {
		crash(stepDropPorts, crashpoint.Recorded)
	}
	return errors.Join(append(errs, err)...)
}

func (r *run) dropPort(ctx context.Context, p lb.AmphoraPort) error {
	ctx, cancel := context.WithTimeout(ctx, r.PortTimeout)
	defer cancel()
	crash(stepDropPorts, crashpoint.Before)
	if err := r.Compute.Unplug(ctx, p.AmphoraID, p.PortID); err != nil {
		return fmt.Errorf("unplug back-end port from amphora %s: %w", p.AmphoraID, err)
	}
	crashpoint.At("worker.drop-ports.unplugged")
	if err := r.Network.DeletePort(ctx, p.PortID); err != nil {
		return fmt.Errorf("delete back-end port of amphora %s: %w", p.AmphoraID, err)
	}
	crash(stepDropPorts, crashpoint.Acted)
	return nil
}
