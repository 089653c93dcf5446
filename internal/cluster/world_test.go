package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/cert"
	"colonnade/internal/cluster"
	"colonnade/internal/compute"
	"colonnade/internal/distributor"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/network"
)

const (
	lbID   = "00000000-0000-4000-8000-000000000001"
	distID = "00000000-0000-4000-8000-0000000000d1"
)

var errCrash = errors.New("the control plane was killed")

// machine is an amphora as it really is.
type machine struct {
	running, hung, cut, haproxyDown bool
	heard                           bool // has sent a heartbeat
	silentFor                       int  // ticks without a heartbeat
	table                           int64
	held                            int // connections of rows that became another's
	served                          bool
	refuses                         bool // does not take tables
	condemned                       bool // did not serve when it was taken out of service
}

func (m *machine) answers() bool  { return m.running && !m.hung }
func (m *machine) probed() bool   { return m.running && !m.hung && !m.cut && !m.haproxyDown }
func (m *machine) flawless() bool { return m.probed() }

// world is everything outside the cluster manager: database, drivers, agents, distributor, worker and health role. It
// checks what must never happen in each call.
type world struct {
	stop     func(format string, args ...any) // ends the test
	violated string                           // the first thing that must never happen

	mu       sync.Mutex
	now      time.Time
	epoch    int64
	lbRow    lb.LoadBalancer
	cluster  lb.Cluster
	amphorae []lb.Amphora
	dist     *lb.Distributor
	machines map[string]*machine
	ports    map[string]network.Port
	events   []lb.Event
	wakes    []lb.Wake

	distTable   int64
	distCurrent []string
	distStandby []string
	distPlugged bool
	distDown    bool   // it does not swap
	distAway    bool   // it does not answer
	distForgot  bool   // it was rebuilt, and nobody knows yet
	registering func() // happens once, before it takes a table
	swaps       []distributor.Swap
	swapSeq     int64

	broken     string // why no instance can be built
	noBoot     bool   // instances made now never say a word
	calls      int    // of the present run
	crashAt    int    // 0 never
	crashAfter bool   // the call takes effect, but nobody learns of it
	taken      int64  // TakenSwap of the table that the distributor has
	fleet      cluster.Fleet
}

func newWorld(t interface{ Fatalf(string, ...any) }) *world {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return &world{
		stop: t.Fatalf, now: now, machines: map[string]*machine{}, ports: map[string]network.Port{"vip-port": {ID: "vip-port", CIDR: "198.18.0.0/24", MAC: "02:00:00:00:00:ff", Address: "198.18.0.9"}},
		lbRow: lb.LoadBalancer{ID: lbID, ProvisioningStatus: lb.PendingCreate, Enabled: true, Revision: 1, VIPAddress: "198.18.0.9", VIPPortID: "vip-port"},
		cluster: lb.Cluster{
			Affinity: lb.AffinitySourceIP, Sharing: lb.SharingProject,
			ID: "c", LoadBalancerID: lbID, ProbeKey: "000102030405060708090a0b0c0d0e0f", DesiredSize: 3, MinSize: 1, StandbySize: 1, Enabled: true,
			ProvisioningStatus: lb.PendingCreate, OperatingStatus: lb.Offline, Cooldown: 5 * time.Second,
		},
	}
}

// fail notes what must never happen; it may be called by any goroutine, with the lock held.
func (w *world) fail(format string, args ...any) {
	if w.violated == "" {
		w.violated = fmt.Sprintf(format, args...)
	}
}

func (w *world) spec() cluster.Spec {
	s := cluster.DefaultSpec(0)
	s.Rows, s.DrainDeadline = 256, 30*time.Second
	return s
}

func (w *world) actor() *cluster.Actor {
	return cluster.NewActor(w.deps())
}

