package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"colonnade/internal/agentrest"
	"colonnade/internal/amphora"
	"colonnade/internal/api"
	"colonnade/internal/cert"
	"colonnade/internal/cluster"
	"colonnade/internal/config"
	"colonnade/internal/distributor"
	"colonnade/internal/health"
	"colonnade/internal/housekeeping"
	"colonnade/internal/identity"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/queue"
	"colonnade/internal/store"
	"colonnade/internal/worker"
)

type upCommand struct {
	StateDir string `default:"/var/lib/colonnade" env:"COLONNADE_STATE_DIR" type:"path" placeholder:"DIR" help:"Where the control plane keeps its database, keys and instances."`
	Config   string `env:"COLONNADE_CONFIG" type:"path" placeholder:"FILE" help:"Configuration file (TOML); without one the defaults hold."`
	Listen   string `placeholder:"ADDRESS:PORT" help:"Where the API listens; overrides the configuration (127.0.0.1:9876)."`
}

// Run is the control plane: all roles in one process, until it is told to stop. Data planes outlive it.
func (c *upCommand) Run() error {
	conf, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	if c.Listen != "" {
		conf.API.Listen = c.Listen
		if err := conf.Check(); err != nil {
			return err
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("colonnade up needs root: it makes network namespaces and loads kernel programs")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	dir, err := stateDir(c.StateDir).open()
	if err != nil {
		return err
	}
	unlock, err := dir.lock()
	if err != nil {
		return err
	}
	defer unlock()
	p, err := newControlPlane(ctx, dir, conf, newLogger(conf.Log))
	if err != nil {
		return err
	}
	return errors.Join(p.run(ctx), p.store.Close())
}

func newLogger(c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // config.Check has refused anything else
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}

// controlPlane is all roles of one process over one database.
type controlPlane struct {
	dir     stateDir
	conf    config.Config
	log     *slog.Logger
	store   *store.Store
	queue   *queue.Queue
	network networkDriver
	compute computeDriver
	agents  *agentrest.Client
	ca      *cert.Authority
	token   string
}

func newControlPlane(ctx context.Context, dir stateDir, conf config.Config, log *slog.Logger) (*controlPlane, error) {
	p := &controlPlane{dir: dir, conf: conf, log: log}
	dsn := conf.Database.DSN
	if dsn == "" {
		dsn = dir.path(databaseFile)
	}
	var err error
	if p.ca, err = cert.OpenAuthority(dir.path(authorityDir), time.Now); err != nil {
		return nil, err
	}
	if p.token, err = identity.EnsureToken(string(dir)); err != nil {
		return nil, err
	}
	if p.store, err = store.Open(ctx, dsn); err != nil {
		return nil, err
	}
	if err := p.openDrivers(ctx); err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	p.queue = queue.New(p.store, log)
	// The state directory is locked, so whoever holds leases in it is gone: a killed predecessor need not time out.
	if conf.Database.DSN == "" {
		if err := p.queue.ReleaseAll(ctx); err != nil {
			return nil, errors.Join(err, p.store.Close())
		}
	}
	shown := &controllerCertificate{authority: p.ca, now: time.Now}
	p.agents = agentrest.NewClient(p.network.DialContext, shown.bundle, time.Now)
	return p, nil
}

// openDrivers makes the drivers, brings the network into being and makes the declared networks.
func (p *controlPlane) openDrivers(ctx context.Context) (err error) {
	m := machine{dir: p.dir, conf: p.conf, store: p.store, log: p.log}
	if p.network, err = networkDrivers[p.conf.Network.Driver](m); err != nil {
		return err
	}
	if p.compute, err = computeDrivers[p.conf.Compute.Driver](m, p.network); err != nil {
		return err
	}
	for _, probe := range []func(context.Context) error{p.network.Probe, p.compute.Probe, p.network.Ensure} {
		if err := probe(ctx); err != nil {
			return err
		}
	}
	return p.declareNetworks(ctx)
}

// declareNetworks makes the networks that the configuration names and that are not there yet.
func (p *controlPlane) declareNetworks(ctx context.Context) error {
	existing, err := p.network.Networks(ctx)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, n := range existing {
		have[n.Name] = true
	}
	for _, n := range p.conf.Network.Networks {
		if have[n.Name] {
			continue
		}
		project := n.Project
		if project == "" {
			project = identity.DefaultProject
		}
		_, err := p.network.CreateNetwork(ctx, network.Network{
			Name: n.Name, ProjectID: project, Subnets: []network.Subnet{{Name: n.Name, CIDR: n.CIDR, GatewayIP: n.Gateway}},
		})
		if err != nil {
			return fmt.Errorf("make network %q of the configuration: %w", n.Name, err)
		}
	}
	return nil
}

// reconcilers is how many load balancers one kind of work looks after at once. They mostly wait for agents.
const reconcilers = 8

// run serves every role until ctx ends or one of them fails.
func (p *controlPlane) run(ctx context.Context) error {
	heartbeats, target, err := p.network.ListenHeartbeats(ctx)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", p.conf.API.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for the API: %w", err), heartbeats.Close())
	}
	handler, err := p.api()
	if err != nil {
		return errors.Join(err, listener.Close(), heartbeats.Close())
	}
	deps := cluster.Deps{
		Store: p.store, Amphorae: amphora.NewClient(p.agents), Distributors: distributor.NewClient(p.agents),
		Compute: p.compute, Network: p.network, Issuer: p.ca,
		Fleet: cluster.FleetOf(p.store), HeartbeatTargets: []string{target}, Spec: p.clusterSpec(), Now: time.Now, Log: p.log,
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.queue.Run(ctx, lb.WorkACM, reconcilers, cluster.NewActor(deps)) })
	g.Go(func() error {
		return p.queue.Run(ctx, lb.WorkDistributor, reconcilers, cluster.NewDistributorReconciler(deps))
	})
	g.Go(func() error { return p.queue.Run(ctx, lb.WorkWorker, reconcilers, p.worker()) })
	g.Go(func() error { return p.health(heartbeats, target).Run(ctx) })
	g.Go(func() error { return p.housekeeping().Run(ctx) })
	g.Go(func() error { return serve(ctx, listener, api.NewServer(handler)) })
	p.log.InfoContext(ctx, "control plane started", "listen", listener.Addr().String(), "state_dir", string(p.dir))
	err = g.Wait()
	p.log.InfoContext(ctx, "control plane stopped")
	return err
}

