package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/amphora"
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
	backEnds, err := r.ensurePorts(ctx, targets)
	if err != nil {
		return true, err
	}
	var results map[string]error
	for range maxLeftOut {
		doc := Document(r.tree, r.state.Cluster, r.Settings, r.failed)
		results = r.put(ctx, targets, doc, backEnds)
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

// put sends the document to all targets side by side and returns each one's result.
func (r *run) put(ctx context.Context, targets []lb.Amphora, doc amphora.Desired, backEnds map[string][]amphora.Port) map[string]error {
	putCtx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	type result struct {
		id  string
		err error
	}
	done := make(chan result, len(targets))
	var wg sync.WaitGroup
	for _, a := range targets {
		wg.Go(func() { done <- result{a.ID, r.putOne(putCtx, a, doc, backEnds[a.ID])} })
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
	wg.Wait()
	return results
}

func (r *run) putOne(ctx context.Context, a lb.Amphora, doc amphora.Desired, backEnds []amphora.Port) error {
	front, err := r.Network.Port(ctx, a.FrontEndPortID)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.serial++
	doc.Stamp = lb.Stamp{Epoch: r.lease.Epoch, Revision: r.tree.LoadBalancer.Revision, Serial: r.serial}
	r.mu.Unlock()
	doc.FrontEnd, doc.BackEnds = portOf(front), backEnds
	_, err = r.Amphorae.PutDocument(ctx, a, doc)
	return err
}

// blame looks whose fault refusals are. What one amphora took is not the document's; what nobody took and somebody
// refused is: the children named are left out, and again says that the document is to be sent once more.
func (r *run) blame(results map[string]error) (again bool, err error) {
	var refusal *amphora.RefusedError
	for id, res := range results {
		var stale *distributor.StaleError
		var refused *amphora.RefusedError
		switch {
		case res == nil:
			return false, nil
		case errors.As(res, &stale) && stale.Applied.Epoch > r.lease.Epoch:
			return false, fmt.Errorf("document for amphora %s: %w", id, lb.ErrFenced)
		case errors.As(res, &refused) && (refusal == nil || len(refused.Problems) > len(refusal.Problems)):
			refusal = refused
		}
	}
	if refusal == nil {
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

// record writes who has the revision, and takes those out of service that have failed for too long while others did
// not. The cluster manager is woken when it has something to do with it.
func (r *run) record(ctx context.Context, targets []lb.Amphora, results map[string]error) (behind bool, err error) {
	revision := r.tree.LoadBalancer.Revision
	now := r.Now()
	out := map[string]string{}
	var firstErr error
	applied := slices.ContainsFunc(r.state.Amphorae, func(a lb.Amphora) bool {
		return takesDocument(a) && a.Status == lb.AmphoraAllocated && a.AppliedRevision >= revision
	})
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
		if applied && r.refused == "" && now.Sub(r.failing[a.ID]) >= applyWithin {
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

	err = r.Store.UpdateCluster(ctx, r.lease, func(s *lb.ClusterState) (lb.Outcome, error) {
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
		if wake {
			o.Wakes = append(o.Wakes, lb.Wake{Kind: lb.WorkACM, Key: r.lease.Key})
		}
		r.state.Amphorae = slices.Clone(s.Amphorae)
		return o, nil
	})
	if err != nil {
		return behind, fmt.Errorf("write applied revisions of load balancer %s: %w", r.lease.Key, err)
	}
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

// ensurePorts plugs a back-end port into every target for each subnet that members name beyond the VIP's network. A
// subnet that the network driver does not accept is its members' fault.
func (r *run) ensurePorts(ctx context.Context, targets []lb.Amphora) (map[string][]amphora.Port, error) {
	subnets, members := memberSubnets(r.tree, r.failed)
	ports := map[string][]amphora.Port{}
	var rows []lb.AmphoraPort
	for _, id := range subnets {
		subnet, err := r.Network.Subnet(ctx, id)
		if fault(err) {
			for _, m := range members[id] {
				r.failed[m] = err.Error()
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if subnet.NetworkID == r.tree.LoadBalancer.VIPNetworkID {
			continue // reached by the front-end port
		}
		for _, a := range targets {
			port, err := r.Network.EnsurePort(ctx, network.PortSpec{
				ID: BackEndPortID(a.ID, id), NetworkID: subnet.NetworkID, SubnetID: id, Purpose: network.PurposeBackEnd,
				OwnerID: a.ID, ProjectID: r.tree.LoadBalancer.ProjectID,
			})
			if err != nil {
				return nil, fmt.Errorf("back-end port of amphora %s: %w", a.ID, err)
			}
			if err := r.Compute.Plug(ctx, a.ID, port.ID); err != nil {
				return nil, fmt.Errorf("plug back-end port into amphora %s: %w", a.ID, err)
			}
			ports[a.ID] = append(ports[a.ID], portOf(port))
			row := lb.AmphoraPort{PortID: port.ID, AmphoraID: a.ID, NetworkID: subnet.NetworkID, SubnetID: id}
			if !slices.Contains(r.state.Ports, row) {
				rows = append(rows, row)
			}
		}
	}
	if len(rows) == 0 {
		return ports, nil
	}
	return ports, r.Store.UpdateCluster(ctx, r.lease, func(s *lb.ClusterState) (lb.Outcome, error) {
		for _, row := range rows {
			if !slices.ContainsFunc(s.Ports, func(p lb.AmphoraPort) bool { return p.PortID == row.PortID }) {
				s.Ports = append(s.Ports, row)
			}
		}
		r.state.Ports = slices.Clone(s.Ports)
		return lb.Outcome{}, nil
	})
}

// fault reports whether an error is about what was asked for, not about the moment.
func fault(err error) bool {
	k := lb.KindOf(err)
	return k == lb.KindNotFound || k == lb.KindInvalid || k == lb.KindUnsupported
}

// dropPorts takes back-end ports away that no member needs any more. Every amphora runs a document without them.
func (r *run) dropPorts(ctx context.Context) error {
	subnets, _ := memberSubnets(r.tree, r.failed)
	gone := map[string]bool{}
	for _, p := range r.state.Ports {
		if slices.Contains(subnets, p.SubnetID) {
			continue
		}
		if err := r.Compute.Unplug(ctx, p.AmphoraID, p.PortID); err != nil {
			return fmt.Errorf("unplug back-end port from amphora %s: %w", p.AmphoraID, err)
		}
		if err := r.Network.DeletePort(ctx, p.PortID); err != nil {
			return fmt.Errorf("delete back-end port of amphora %s: %w", p.AmphoraID, err)
		}
		gone[p.PortID] = true
	}
	if len(gone) == 0 {
		return nil
	}
	return r.Store.UpdateCluster(ctx, r.lease, func(s *lb.ClusterState) (lb.Outcome, error) {
		s.Ports = slices.DeleteFunc(s.Ports, func(p lb.AmphoraPort) bool { return gone[p.PortID] })
		return lb.Outcome{}, nil
	})
}