func (w *world) deps() cluster.Deps {
	return cluster.Deps{
		Store: store{w}, Amphorae: ampAgent{w}, Distributors: distAgent{w}, Compute: computer{w}, Network: netw{w: w}, Issuer: issuer{},
		Fleet: func(context.Context) (cluster.Fleet, error) { return w.fleet, nil },
		Spec:  w.spec(), Now: w.clock,
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// enter counts a call and crashes the control plane when it is due; the lock is held on return. A crash after the
// call takes effect is told by the second function, to be deferred with the named error.
func (w *world) enter() (leave func(*error), err error) {
	w.mu.Lock()
	w.calls++
	if w.crashAt > 0 && (w.calls > w.crashAt || w.calls == w.crashAt && !w.crashAfter) {
		w.mu.Unlock()
		return nil, errCrash
	}
	crash := w.crashAt > 0 && w.calls == w.crashAt
	return func(err *error) {
		if crash {
			*err = errCrash
		}
		w.mu.Unlock()
	}, nil
}

func (w *world) reconcile(a *cluster.Actor) (time.Duration, error) {
	w.mu.Lock()
	w.epoch++
	w.calls = 0
	lease := lb.Lease{Kind: lb.WorkACM, Key: lbID, Epoch: w.epoch}
	w.mu.Unlock()
	again, err := a.Reconcile(context.Background(), lease)
	if w.violated != "" {
		w.stop("%s\n%s", w.violated, w.history())
	}
	return again, err
}

// tick lets a second pass: heartbeats, boots, the worker's part, and the distributor's own swaps.
func (w *world) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Second)
	for _, m := range w.machines {
		if m.answers() && !w.noBoot {
			m.heard, m.silentFor = true, 0
		} else {
			m.silentFor++
		}
		m.held = max(m.held-1, 0)
	}
	for i := range w.amphorae { // the worker
		a := &w.amphorae[i]
		if m := w.machines[a.ID]; m != nil && m.answers() && (a.Status == lb.AmphoraReady || a.Status == lb.AmphoraAllocated) && !a.OutOfService {
			a.Status, a.AppliedRevision = lb.AmphoraAllocated, w.lbRow.Revision
		}
	}
	if w.dist != nil && w.dist.Status == lb.AmphoraPendingCreate {
		w.dist.Status, w.dist.ComputeID = lb.AmphoraReady, "d"
	}
	w.swap()
}

// swap is the distributor's own replacement of silent amphorae.
func (w *world) swap() {
	if w.distDown || !w.distPlugged {
		return
	}
	silent := w.silent()
	if len(silent)*2 > len(w.distCurrent)+len(w.distStandby) {
		return
	}
	effective := w.effective()
	for p, id := range effective {
		if id == "" || !slices.Contains(silent, id) {
			continue
		}
		for _, s := range w.distStandby {
			if !slices.Contains(effective, s) && !slices.Contains(silent, s) {
				w.swapSeq = max(w.swapSeq, w.taken) + 1
				w.swaps = append(w.swaps, distributor.Swap{Seq: w.swapSeq, Position: p, AmphoraID: w.distCurrent[p], StandbyID: s, Reason: "probe"})
				effective[p] = s
				// While the manager cannot reach the distributor it may have chosen another standby itself; what this one
				// took until then is lost, and known to be.
				w.machines[s].served = w.machines[s].served || !w.distAway
				break
			}
		}
	}
}

