package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/agentconf"
	"colonnade/internal/amphora"
	"colonnade/internal/cert"
	"colonnade/internal/compute"
	"colonnade/internal/crashpoint"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// answer of an amphora's agent to a direct question.
type answer struct {
	status *amphora.Status // nil: no answer in time
	gone   bool            // the compute driver says that the instance does not run
}

// ask puts a direct question to every amphora that a witness speaks against or that is draining: the second witness,
// and a former holder's own count.
func (r *run) ask(ctx context.Context, state lb.ClusterState) {
	ob := r.observe(state)
	in, _, _ := DecodeInstall(state.Cluster.Table) // a table that cannot be read stops the plan, not the questions
	var wg sync.WaitGroup
	for _, a := range state.Amphorae {
		f := ob.Amphorae[a.ID]
		if a.Status != lb.AmphoraReady && a.Status != lb.AmphoraAllocated || a.ManagementIP == "" ||
			!f.Silent && !f.Down && !f.ProbeSilent && !a.OutOfService && a.DrainingSince.IsZero() && !r.refuses(a.ID) &&
				!earlier(in.Table, a.ID) {
			continue
		}
		wg.Go(func() {
			askCtx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			var ans answer
			if st, err := r.Amphorae.Status(askCtx, a); err == nil {
				ans.status = &st
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.asked[a.ID] = ans
		})
	}
	wg.Wait()
	unanswered := false
	for _, ans := range r.asked {
		unanswered = unanswered || ans.status == nil
	}
	if !unanswered {
		return
	}
	// What cannot be learnt here is only one witness less.
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	if instances, err := r.Compute.List(ctx); err == nil {
		for _, i := range instances {
			if ans, ok := r.asked[i.ID]; ok && ans.status == nil && i.State == compute.StateGone {
				ans.gone = true
				r.asked[i.ID] = ans
			}
		}
	}
	if r.Fleet != nil {
		fleet, err := r.Fleet(ctx)
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("count amphorae: %w", err))
		}
		r.fleet = fleet
	}
}

// refuses reports whether the amphora did not take its last table.
func (a *Actor) refuses(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.refusers[id].IsZero()
}

