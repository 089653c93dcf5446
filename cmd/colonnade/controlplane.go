package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"colonnade/internal/agentrest"
	"colonnade/internal/amphora"
	"colonnade/internal/api"
	"colonnade/internal/cert"
	"colonnade/internal/cluster"
	"colonnade/internal/config"
	"colonnade/internal/distributor"
	"colonnade/internal/identity"
	"colonnade/internal/metrics"
	"colonnade/internal/network"
	"colonnade/internal/queue"
	"colonnade/internal/secret"
	"colonnade/internal/store"
	"colonnade/internal/worker"
)

// controlPlane is what every role stands on, made in the same way whichever of them a process plays.
type controlPlane struct {
	name    string // of the role, or "up"
	dir     stateDir
	conf    config.Config
	log     *slog.Logger
	store   *store.Store
	queue   *queue.Queue
	network networkDriver
	compute computeDriver
	ca      *cert.Authority
	token   string
	vault   *secret.Vault
	metrics *metrics.Metrics

	amphorae     amphoraAgent
	distributors cluster.DistributorAgent
	certificates cluster.CertificateAgent // nil: agents have none
}

// amphoraAgent is how the control plane speaks to amphorae.
type amphoraAgent interface {
	cluster.AmphoraAgent
	worker.AmphoraAgent
}

func newControlPlane(ctx context.Context, name string, dir stateDir, conf config.Config, log *slog.Logger) (*controlPlane, error) {
	p := &controlPlane{name: name, dir: dir, conf: conf, log: log, metrics: metrics.New(name)}
	started, err := dir.starting()
	if err != nil {
		return nil, err
	}
	defer started()
	dsn := conf.Database.DSN
	if dsn == "" {
		dsn = dir.path(databaseFile)
	}
	if p.ca, err = cert.OpenAuthority(dir.path(authorityDir), time.Now); err != nil {
		return nil, err
	}
	if p.token, err = identity.EnsureToken(string(dir)); err != nil {
		return nil, err
	}
	if p.store, err = store.Open(ctx, dsn, store.WithQuota(conf.Quotas.Quota())); err != nil {
		return nil, err
	}
	if err = dir.claim(ctx, conf, p.store); err == nil {
		err = p.openDrivers(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	if err := p.openVault(); err != nil {
		return nil, errors.Join(err, p.store.Close())
	}
	p.queue = queue.New(p.store, log)
	p.metrics.Database(p.store.Counts)
	p.openAgents()
	return p, nil
}

// openAgents makes the clients of agents.
func (p *controlPlane) openAgents() {
	if c, ok := p.compute.(*noopCompute); ok {
		p.amphorae, p.distributors = c.amphorae, c.distributors
		return
	}
	shown := &controllerCertificate{authority: p.ca, now: time.Now}
	agents := agentrest.NewClient(p.network.DialContext, shown.bundle, time.Now)
	agents.Observe(p.metrics.AgentCalls())
	p.amphorae, p.distributors, p.certificates = amphora.NewClient(agents), distributor.NewClient(agents), agents
}

// openDrivers makes the drivers, brings the network into being and makes the declared networks.
func (p *controlPlane) openDrivers(ctx context.Context) (err error) {
	if p.conf.IsNoop() {
		if err := refuseForgotten(ctx, p.store); err != nil {
			return err
		}
	}
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
	operator, ok := p.network.(api.NetworkOperator)
	if !ok {
		return nil // config.Check has refused to declare any
	}
	existing, err := operator.Networks(ctx)
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
		_, err := operator.CreateNetwork(ctx, network.Network{
			Name: n.Name, ProjectID: project, External: n.External, Shared: n.Shared,
			Subnets: []network.Subnet{{Name: n.Name, CIDR: n.CIDR, GatewayIP: n.Gateway, AmphoraPool: n.AmphoraPool}},
		})
		if err != nil {
			return fmt.Errorf("make network %q of the configuration: %w", n.Name, err)
		}
	}
	return nil
}

// releaseLeases gives back what a killed predecessor held, so that it need not time out. It is for who is alone on the
// state directory and has its database there: only then is whoever holds leases gone for sure.
func (p *controlPlane) releaseLeases(ctx context.Context) error {
	if p.conf.Database.DSN != "" {
		return nil
	}
	return p.queue.ReleaseAll(ctx)
}

// play serves roles until ctx ends or one of them fails. Every socket is open before any role runs.
func (p *controlPlane) play(ctx context.Context, roles []role) error {
	var opened []runner
	for _, open := range append([]role{showMetrics}, roles...) {
		runs, err := open(ctx, p)
		if err != nil {
			for _, r := range opened {
				r.close()
			}
			return err
		}
		opened = append(opened, runs...)
	}
	p.log.InfoContext(ctx, "control plane started", "role", p.name, "state_dir", string(p.dir))
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range opened {
		g.Go(func() error { return r.run(ctx) })
	}
	err := g.Wait()
	p.log.InfoContext(ctx, "control plane stopped", "role", p.name)
	return err
}
