package noop_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	amphoranoop "colonnade/internal/amphora/noop"
	"colonnade/internal/cert"
	"colonnade/internal/cluster"
	"colonnade/internal/compute"
	"colonnade/internal/compute/noop"
	distributornoop "colonnade/internal/distributor/noop"
	"colonnade/internal/health"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	networknoop "colonnade/internal/network/noop"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/store/storetest"
	"colonnade/internal/worker"
)

// plane is a control plane with its real store, queue, authority and roles over drivers that do nothing.
type plane struct {
	*store.Store
	t            *testing.T
	net          *networknoop.Driver
	compute      *noop.Driver
	distributors *distributornoop.Agents
}

func newPlane(t *testing.T, settings noop.Settings) *plane {
	t.Helper()
	p := &plane{Store: storetest.Open(t, storetest.File(t)), t: t, net: networknoop.New(), distributors: distributornoop.New(time.Now)}
	amphorae := amphoranoop.New()
	p.compute = noop.New(p.net, amphorae, p.distributors)
	ctx, cancel := context.WithCancel(context.Background())
	conn, target, err := p.net.ListenHeartbeats(ctx)
	must(t, err)
	authority, err := cert.OpenAuthority(t.TempDir(), time.Now)
	must(t, err)
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	deps := cluster.Deps{
		Store: p.Store, Amphorae: amphorae, Distributors: p.distributors, Compute: p.compute, Network: p.net, Issuer: authority,
		Fleet: cluster.FleetOf(p.Store), HeartbeatTargets: []string{target}, Log: log,
	}
	q := queue.New(p.Store, log)
	role := health.New(health.Deps{Store: p.Store, Log: log, Listen: func(context.Context) (net.PacketConn, string, error) { return conn, target, nil }})
	runs := []func() error{func() error { return p.compute.Run(ctx) }, func() error { return role.Run(ctx) }}
	if !settings.StayPending {
		w := worker.New(worker.Deps{Store: p.Store, Amphorae: amphorae, Compute: p.compute, Network: p.net, Log: log})
		runs = append(runs,
			func() error { return q.Run(ctx, lb.WorkACM, 8, cluster.NewActor(deps)) },
			func() error { return q.Run(ctx, lb.WorkDistributor, 2, cluster.NewDistributorReconciler(deps)) },
			func() error { return q.Run(ctx, lb.WorkWorker, 8, w) })
	}
	var wg sync.WaitGroup
	for _, run := range runs {
		wg.Go(func() {
			if err := run(); err != nil {
				t.Errorf("role ended: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create makes a complete load balancer as the API does, on a subnet that nobody has heard of before.
func (p *plane) create(project, subnetID string) string {
	p.t.Helper()
	ctx, id := p.t.Context(), uuid.NewString()
	subnet, err := p.net.Subnet(ctx, subnetID)
	must(p.t, err)
	vip, err := p.net.EnsurePort(ctx, network.PortSpec{
		ID: uuid.NewString(), NetworkID: subnet.NetworkID, SubnetID: subnet.ID, Purpose: network.PurposeVIP, OwnerID: id, ProjectID: project,
	})
	must(p.t, err)
	pool := uuid.NewString()
	tree, err := lb.NewTree(lb.LoadBalancer{
		ID: id, ProjectID: project, Enabled: true, Provider: "colonnade", VIPAddress: vip.Address, VIPPortID: vip.ID, VIPPortOwned: true,
		VIPSubnetID: subnet.ID, VIPNetworkID: subnet.NetworkID, Revision: 1,
	}, []lb.Listener{{
		ID: uuid.NewString(), Enabled: true, Protocol: lb.ProtocolHTTP, ProtocolPort: 80, ConnectionLimit: -1, DefaultPoolID: pool,
		TimeoutClientData: 50000, TimeoutMemberConnect: 5000, TimeoutMemberData: 50000,
	}}, []lb.Pool{{
		ID: pool, Enabled: true, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin, Members: []lb.Member{
			{ID: uuid.NewString(), Enabled: true, Address: "192.0.2.16", ProtocolPort: 80, Weight: 1},
			{ID: uuid.NewString(), Enabled: true, Address: "192.0.2.19", ProtocolPort: 80, Weight: 1, SubnetID: uuid.NewString()},
		},
	}})
	must(p.t, err)
	key := uuid.New()
	must(p.t, p.CreateTree(ctx, tree, lb.Cluster{
		Affinity: lb.AffinitySourceIP, Sharing: lb.SharingProject,
		ID: uuid.NewString(), LoadBalancerID: id, ProjectID: project, Type: "fixed", DesiredSize: 3, MinSize: 1, StandbySize: 1, Enabled: true,
		ProvisioningStatus: lb.PendingCreate, OperatingStatus: lb.Offline, ProbeKey: hex.EncodeToString(key[:]),
	}))
	return id
}

// active says what is missing for a load balancer that serves with all its amphorae.
func (p *plane) active(id string) string {
	tree, err := p.Tree(p.t.Context(), id)
	if err != nil {
		return err.Error()
	}
	if l := tree.LoadBalancer; l.ProvisioningStatus != lb.Active || l.OperatingStatus != lb.Online {
		return fmt.Sprintf("load balancer %s is %s, %s: %s", id, l.ProvisioningStatus, l.OperatingStatus, l.StatusReason)
	}
	s, err := p.ClusterState(p.t.Context(), id)
	if err != nil {
		return err.Error()
	}
	if s.Cluster.StandbyReady != 1 || len(s.Amphorae) != 4 {
		return fmt.Sprintf("%d standbys of %d amphorae", s.Cluster.StandbyReady, len(s.Amphorae))
	}
	return ""
}

// stalled is how long nothing may happen at all while something is missing. How long it takes is the machine's affair: what
// counts is that every step leads to the next, and that none waits for the net under lost wakes, which is minutes wide.
const stalled = time.Minute

// happened rises with every step that the roles get done; leases and looks are none.
func (p *plane) happened() (n int) {
	p.t.Helper()
	must(p.t, p.Reader().NewRaw("SELECT (SELECT count(*) FROM event) + (SELECT coalesce(sum(applied_revision + applied_table), 0) FROM amphora)").Scan(p.t.Context(), &n))
	return n
}

func (p *plane) await(missing func() string) {
	p.t.Helper()
	last, since := p.happened(), time.Now()
	for {
		why := missing()
		if why == "" {
			return
		}
		if now := p.happened(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > stalled {
			p.t.Fatalf("nothing has happened for %s and still missing: %s\n%s", stalled, why, p.standing())
		}
		time.Sleep(10 * time.Millisecond) // rows of a database: no event to wait for
	}
}

// standing is what a stall looks like.
func (p *plane) standing() string {
	var text strings.Builder
	for _, query := range []string{
		"SELECT action || ' ' || reason AS what, count(*) AS n FROM event GROUP BY what ORDER BY n DESC LIMIT 30",
		"SELECT 'load balancer ' || provisioning_status || ' ' || operating_status || ' ' || status_reason AS what, count(*) AS n FROM load_balancer GROUP BY what",
		"SELECT 'amphora ' || status || ' ' || role || ' revision ' || applied_revision || ' table ' || applied_table AS what, count(*) AS n FROM amphora GROUP BY what",
		"SELECT 'health ' || state AS what, count(*) AS n FROM instance_health GROUP BY what",
		"SELECT 'work of ' || kind || (CASE WHEN lease_id <> '' THEN ', leased' WHEN due_at / 1000 < unixepoch() THEN ', overdue' ELSE '' END) AS what, count(*) AS n FROM work_queue GROUP BY what",
	} {
		var rows []struct {
			What string
			N    int
		}
		if err := p.Reader().NewRaw(query).Scan(p.t.Context(), &rows); err != nil {
			fmt.Fprintln(&text, err)
		}
		for _, r := range rows {
			fmt.Fprintf(&text, "%5d %s\n", r.N, r.What)
		}
	}
	return text.String()
}

func (p *plane) delete(id string) {
	p.t.Helper()
	_, err := p.ChangeTree(p.t.Context(), id, "ann", func(tree *lb.Tree) error { return tree.DeleteLoadBalancer(true) })
	must(p.t, err)
}

// nothing says what is left of instances and ports; distributors outlive their load balancers.
func (p *plane) nothing() string {
	instances, err := p.compute.List(p.t.Context())
	must(p.t, err)
	for _, i := range instances {
		if i.Kind == compute.KindAmphora {
			return fmt.Sprintf("%d instances are left", len(instances))
		}
	}
	ports, err := p.net.Ports(p.t.Context(), "")
	must(p.t, err)
	for _, port := range ports {
		if port.Purpose != network.PurposeManagement {
			return fmt.Sprintf("%s port %s is left", port.Purpose, port.ID)
		}
	}
	return ""
}

func TestLife(t *testing.T) {
	p := newPlane(t, noop.Settings{})
	id := p.create("p1", uuid.NewString())
	began := time.Now()
	p.await(func() string { return p.active(id) })
	t.Logf("whole after %s", time.Since(began).Round(time.Millisecond))
	t.Run("one killed: a standby takes its place and another is built", func(t *testing.T) {
		s, err := p.ClusterState(t.Context(), id)
		must(t, err)
		victim := s.Amphorae[0].ID
		for _, a := range s.Amphorae {
			if a.Position == 0 {
				victim = a.ID
			}
		}
		p.compute.Kill(victim)
		p.distributors.SetSilent(victim, true)
		p.await(func() string {
			s, err := p.ClusterState(t.Context(), id)
			must(t, err)
			for _, a := range s.Amphorae {
				if a.ID == victim {
					return "the dead one is still there"
				}
			}
			return p.active(id)
		})
	})
	p.delete(id)
	p.await(p.nothing)
}

func TestStayPending(t *testing.T) {
	p := newPlane(t, noop.Settings{StayPending: true})
	id := p.create("p1", uuid.NewString())
	tree, err := p.Tree(t.Context(), id)
	must(t, err)
	if s := tree.LoadBalancer.ProvisioningStatus; s != lb.PendingCreate {
		t.Errorf("load balancer is %s", s)
	}
	if why := p.nothing(); why == "" {
		t.Error("the VIP's port is gone")
	}
	if instances, err := p.compute.List(t.Context()); err != nil || len(instances) > 0 {
		t.Errorf("instances %v, %v", instances, err)
	}
}

// TestManyAtOnce shows that the no-op drivers are no bottleneck and lose nothing.
func TestManyAtOnce(t *testing.T) {
	n := 40
	if os.Getenv("COLONNADE_LONG") == "1" {
		n = 200
	} else if testing.Short() {
		n = 10
	}
	p := newPlane(t, noop.Settings{})
	began := time.Now()
	subnet := uuid.NewString()
	var ids []string
	for i := range n {
		ids = append(ids, p.create(fmt.Sprintf("project-%d", i%4), subnet))
	}
	t.Logf("%d created after %s", n, time.Since(began).Round(time.Millisecond))
	all := func(f func(string) string) func() string {
		left := ids
		return func() string {
			for len(left) > 0 {
				if why := f(left[0]); why != "" {
					return fmt.Sprintf("%s, and %d more", why, len(left)-1)
				}
				left = left[1:]
			}
			return ""
		}
	}
	p.await(all(p.active))
	t.Logf("all whole after %s", time.Since(began).Round(time.Millisecond))
	ports, err := p.net.Ports(t.Context(), "")
	must(t, err)
	taken := map[string]string{}
	for _, port := range ports {
		at := port.NetworkID + " " + port.Address
		if taken[at] != "" {
			t.Errorf("ports %s and %s have address %s", taken[at], port.ID, port.Address)
		}
		taken[at] = port.ID
		if _, err := netip.ParseAddr(port.Address); err != nil {
			t.Error(err)
		}
	}
	for _, id := range ids {
		p.delete(id)
	}
	p.await(p.nothing)
	t.Logf("all gone after %s", time.Since(began).Round(time.Millisecond))
}
