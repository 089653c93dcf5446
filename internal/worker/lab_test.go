package worker_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/cert"
	"colonnade/internal/cluster"
	"colonnade/internal/compute"
	"colonnade/internal/distributor"
	"colonnade/internal/health"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
	"colonnade/internal/worker"
)

// lab is a control plane with its real store, queue and roles, over instances that only exist in memory but send real
// heartbeats.
type lab struct {
	*store.Store
	t *testing.T

	mu      sync.Mutex
	agents  map[string]*agent
	ports   map[string]network.Port
	plugged map[string][]string
	refuse  func(ampID string, d amphora.Desired) error
	faults  faults
	// unpluggable is an amphora that takes no port; budget what the compute driver says of itself.
	unpluggable string
	budget      time.Duration
	ahead       time.Duration // of the worker's clock
	collector   string
}

// agent is one instance of either kind.
type agent struct {
	id, kind string
	boot     string
	stop     context.CancelFunc
	kick     chan struct{}
	amp      amphora.Status
	doc      amphora.Desired
	dist     map[string]*distributor.LBStatus
	current  map[string][]string
}

func newLab(t *testing.T) *lab {
	l := &lab{Store: storetest.Open(t, storetest.File(t)), t: t, agents: map[string]*agent{}, ports: map[string]network.Port{}, plugged: map[string][]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.collector = conn.LocalAddr().String()
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	amps, comp, nets, rows := &faultyAmphorae{&l.faults, l}, &faultyCompute{&l.faults, computer{l}}, &faultyNetwork{&l.faults, netw{l: l}}, timedStore{l.Store, t}
	l.faults.t = t
	deps := cluster.Deps{
		Store: rows, Amphorae: amps, Distributors: &faultyDistributors{&l.faults, dist{l}}, Compute: comp, Network: nets, Issuer: issuer{},
		Fleet: cluster.FleetOf(l.Store), HeartbeatTargets: []string{l.collector}, ActTimeout: time.Second, Log: log,
	}
	q := queue.New(l.Store, log)
	w := worker.New(worker.Deps{Store: rows, Amphorae: amps, Compute: comp, Network: nets, PortTimeout: time.Second, Now: l.now, Log: log})
	role := health.New(health.Deps{Store: l.Store, Log: log, Listen: func(context.Context) (net.PacketConn, string, error) { return conn, l.collector, nil }})
	var wg sync.WaitGroup
	for _, run := range []func() error{
		func() error { return q.Run(ctx, lb.WorkACM, 4, cluster.NewActor(deps)) },
		func() error { return q.Run(ctx, lb.WorkDistributor, 2, cluster.NewDistributorReconciler(deps)) },
		func() error { return q.Run(ctx, lb.WorkWorker, 4, w) },
		func() error { return role.Run(ctx) },
	} {
		wg.Go(func() {
			if err := run(); err != nil {
				t.Errorf("role ended: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, a := range l.agents {
			a.stop()
		}
	})
	return l
}

// now is the worker's clock.
func (l *lab) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Add(l.ahead)
}

// pass lets time pass for the worker.
func (l *lab) pass(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead += d
}

// await polls until what reports nothing missing any more.
func (l *lab) await(missing func() string) {
	l.t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		why := missing()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			events, _ := l.Events(l.t.Context(), "lb1", 40)
			for _, e := range slices.Backward(events) {
				l.t.Logf("%s %s %.8s %s: %s", e.At.Format("05.000"), e.Actor, e.ObjectID, e.Action, e.Reason)
			}
			l.t.Fatalf("still missing: %s", why)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (l *lab) with(id string, f func(*agent)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.agents[id]
	if !ok {
		return errors.New("no answer")
	}
	f(a)
	select {
	case a.kick <- struct{}{}:
	default:
	}
	return nil
}

// kill ends an instance without a goodbye; the distributor swaps a standby in, as it does in 150 ms.
func (l *lab) kill(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.agents[id].stop()
	delete(l.agents, id)
	for _, d := range l.agents {
		for lbID, st := range d.dist {
			st.Silent = append(st.Silent, id)
			for p, pos := range st.Positions {
				if pos.AmphoraID == id && len(d.current[lbID]) > 0 {
					st.Swaps = append(st.Swaps, distributor.Swap{Seq: 1, Position: p, AmphoraID: id, StandbyID: d.current[lbID][0], Reason: "probe"})
				}
			}
			d.kick <- struct{}{}
		}
	}
}

func (l *lab) Status(_ context.Context, amp lb.Amphora) (st amphora.Status, err error) {
	err = l.with(amp.ID, func(a *agent) { st = a.amp })
	return st, err
}

func (l *lab) PutTable(_ context.Context, amp lb.Amphora, doc amphora.TableDocument) (st amphora.Status, err error) {
	err = l.with(amp.ID, func(a *agent) {
		a.amp.TableApplied = doc.Stamp
		st = a.amp
	})
	return st, err
}

func (l *lab) PutDocument(_ context.Context, amp lb.Amphora, doc amphora.Desired) (st amphora.Status, err error) {
	l.mu.Lock()
	refuse := l.refuse
	l.mu.Unlock()
	if refuse != nil {
		if err := refuse(amp.ID, doc); err != nil {
			return st, err
		}
	}
	err = l.with(amp.ID, func(a *agent) {
		a.doc, a.amp.DocumentApplied, a.amp.HAProxy = doc, doc.Stamp, "up"
		a.amp.Listeners, a.amp.Members = nil, map[string]string{}
		for _, li := range doc.Listeners {
			a.amp.Listeners = append(a.amp.Listeners, amphora.ListenerStats{ListenerID: li.ID})
		}
		for _, p := range doc.Pools {
			for _, m := range p.Members {
				a.amp.Members[m.ID] = "UP"
			}
		}
		st = a.amp
	})
	return st, err
}

type dist struct{ l *lab }

func (d dist) Status(_ context.Context, row lb.Distributor) (st distributor.Status, err error) {
	err = d.l.with(row.ID, func(a *agent) { st = distributor.Status{DistributorID: a.id, BootID: a.boot} })
	return st, err
}

func (d dist) PlugVIP(_ context.Context, row lb.Distributor, p distributor.VIPPlug) (st distributor.LBStatus, err error) {
	err = d.l.with(row.ID, func(a *agent) {
		if a.dist[p.LBID] == nil {
			a.dist[p.LBID] = &distributor.LBStatus{LBID: p.LBID}
		}
		a.dist[p.LBID].VIPApplied = p.Stamp
		st = *a.dist[p.LBID]
	})
	return st, err
}

func (d dist) Register(_ context.Context, row lb.Distributor, r distributor.Registrations) (st distributor.LBStatus, err error) {
	e := d.l.with(row.ID, func(a *agent) {
		s := a.dist[r.LBID]
		if s == nil {
			err = lb.Faultf(lb.KindNotFound, "not plugged")
			return
		}
		if n := len(s.Swaps); n > 0 && s.Swaps[n-1].Seq > r.Table.TakenSwap {
			err = &distributor.SwapsError{Swaps: s.Swaps}
			return
		}
		s.TableApplied, s.TableVersion, s.Swaps, s.Positions, s.Silent = r.Stamp, r.Table.Version, nil, nil, nil
		for p, h := range r.Table.Current.Holders {
			pos := distributor.Position{Position: p}
			if h >= 0 {
				pos.AmphoraID = r.Table.Holders[h].AmphoraID
			}
			s.Positions = append(s.Positions, pos)
		}
		a.current[r.LBID] = nil
		for _, i := range r.Table.Standbys {
			a.current[r.LBID] = append(a.current[r.LBID], r.Table.Holders[i].AmphoraID)
		}
		st = *s
	})
	return st, errors.Join(e, err)
}

func (d dist) UnplugVIP(_ context.Context, row lb.Distributor, lbID string, _ lb.Stamp) error {
	return d.l.with(row.ID, func(a *agent) { delete(a.dist, lbID) })
}

type computer struct{ l *lab }

func (c computer) Probe(context.Context) error { return nil }

func (c computer) Ensure(_ context.Context, s compute.Spec) (compute.Instance, error) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	made := compute.Instance{ID: s.ID, Kind: s.Kind, ComputeID: "i-" + s.ID, State: compute.StateRunning}
	if c.l.agents[s.ID] != nil {
		return made, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &agent{
		id: s.ID, kind: string(s.Kind), boot: fmt.Sprint(time.Now().UnixNano()), stop: cancel, kick: make(chan struct{}, 16),
		amp: amphora.Status{AmphoraID: s.ID, HAProxy: "idle"}, dist: map[string]*distributor.LBStatus{}, current: map[string][]string{},
	}
	c.l.agents[s.ID] = a
	key, _ := hex.DecodeString(s.Agent.Heartbeat.Key)
	sender := heartbeat.Sender{Targets: s.Agent.Heartbeat.Targets, Key: key}
	go func() {
		_ = sender.Run(ctx, func() heartbeat.Beat {
			c.l.mu.Lock()
			defer c.l.mu.Unlock()
			b := heartbeat.Beat{Kind: a.kind, ID: a.id, BootID: a.boot}
			if a.kind == heartbeat.KindAmphora {
				st := a.amp
				b.Amphora = &st
			} else {
				b.Distributor = &distributor.Status{DistributorID: a.id, BootID: a.boot}
				for _, s := range a.dist {
					b.Distributor.LoadBalancers = append(b.Distributor.LoadBalancers, *s)
				}
			}
			return b
		}, a.kick)
	}()
	return made, nil
}

func (c computer) List(context.Context) (all []compute.Instance, err error) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	for id := range c.l.agents {
		all = append(all, compute.Instance{ID: id, State: compute.StateRunning})
	}
	return all, nil
}

func (c computer) Delete(_ context.Context, id string) error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if a := c.l.agents[id]; a != nil {
		a.stop()
		delete(c.l.agents, id)
	}
	delete(c.l.plugged, id)
	return nil
}

func (c computer) Plug(_ context.Context, id, port string) error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if id == c.l.unpluggable {
		return errors.New("it takes no port")
	}
	if !slices.Contains(c.l.plugged[id], port) {
		c.l.plugged[id] = append(c.l.plugged[id], port)
	}
	return nil
}