func (w *world) silent() []string {
	var ids []string
	for _, id := range append(slices.Clone(w.distCurrent), w.distStandby...) {
		if m := w.machines[id]; id != "" && (m == nil || !m.probed()) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (w *world) effective() []string {
	e := slices.Clone(w.distCurrent)
	for _, s := range w.swaps {
		if s.Seq > w.taken && s.Position < len(e) {
			e[s.Position] = s.StandbyID
		}
	}
	return e
}

func (w *world) row(id string) *lb.Amphora {
	for i := range w.amphorae {
		if w.amphorae[i].ID == id {
			return &w.amphorae[i]
		}
	}
	return nil
}

func (w *world) lbStatus() distributor.LBStatus {
	st := distributor.LBStatus{LBID: lbID, TableVersion: w.distTable, Silent: w.silent()}
	for _, s := range w.swaps {
		if s.Seq > w.taken {
			st.Swaps = append(st.Swaps, s)
		}
	}
	if w.distPlugged {
		st.VIPApplied = lb.Stamp{Epoch: 1}
	}
	return st
}

func (w *world) state() lb.ClusterState {
	s := lb.ClusterState{LoadBalancer: w.lbRow, Cluster: w.cluster, Amphorae: slices.Clone(w.amphorae), Health: map[string]lb.InstanceHealth{}}
	for id, m := range w.machines {
		if !m.heard {
			continue
		}
		h := lb.InstanceHealth{InstanceID: id, State: lb.HealthAlive}
		if m.silentFor > 2 {
			h.State = lb.HealthSilent
		} else if m.haproxyDown {
			h.State = lb.HealthDown
		}
		text, _ := json.Marshal(health.AmphoraReport{TableApplied: lb.Stamp{Revision: m.table}})
		h.Report = string(text)
		s.Health[id] = h
	}
	if w.dist != nil {
		d := *w.dist
		s.Distributor = &d
		st := w.lbStatus()
		text, _ := json.Marshal(health.DistributorReport{LoadBalancers: map[string]health.LBReport{
			lbID: {VIPApplied: st.VIPApplied, TableVersion: st.TableVersion, Swaps: st.Swaps, Silent: st.Silent},
		}})
		s.Health[d.ID] = lb.InstanceHealth{InstanceID: d.ID, State: lb.HealthAlive, Report: string(text)}
	}
	return s
}

// commit checks a change of rows and makes it.
func (w *world) commit(after lb.ClusterState) {
	before, hasBefore, _ := cluster.DecodeInstall(w.cluster.Table)
	in, has, err := cluster.DecodeInstall(after.Cluster.Table)
	if err != nil {
		w.fail("table in the row: %v", err)
	}
	if has && hasBefore && in.Version != before.Version && in.Version != before.Version+1 {
		w.fail("table version went from %d to %d", before.Version, in.Version)
	}
	held := map[int]string{}
	for _, a := range after.Amphorae {
		old := w.row(a.ID)
		m := w.machines[a.ID]
		if old != nil && a.OutOfService && (!old.OutOfService || old.Position >= 0 && a.Position < 0) && m != nil && !m.flawless() {
			m.condemned = true
		}
		if old != nil && old.Status != a.Status && a.Status == lb.AmphoraPendingDelete && m != nil && m.flawless() && m.served && !m.condemned &&
			old.DrainingSince.IsZero() && w.lbRow.ProvisioningStatus != lb.PendingDelete {
			w.fail("%s lives, has served, and is to be deleted without having drained: %+v", a.ID, old)
		}
		// Judged when it is decided: one that was dead then, or drained, may be back when its deletion is carried out.
		if old != nil && old.Status != a.Status && a.Status == lb.AmphoraPendingDelete && m != nil && m.flawless() && m.held > 0 &&
			!old.DrainingSince.IsZero() && w.now.Before(old.DrainingSince.Add(10*time.Second)) && w.lbRow.ProvisioningStatus != lb.PendingDelete {
			w.fail("%s lives, holds connections, and is to be deleted before its deadline: %+v", a.ID, old)
		}
		if a.Position >= 0 {
			if held[a.Position] != "" {
				w.fail("position %d is held by %s and %s", a.Position, held[a.Position], a.ID)
			}
			held[a.Position] = a.ID
			if old == nil || old.Position != a.Position && (old.Role != lb.RoleInClusterStandby || old.Status != lb.AmphoraAllocated || old.OutOfService) {
				w.fail("%s took position %d and was no standby: %+v", a.ID, a.Position, old)
			}
		}
	}
	if has {
		if err := in.Validate(); err != nil {
			w.fail("table: %v", err)
		}
		for p := range in.Current.Holders {
			if id := nameAt(in.Table, p); id != held[p] && w.lbRow.ProvisioningStatus != lb.PendingDelete {
				w.fail("position %d: table says %q, rows say %q", p, id, held[p])
			}
		}
		w.rowsMove(before, in)
		for p := range before.Current.Holders {
			if w.lbRow.ProvisioningStatus == lb.PendingDelete {
				break
			}
			id := nameAt(before.Table, p)
			if id == "" || id == nameAt(in.Table, p) {
				continue
			}
			a := slices.IndexFunc(after.Amphorae, func(a lb.Amphora) bool { return a.ID == id })
			if a >= 0 && !after.Amphorae[a].OutOfService && after.Amphorae[a].DrainingSince.IsZero() {
				w.fail("position %d left %s, which is neither out of service nor draining", p, id)
			}
		}
	}
	w.cluster = after.Cluster
	w.amphorae = slices.DeleteFunc(after.Amphorae, func(a lb.Amphora) bool { return a.Status == lb.AmphoraDeleted })
}

// rowsMove checks that a change of size moves no row but those that the new position wins or the last one gives up (T3).
func (w *world) rowsMove(before, now cluster.Install) {
	was, is := len(before.Current.Holders), len(now.Current.Holders)
	if was == 0 || was == is {
		return
	}
	if is-was > 1 || was-is > 1 {
		w.fail("the table went from %d to %d positions", was, is)
	}
	a, err := distributor.Compile(before.Table)
	b, err2 := distributor.Compile(now.Table)
	if err != nil || err2 != nil {
		w.fail("tables: %v, %v", err, err2)
		return
	}
	moved := 0
	for row := range before.Rows {
		p, q := a.Position(row), b.Position(row)
		if p == q {
			continue
		}
		moved++
		if q != is-1 && is > was || p != was-1 && is < was {
			w.fail("from %d to %d positions: row %d moved from %d to %d", was, is, row, p, q)
		}
		if o := a.Owner(row); o >= 0 { // who owned it is asked next: nothing breaks
			former := before.Holders[o].AmphoraID
			list := b.Owners(row)
			if !slices.ContainsFunc(list[:min(2, len(list))], func(h int) bool { return now.Holders[h].AmphoraID == former }) {
				w.fail("row %d left %s, which is not asked next", row, former)
			}
		}
	}
	if most := before.Rows/max(was, is) + 1; moved > most {
		w.fail("%d rows moved, at most %d have to", moved, most)
	}
}

func nameAt(t distributor.Table, p int) string {
	if p >= len(t.Current.Holders) || t.Current.Holders[p] < 0 {
		return ""
	}
	return t.Holders[t.Current.Holders[p]].AmphoraID
}

type store struct{ w *world }

func (s store) ClusterState(context.Context, string) (st lb.ClusterState, err error) {
	leave, err := s.w.enter()
	if err != nil {
		return st, err
	}
	defer leave(&err)
	return s.w.state(), nil
}

func (s store) UpdateCluster(_ context.Context, lease lb.Lease, change func(*lb.ClusterState) (lb.Outcome, error)) (err error) {
	leave, err := s.w.enter()
	if err != nil {
		return err
	}
	defer leave(&err)
	if lease.Epoch != s.w.epoch {
		return lb.ErrFenced
	}
	st := s.w.state()
	s.w.mu.Unlock() // the change asks for the time
	o, err := change(&st)
	s.w.mu.Lock()
	if err != nil {
		return err
	}
	s.w.commit(st)
	s.w.events, s.w.wakes = append(s.w.events, o.Events...), append(s.w.wakes, o.Wakes...)
	return nil
}

func (s store) AssignDistributor(context.Context, lb.Lease) (d lb.Distributor, err error) {
	leave, err := s.w.enter()
	if err != nil {
		return d, err
	}
	defer leave(&err)
	if s.w.dist == nil {
		s.w.dist = &lb.Distributor{ID: distID, Status: lb.AmphoraPendingCreate}
	}
	s.w.cluster.DistributorID = distID
	return *s.w.dist, nil
}

func (s store) Distributor(context.Context, string) (lb.Distributor, lb.InstanceHealth, []string, error) {
	return lb.Distributor{}, lb.InstanceHealth{}, nil, errors.New("not asked in this world")
}

func (s store) UpdateDistributor(context.Context, lb.Lease, func(*lb.Distributor) (lb.Outcome, error)) error {
	return errors.New("not asked in this world")
}

type ampAgent struct{ w *world }

func (g ampAgent) Status(_ context.Context, amp lb.Amphora) (st amphora.Status, err error) {
	leave, err := g.w.enter()
	if err != nil {
		return st, err
	}
	defer leave(&err)
	m := g.w.machines[amp.ID]
	if m == nil || !m.answers() {
		return st, errors.New("no answer")
	}
	st = amphora.Status{AmphoraID: amp.ID, HAProxy: "up", HeldElsewhere: m.held, TableApplied: lb.Stamp{Revision: m.table}}
	if m.haproxyDown {
		st.HAProxy = "down"
	}
	return st, nil
}

func (g ampAgent) PutTable(_ context.Context, amp lb.Amphora, doc amphora.TableDocument) (st amphora.Status, err error) {
	leave, err := g.w.enter()
	if err != nil {
		return st, err
	}
	defer leave(&err)
	m := g.w.machines[amp.ID]
	if m == nil || !m.answers() {
		return st, errors.New("no answer")
	}
	if m.refuses {
		return st, errors.New("refused")
	}
	in, _, _ := cluster.DecodeInstall(g.w.cluster.Table)
	if in.Change == cluster.Removing && g.w.distTable < doc.Table.Version {
		g.w.fail("table %d removes somebody and is at %s before the distributor has it", doc.Table.Version, amp.ID)
	}
	if doc.Table.Version < m.table {
		g.w.fail("table version of %s fell from %d to %d", amp.ID, m.table, doc.Table.Version)
	}
	m.table = doc.Table.Version
	return st, nil
}

type distAgent struct{ w *world }

func (g distAgent) Status(context.Context, lb.Distributor) (distributor.Status, error) {
	return distributor.Status{}, errors.New("not asked in this world")
}

func (g distAgent) PlugVIP(context.Context, lb.Distributor, distributor.VIPPlug) (st distributor.LBStatus, err error) {
	leave, err := g.w.enter()
	if err != nil {
		return st, err
	}
	defer leave(&err)
	g.w.distPlugged = true
	return g.w.lbStatus(), nil
}

func (g distAgent) Register(_ context.Context, _ lb.Distributor, r distributor.Registrations) (st distributor.LBStatus, err error) {
	leave, err := g.w.enter()
	if err != nil {
		return st, err
	}
	defer leave(&err)
	w := g.w
	if w.distAway {
		return st, errors.New("no answer")
	}
	if happen := w.registering; happen != nil {
		w.registering = nil
		happen()
	}
	if w.distForgot {
		w.distForgot, w.distPlugged = false, false
		return st, lb.Faultf(lb.KindNotFound, "no such load balancer")
	}
	if r.Table.Version < w.distTable {
		w.fail("the distributor's table fell from %d to %d", w.distTable, r.Table.Version)
	}
	if n := len(w.swaps); n > 0 && w.swaps[n-1].Seq > r.Table.TakenSwap {
		return st, &distributor.SwapsError{Swaps: w.lbStatus().Swaps}
	}
	in, _, _ := cluster.DecodeInstall(w.cluster.Table)
	if in.Change == cluster.Adding {
		for _, h := range r.Table.Holders {
			if a, m := w.row(h.AmphoraID), w.machines[h.AmphoraID]; a != nil && m != nil && !a.OutOfService && m.answers() && !m.refuses && m.table < r.Table.Version {
				w.fail("table %d at the distributor before %s has it", r.Table.Version, h.AmphoraID)
			}
		}
	}
	effective := w.effective()
	w.distTable, w.taken = r.Table.Version, r.Table.TakenSwap
	w.distCurrent, w.distStandby = make([]string, len(r.Table.Current.Holders)), nil
	for p := range w.distCurrent {
		w.distCurrent[p] = nameAt(r.Table, p)
		if m := w.machines[w.distCurrent[p]]; m != nil {
			m.served = true
		}
		if p < len(effective) && effective[p] != w.distCurrent[p] && w.machines[effective[p]] != nil {
			w.machines[effective[p]].held = 3
		}
	}
	for p := len(w.distCurrent); p < len(effective); p++ { // given up
		if m := w.machines[effective[p]]; m != nil {
			m.held = 3
		}
	}
	for _, i := range r.Table.Standbys {
		w.distStandby = append(w.distStandby, r.Table.Holders[i].AmphoraID)
	}
	return w.lbStatus(), nil
}

func (g distAgent) UnplugVIP(context.Context, lb.Distributor, string, lb.Stamp) (err error) {
	leave, err := g.w.enter()
	if err != nil {
		return err
	}
	defer leave(&err)
	g.w.distPlugged, g.w.distTable, g.w.distCurrent, g.w.distStandby = false, 0, nil, nil
	return nil
}

type computer struct{ w *world }

func (c computer) Probe(context.Context) error { return nil }

func (c computer) Ensure(_ context.Context, spec compute.Spec) (in compute.Instance, err error) {
	leave, err := c.w.enter()
	if err != nil {
		return in, err
	}
	defer leave(&err)
	if spec.Agent.Heartbeat.Key == "" || len(spec.Files) != 3 {
		c.w.fail("instance %s without key or certificate", spec.ID)
	}
	if c.w.broken != "" {
		return compute.Instance{State: compute.StateError, Reason: c.w.broken}, nil
	}
	if c.w.machines[spec.ID] == nil {
		c.w.machines[spec.ID] = &machine{running: true, hung: c.w.noBoot}
	}
	return compute.Instance{ID: spec.ID, ComputeID: "i-" + spec.ID, State: compute.StateRunning}, nil
}

func (c computer) List(context.Context) (l []compute.Instance, err error) {
	leave, err := c.w.enter()
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	for id := range c.w.machines {
		l = append(l, compute.Instance{ID: id, Kind: compute.KindAmphora, State: compute.StateRunning})
	}
	return l, nil
}

func (c computer) Delete(_ context.Context, id string) (err error) {
	leave, err := c.w.enter()
	if err != nil {
		return err
	}
	defer leave(&err)
	w := c.w
	m, a := w.machines[id], w.row(id)
	if m != nil && a != nil && w.lbRow.ProvisioningStatus != lb.PendingDelete {
		if slices.Contains(w.effective(), id) {
			w.fail("%s is deleted while the distributor sends to it", id)
		}
	}
	delete(w.machines, id)
	return nil
}

func (c computer) Plug(context.Context, string, string) (err error) {
	leave, err := c.w.enter()
	if err != nil {
		return err
	}
	defer leave(&err)
	return nil
}
func (c computer) Unplug(ctx context.Context, id, p string) error { return c.Plug(ctx, id, p) }
func (c computer) BuildBudget() time.Duration                     { return 0 }

type netw struct {
	network.Driver // what nobody here asks for
	w              *world
}

func (n netw) Probe(context.Context) error { return nil }
func (n netw) Subnet(context.Context, string) (network.Subnet, error) {
	return network.Subnet{}, nil
}

func (n netw) Network(context.Context, string) (network.Network, error) {
	return network.Network{}, nil
}

func (n netw) EnsurePort(_ context.Context, spec network.PortSpec) (p network.Port, err error) {
	leave, err := n.w.enter()
	if err != nil {
		return p, err
	}
	defer leave(&err)
	if p, ok := n.w.ports[spec.ID]; ok {
		return p, nil
	}
	i := len(n.w.ports)
	for {
		i++
		p = network.Port{ID: spec.ID, OwnerID: spec.OwnerID, Address: fmt.Sprintf("198.18.%d.%d", i/250, i%250), MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", i/256, i%256)}
		used := false
		for _, q := range n.w.ports {
			used = used || q.MAC == p.MAC
		}
		if !used {
			break
		}
	}
	n.w.ports[spec.ID] = p
	return p, nil
}

func (n netw) Port(_ context.Context, id string) (p network.Port, err error) {
	leave, err := n.w.enter()
	if err != nil {
		return p, err
	}
	defer leave(&err)
	return n.w.ports[id], nil
}

func (n netw) DeletePort(_ context.Context, id string) (err error) {
	leave, err := n.w.enter()
	if err != nil {
		return err
	}
	defer leave(&err)
	delete(n.w.ports, id)
	return nil
}

func (n netw) Ports(_ context.Context, owner string) (l []network.Port, err error) {
	leave, err := n.w.enter()
	if err != nil {
		return nil, err
	}
	defer leave(&err)
	for _, p := range n.w.ports {
		if owner == "" || p.OwnerID == owner {
			l = append(l, p)
		}
	}
	return l, nil
}

type issuer struct{}

func (issuer) Issue(cert.Identity, []net.IP, time.Duration) (cert.Bundle, error) {
	return cert.Bundle{CertPEM: []byte("c"), KeyPEM: []byte("k"), CAPEM: []byte("a")}, nil
}

// unsettled says what is missing for a cluster at its desired size, "" if nothing is.
func (w *world) unsettled() string {
	in, has, _ := cluster.DecodeInstall(w.cluster.Table)
	if !has {
		return "there is no table"
	}
	if w.distTable != in.Version {
		return fmt.Sprintf("the distributor has table %d of %d", w.distTable, in.Version)
	}
	var holders []string
	for p := range in.Current.Holders {
		id := nameAt(in.Table, p)
		if m := w.machines[id]; m == nil || !m.flawless() || m.table != in.Version {
			return fmt.Sprintf("position %d is held by %q, which does not serve", p, id)
		}
		holders = append(holders, id)
	}
	if len(holders) != w.cluster.DesiredSize {
		return fmt.Sprintf("%d positions of %d", len(holders), w.cluster.DesiredSize)
	}
	if len(in.Standbys) != w.cluster.StandbySize || len(w.distStandby) != w.cluster.StandbySize {
		return fmt.Sprintf("%d standbys", len(in.Standbys))
	}
	if want := len(holders) + w.cluster.StandbySize; len(w.amphorae) != want || len(w.machines) != want || len(w.ports) != 2*want+1 {
		return fmt.Sprintf("%d rows, %d instances and %d ports, want %d amphorae", len(w.amphorae), len(w.machines), len(w.ports), want)
	}
	if w.cluster.OperatingStatus != lb.Online || w.cluster.StandbyReady != w.cluster.StandbySize {
		return fmt.Sprintf("status %s, %d standbys ready", w.cluster.OperatingStatus, w.cluster.StandbyReady)
	}
	if !w.cluster.FailoverRequestedAt.IsZero() {
		return "a failover is still asked for"
	}
	return ""
}

// settle runs the manager, a second at a time, until the cluster is as it should be.
func (w *world) settle(a *cluster.Actor, seconds int) {
	why := ""
	var err error
	for range seconds {
		_, err = w.reconcile(a)
		if why = w.unsettled(); why == "" && err == nil {
			return
		}
		w.tick()
	}
	w.stop("not settled after %d s: %s (last error: %v)\n%s", seconds, why, err, w.history())
}

func (w *world) history() string {
	text := ""
	for _, e := range w.events {
		text += fmt.Sprintf("%s %.8s %s: %s\n", e.At.Format("04:05"), e.ObjectID, e.Action, e.Reason)
	}
	for _, a := range w.amphorae {
		text += fmt.Sprintf("%.8s %s %s pos %d out %v draining %v rev %d: %+v\n", a.ID, a.Status, a.Role, a.Position, a.OutOfService, !a.DrainingSince.IsZero(), a.AppliedRevision, w.machines[a.ID])
	}
	return text + w.cluster.Table
}

// ids of machines in a stable order: by row.
func (w *world) ids() []string {
	var ids []string
	for _, a := range w.amphorae {
		if w.machines[a.ID] != nil {
			ids = append(ids, a.ID)
		}
	}
	sort.SliceStable(ids, func(i, j int) bool { return w.row(ids[i]).Position < w.row(ids[j]).Position })
	return ids
}

// built is a world with a settled cluster.
func built(t *testing.T) (*world, *cluster.Actor) {
	w := newWorld(t)
	a := w.actor()
	w.settle(a, 20)
	return w, a
}