func (p *controlPlane) api() (http.Handler, error) {
	authenticator, err := identity.NewToken(p.token)
	if err != nil {
		return nil, err
	}
	c := p.conf.Cluster
	return api.New(api.Deps{
		Store: p.store, Networks: p.network, Operator: p.network, Identity: authenticator, Log: p.log,
		Settings: api.Settings{
			DesiredSize: c.DesiredSize, MinSize: c.MinSize, StandbySize: c.StandbySize, Cooldown: time.Duration(c.Cooldown),
		},
	})
}

func (p *controlPlane) clusterSpec() cluster.Spec {
	spec := cluster.DefaultSpec(p.compute.BuildBudget())
	spec.DrainDeadline = time.Duration(p.conf.Cluster.DrainTimeout)
	return spec
}

func (p *controlPlane) worker() *worker.Worker {
	return worker.New(worker.Deps{
		Store: p.store, Amphorae: amphora.NewClient(p.agents), Compute: p.compute, Network: p.network,
		Settings: worker.Settings{
			SecondChance: p.conf.Cluster.SecondChance, DefaultConnectionLimit: p.conf.Cluster.DefaultConnectionLimit,
		},
		Now: time.Now, Log: p.log,
	})
}

// health listens on the socket that was opened before, because agents are told its address.
func (p *controlPlane) health(conn net.PacketConn, target string) *health.Role {
	listen := func(context.Context) (net.PacketConn, string, error) { return conn, target, nil }
	return health.New(health.Deps{Store: p.store, Listen: listen, Now: time.Now, Log: p.log})
}

func (p *controlPlane) housekeeping() *housekeeping.Role {
	return housekeeping.New(housekeeping.Deps{Store: p.store, Compute: p.compute, Network: p.network, Now: time.Now, Log: p.log})
}

// drainTimeout is how long requests under way may take after the API stopped listening.
const drainTimeout = 5 * time.Second

func serve(ctx context.Context, ln net.Listener, srv *http.Server) error {
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close() // long-running answers are cut off; their clients see it
	}
	<-done
	return nil
}