func (c computer) Unplug(_ context.Context, id, port string) error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.plugged[id] = slices.DeleteFunc(c.l.plugged[id], func(p string) bool { return p == port })
	return nil
}

func (c computer) BuildBudget() time.Duration {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	return c.l.budget
}

type netw struct {
	network.Driver // what nobody here asks for
	l              *lab
}

func (n netw) Probe(context.Context) error { return nil }
func (n netw) Subnet(_ context.Context, id string) (network.Subnet, error) {
	if id == "nowhere" {
		return network.Subnet{}, lb.Faultf(lb.KindNotFound, "Subnet %s not found.", id)
	}
	return network.Subnet{ID: id, NetworkID: "net-of-" + id}, nil
}

func (n netw) Network(_ context.Context, id string) (network.Network, error) {
	return network.Network{ID: id}, nil
}

func (n netw) EnsurePort(_ context.Context, s network.PortSpec) (network.Port, error) {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	if p, ok := n.l.ports[s.ID]; ok {
		return p, nil
	}
	i := len(n.l.ports) + 10
	for n.taken(i) {
		i++
	}
	p := network.Port{ID: s.ID, Purpose: s.Purpose, OwnerID: s.OwnerID, Address: fmt.Sprintf("198.18.%d.%d", i/250, i%250), MAC: mac(i), CIDR: "198.18.0.0/16"}
	n.l.ports[s.ID] = p
	return p, nil
}

func mac(i int) string { return fmt.Sprintf("02:00:00:00:%02x:%02x", i/256, i%256) }

func (n netw) taken(i int) bool {
	for _, p := range n.l.ports {
		if p.MAC == mac(i) {
			return true
		}
	}
	return false
}

func (n netw) Port(_ context.Context, id string) (network.Port, error) {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	if p, ok := n.l.ports[id]; ok {
		return p, nil
	}
	return network.Port{}, lb.Faultf(lb.KindNotFound, "Port %s not found.", id)
}

func (n netw) ReleasePort(ctx context.Context, id string) error { return n.DeletePort(ctx, id) }

func (n netw) DeletePort(_ context.Context, id string) error {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	delete(n.l.ports, id)
	return nil
}

func (n netw) Ports(_ context.Context, owner string) (all []network.Port, err error) {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	for _, p := range n.l.ports {
		if owner == "" || p.OwnerID == owner {
			all = append(all, p)
		}
	}
	return all, nil
}

type issuer struct{}

func (issuer) Issue(cert.Identity, []net.IP, time.Duration) (cert.Bundle, error) {
	return cert.Bundle{NotAfter: time.Now().Add(time.Hour)}, nil
}