// act runs steps side by side and writes what they bring into the rows. An act that fails is left for the next run,
// which its error asks for; being fenced ends this one.
func (r *run) act(ctx context.Context, state lb.ClusterState, steps []Step) error {
	var wg sync.WaitGroup
	var results []func(*lb.ClusterState) []lb.Event
	var fenced error
	for _, s := range steps {
		wg.Go(func() {
			crashpoint.Of("acm", string(s.Name), crashpoint.Before)
			actCtx, cancel := context.WithTimeout(ctx, r.ActTimeout)
			defer cancel()
			result, err := r.do(actCtx, state, s)
			r.Observe(s, err)
			if err == nil {
				crashpoint.Of("acm", string(s.Name), crashpoint.Acted)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if result != nil {
				results = append(results, result)
			}
			if err == nil {
				return
			}
			r.failed[s.Act] = true
			if s.Name == ActRenew {
				return // has a backoff of its own
			}
			if stale := (*distributor.StaleError)(nil); errors.As(err, &stale) && stale.Applied.Epoch > r.lease.Epoch {
				fenced = fmt.Errorf("%s of %s: %w", s.Name, r.lease.Key, lb.ErrFenced)
			}
			r.errs = append(r.errs, fmt.Errorf("%s %s: %w", s.Name, s.AmphoraID, err))
		})
	}
	wg.Wait()
	if fenced != nil {
		return fenced
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(results) > 0 {
		err := r.update(ctx, func(now *lb.ClusterState) (Outcome, error) {
			var o Outcome
			for _, result := range results {
				o.Events = append(o.Events, result(now)...)
			}
			return o, nil
		})
		if err != nil {
			return fmt.Errorf("write what was done for cluster of %s: %w", r.lease.Key, err)
		}
	}
	crash(steps, crashpoint.Recorded)
	return nil
}

// do runs one act. The returned function, if any, writes its result into the rows.
func (r *run) do(ctx context.Context, state lb.ClusterState, s Step) (func(*lb.ClusterState) []lb.Event, error) {
	var amp lb.Amphora
	for _, a := range state.Amphorae {
		if a.ID == s.AmphoraID {
			amp = a
		}
	}
	switch s.Name {
	case ActBuild:
		return r.build(ctx, state, amp)
	case ActDelete:
		return r.delete(ctx, state, amp)
	case ActPushTable:
		return nil, r.pushTable(ctx, state, amp)
	case ActPlugVIP:
		return r.plugVIP(ctx, state)
	case ActRegister:
		return nil, r.register(ctx, state)
	case ActUnplugVIP:
		return nil, r.unplugVIP(ctx, state)
	case ActRenew:
		return r.renew(ctx, amp)
	}
	return nil, fmt.Errorf("%s: is no act", s.Name)
}

// PortID is the id of an instance's port for a purpose, the same on every try.
func PortID(instanceID string, purpose network.Purpose) string {
	space, err := uuid.Parse(instanceID)
	if err != nil {
		space = uuid.NewSHA1(uuid.NameSpaceOID, []byte(instanceID))
	}
	return uuid.NewSHA1(space, []byte(purpose)).String()
}

// group names anti-affinity: the amphorae of one load balancer apart.
func group(lbID string) string { return "lb-" + lbID }

func (r *run) build(ctx context.Context, state lb.ClusterState, amp lb.Amphora) (func(*lb.ClusterState) []lb.Event, error) {
	l := state.LoadBalancer
	management, err := r.Network.EnsurePort(ctx, network.PortSpec{
		ID: PortID(amp.ID, network.PurposeManagement), Purpose: network.PurposeManagement, OwnerID: amp.ID, ProjectID: l.ProjectID,
	})
	if err != nil {
		return nil, err
	}
	crashpoint.At("acm.build.management-port")
	front, err := r.Network.EnsurePort(ctx, network.PortSpec{
		ID: PortID(amp.ID, network.PurposeFrontEnd), NetworkID: l.VIPNetworkID, SubnetID: l.VIPSubnetID,
		Purpose: network.PurposeFrontEnd, OwnerID: amp.ID, ProjectID: l.ProjectID, Pool: l.AmphoraPool,
	})
	if err != nil {
		text := "front-end port: " + err.Error()
		return func(now *lb.ClusterState) []lb.Event { return reason(now, amp.ID, text) }, err
	}
	crashpoint.At("acm.build.front-end-port")
	spec, notAfter, err := instance(r.Deps, cert.RoleAmphora, amp.ID, amp.HeartbeatKey, management)
	if err != nil {
		return nil, err
	}
	spec.Agent.LoadBalancerID, spec.Group = l.ID, group(l.ID)
	made, err := r.Compute.Ensure(ctx, spec)
	if err == nil && made.State == compute.StateError {
		err = errors.Join(fmt.Errorf("cannot be built: %s", made.Reason), r.discard(ctx, amp.ID))
	}
	if err != nil {
		return func(now *lb.ClusterState) []lb.Event { return reason(now, amp.ID, err.Error()) }, err
	}
	crashpoint.At("acm.build.instance")
	if err := r.Compute.Plug(ctx, amp.ID, front.ID); err != nil {
		return nil, fmt.Errorf("plug front-end port: %w", err)
	}
	deadline := r.Now().Add(r.Spec.BootTime)
	return func(now *lb.ClusterState) []lb.Event {
		for i := range now.Amphorae {
			a := &now.Amphorae[i]
			if a.ID != amp.ID || a.Status != lb.AmphoraPendingCreate {
				continue
			}
			a.Status, a.StatusReason, a.ComputeID, a.ManagementIP = lb.AmphoraBooting, "", made.ComputeID, management.Address
			a.FrontEndPortID, a.FrontEndIP, a.FrontEndMAC = front.ID, front.Address, front.MAC
			a.CertExpiration, a.BootDeadline = notAfter, deadline
		}
		return nil
	}, nil
}

// discard takes a failed try away, so that the next one begins anew. A crash before only lets the next one fail again.
func (r *run) discard(ctx context.Context, id string) error { return r.Compute.Delete(ctx, id) }

// reason shows why an amphora is not built yet.
func reason(state *lb.ClusterState, id, text string) []lb.Event {
	for i := range state.Amphorae {
		if a := &state.Amphorae[i]; a.ID == id {
			a.StatusReason = text
		}
	}
	return nil
}

// instance describes an agent's instance with its certificate.
func instance(d Deps, role cert.Role, id, heartbeatKey string, management network.Port) (compute.Spec, time.Time, error) {
	bundle, err := d.Issuer.Issue(cert.Identity{Role: role, ID: id}, []net.IP{net.ParseIP(management.Address)}, cmp.Or(d.Spec.CertificateValidity, cert.LeafValidity))
	if err != nil {
		return compute.Spec{}, time.Time{}, fmt.Errorf("issue certificate: %w", err)
	}
	return compute.Spec{
		ID: id, Kind: compute.Kind(role), ManagementPortID: management.ID,
		Agent: agentconf.Config{
			Kind: string(role), ID: id, ManagementIP: management.Address,
			Heartbeat: agentconf.Heartbeat{Targets: d.HeartbeatTargets, Key: heartbeatKey, IntervalMS: 1000},
		},
		Files: map[string][]byte{agentconf.CAFile: bundle.CAPEM, agentconf.CertFile: bundle.CertPEM, agentconf.KeyFile: bundle.KeyPEM},
	}, bundle.NotAfter, nil
}

// delete fences the instance first; ports go when nothing can use them any more.
func (r *run) delete(ctx context.Context, state lb.ClusterState, amp lb.Amphora) (func(*lb.ClusterState) []lb.Event, error) {
	if err := r.Compute.Delete(ctx, amp.ID); err != nil {
		return nil, err
	}
	crashpoint.At("acm.delete.fenced")
	if err := deletePorts(ctx, r.Network, amp.ID); err != nil {
		return nil, err
	}
	r.Actor.mu.Lock()
	delete(r.suspects, amp.ID)
	delete(r.refusers, amp.ID)
	r.Actor.mu.Unlock()
	r.renewals.forget(amp.ID)
	r.Log.InfoContext(ctx, "amphora deleted", "lb_id", r.lease.Key, "amphora_id", amp.ID, "reason", amp.StatusReason)
	return func(now *lb.ClusterState) []lb.Event {
		for i := range now.Amphorae {
			if a := &now.Amphorae[i]; a.ID == amp.ID {
				a.Status, a.Position = lb.AmphoraDeleted, lb.NoPosition
			}
		}
		kept := now.Ports[:0]
		for _, p := range now.Ports {
			if p.AmphoraID != amp.ID {
				kept = append(kept, p)
			}
		}
		now.Ports = kept
		return []lb.Event{{At: r.Now(), LoadBalancerID: state.LoadBalancer.ID, ObjectID: amp.ID, Actor: "acm", Action: "amphora deleted", Reason: amp.StatusReason}}
	}, nil
}

// deletePorts removes all ports of an instance, by what the driver knows of it.
func deletePorts(ctx context.Context, d network.Driver, ownerID string) error {
	ports, err := d.Ports(ctx, ownerID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if err := d.DeletePort(ctx, p.ID); err != nil {
			return err
		}
		crashpoint.At("acm.delete-ports.one")
	}
	return nil
}

func (r *run) pushTable(ctx context.Context, state lb.ClusterState, amp lb.Amphora) error {
	in, _, err := DecodeInstall(state.Cluster.Table)
	if err != nil {
		return err
	}
	pushCtx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	_, err = r.Amphorae.PutTable(pushCtx, amp, amphora.TableDocument{Stamp: r.stamp(in.Version), Table: in.Table})
	r.Actor.mu.Lock()
	if err == nil {
		delete(r.refusers, amp.ID)
	} else if r.refusers[amp.ID].IsZero() {
		r.refusers[amp.ID] = r.Now()
	}
	r.Actor.mu.Unlock()
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.tables[amp.ID] = in.Version
	r.mu.Unlock()
	return nil
}

// plugVIP gives the distributor the VIP's port and makes it own the VIP.
func (r *run) plugVIP(ctx context.Context, state lb.ClusterState) (func(*lb.ClusterState) []lb.Event, error) {
	l, c, d := state.LoadBalancer, state.Cluster, *state.Distributor
	port, err := r.Network.Port(ctx, l.VIPPortID)
	if err != nil {
		return nil, err
	}
	if err := r.Compute.Plug(ctx, d.ID, port.ID); err != nil {
		return nil, fmt.Errorf("plug port of the VIP: %w", err)
	}
	crashpoint.At("acm.plug-vip.port")
	plugCtx, cancel := context.WithTimeout(ctx, plugTimeout)
	defer cancel()
	st, err := r.Distributors.PlugVIP(plugCtx, d, distributor.VIPPlug{
		Stamp: r.stamp(0), LBID: l.ID, VIPAddress: l.VIPAddress, SubnetCIDR: port.CIDR, Gateway: port.Gateway, MACAddress: port.MAC, MTU: port.MTU,
		AlgExtras: distributor.AlgExtras{Algorithm: "hash", Affinity: distributor.Affinity(c.Affinity)}, ProbeKey: c.ProbeKey,
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.distributor = &st
	r.mu.Unlock()
	return func(now *lb.ClusterState) []lb.Event { now.Cluster.DistributorPortID = port.ID; return nil }, nil
}

func (r *run) register(ctx context.Context, state lb.ClusterState) error {
	in, _, err := DecodeInstall(state.Cluster.Table)
	if err != nil {
		return err
	}
	regCtx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	st, err := r.Distributors.Register(regCtx, *state.Distributor, distributor.Registrations{Stamp: r.stamp(in.Version), LBID: r.lease.Key, Table: in.Table})
	r.mu.Lock()
	defer r.mu.Unlock()
	if swaps := (*distributor.SwapsError)(nil); errors.As(err, &swaps) {
		// It acted by itself meanwhile: the next plan takes that in and tries again.
		if last := swaps.Swaps; len(last) == 0 || last[len(last)-1].Seq <= in.TakenSwap {
			return fmt.Errorf("the distributor insists on swaps that the table has: %w", err)
		}
		view := r.viewDistributor(state)
		r.distributor = &distributor.LBStatus{
			LBID: r.lease.Key, VIPApplied: lb.Stamp{Epoch: 1}, TableVersion: view.Table, Swaps: swaps.Swaps, Silent: r.silent(state),
		}
		return nil
	}
	if lb.KindOf(err) == lb.KindNotFound {
		r.distributor = &distributor.LBStatus{LBID: r.lease.Key} // not plugged after all: the next plan plugs it
		return nil
	}
	if err != nil {
		return err
	}
	r.distributor, r.registered = &st, true
	return nil
}

// silent is whom the distributor last called silent.
func (r *run) silent(state lb.ClusterState) []string {
	if r.distributor != nil {
		return r.distributor.Silent
	}
	report, _ := reportOf(state)
	return report.Silent
}

func (r *run) unplugVIP(ctx context.Context, state lb.ClusterState) error {
	d := *state.Distributor
	unplugCtx, cancel := context.WithTimeout(ctx, plugTimeout)
	defer cancel()
	if err := r.Distributors.UnplugVIP(unplugCtx, d, r.lease.Key, r.stamp(0)); err != nil && lb.KindOf(err) != lb.KindNotFound {
		return err
	}
	crashpoint.At("acm.unplug-vip.told")
	if err := r.Compute.Unplug(ctx, d.ID, state.Cluster.DistributorPortID); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[Act{Name: actUnplugged}] = true
	return nil
}
