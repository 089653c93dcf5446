package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"colonnade/internal/api"
	"colonnade/internal/api/neutron"
	"colonnade/internal/cluster"
	"colonnade/internal/health"
	"colonnade/internal/housekeeping"
	"colonnade/internal/lb"
	"colonnade/internal/queue"
	"colonnade/internal/worker"
)

// role opens what a role listens on and returns what it runs.
type role func(ctx context.Context, p *controlPlane) ([]runner, error)

// runner runs until its ctx ends. One that is never run is closed.
type runner struct {
	run    func(ctx context.Context) error
	closer io.Closer // nil when there is nothing open
}

func (r runner) close() {
	if r.closer != nil {
		_ = r.closer.Close() // nobody used it
	}
}

// everyRole is what "up" plays.
var everyRole = []role{roleAPI, roleWorker, roleACM, roleHealth, roleHousekeeping}

// reconcilers is how many load balancers one kind of work looks after at once. They mostly wait for agents.
const reconcilers = 8

// reconciling runs a kind of work.
func (p *controlPlane) reconciling(kind string, r queue.Reconciler) runner {
	r = p.metrics.Reconciler(r)
	return runner{run: func(ctx context.Context) error { return p.queue.Run(ctx, kind, reconcilers, r) }}
}

func roleAPI(ctx context.Context, p *controlPlane) ([]runner, error) {
	c := p.conf.Cluster
	operator, _ := p.network.(api.NetworkOperator) // nil: networks are not ours to make
	ports, _ := p.network.(api.PortOperator)
	networks, _ := p.network.(neutron.Networks)
	deps := api.Deps{
		Neutron: networks,
		Store:   p.store, Networks: p.network, Operator: operator, Ports: ports, Provider: provider(p.conf), Certificates: certificates(p), Vault: p.vault, Log: p.log, Observe: p.metrics.API(),
		Settings: api.Settings{
			Shape: lb.Shape{
				DesiredSize: c.DesiredSize, MinSize: c.MinSize, StandbySize: c.StandbySize,
				Type: c.Type, Affinity: lb.AffinitySourceIP, Sharing: lb.SharingProject,
			}.In(lb.Topology(c.Topology)),
			Cooldown:           time.Duration(c.Cooldown),
			AcceptWhilePending: p.conf.API.AcceptWhilePending, Rules: p.conf.Rules.Domain(), TenantRanges: p.conf.Network.TenantRanges(),
		},
	}
	deps.Edge = api.Edge{BaseURI: p.conf.API.BaseURI, TrustedProxies: p.conf.API.Proxies(), PageLimit: p.conf.API.PaginationMaxLimit}
	if err := p.openIdentity(&deps); err != nil {
		return nil, err
	}
	if p.conf.API.Healthcheck {
		deps.Check = p.store.Ping
	}
	handler, err := api.New(deps)
	if err != nil {
		return nil, err
	}
	r, address, err := serving(ctx, "API", p.conf.API.Listen, api.NewServer(handler))
	if err != nil {
		return nil, err
	}
	if err := p.writeClouds(ctx, address); err != nil {
		r.close()
		return nil, err
	}
	p.log.InfoContext(ctx, "api listens", "listen", address)
	return []runner{r}, nil
}

func roleWorker(_ context.Context, p *controlPlane) ([]runner, error) {
	p.metrics.Work()
	return []runner{p.reconciling(lb.WorkWorker, worker.New(worker.Deps{
		Store: p.store, Amphorae: p.amphorae, Compute: p.compute, Network: p.network,
		Settings: worker.Settings{
			SecondChance: p.conf.Cluster.SecondChance, DefaultConnectionLimit: p.conf.Cluster.DefaultConnectionLimit,
		},
		Secrets: secrets(p), Now: time.Now, Log: p.log,
	}))}, nil
}

func roleACM(_ context.Context, p *controlPlane) ([]runner, error) {
	spec := cluster.DefaultSpec(p.compute.BuildBudget())
	spec.DrainDeadline = time.Duration(p.conf.Cluster.DrainTimeout)
	spec.CertificateValidity = time.Duration(p.conf.Cluster.CertificateValidity)
	deps := cluster.Deps{
		Store: p.store, Amphorae: p.amphorae, Distributors: p.distributors,
		Compute: p.compute, Network: p.network, Issuer: p.ca, Certificates: p.certificates, Fleet: cluster.FleetOf(p.store),
		HeartbeatTargets: p.network.HeartbeatTargets(), Spec: spec, Now: time.Now, Log: p.log, Observe: p.metrics.Cluster(),
	}
	p.metrics.Work()
	return []runner{
		p.reconciling(lb.WorkACM, cluster.NewActor(deps)),
		p.reconciling(lb.WorkDistributor, cluster.NewDistributorReconciler(deps)),
	}, nil
}

func roleHealth(ctx context.Context, p *controlPlane) ([]runner, error) {
	conn, address, err := p.network.ListenHeartbeats(ctx)
	if err != nil {
		return nil, err
	}
	listen := func(context.Context) (net.PacketConn, string, error) { return conn, address, nil }
	r := health.New(health.Deps{Store: p.store, Listen: listen, Now: time.Now, Log: p.log})
	p.metrics.Heartbeats(r.Counters())
	return []runner{{run: r.Run, closer: conn}}, nil
}

func roleHousekeeping(_ context.Context, p *controlPlane) ([]runner, error) {
	conf := p.conf.Housekeeping
	r := housekeeping.New(housekeeping.Deps{
		Store: p.store, Compute: p.compute, Network: p.network, Now: time.Now, Log: p.log,
		Every: time.Duration(conf.Every), MinAge: time.Duration(conf.MinAge), KeepDeleted: time.Duration(conf.KeepDeleted),
	})
	return []runner{{run: r.Run}}, nil
}

// showMetrics is part of every process, unless it is switched off.
func showMetrics(ctx context.Context, p *controlPlane) ([]runner, error) {
	if p.conf.Metrics.Listen == "" {
		return nil, nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p.metrics.Handler())
	if p.conf.Metrics.Profile {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	r, address, err := serving(ctx, "metrics", p.conf.Metrics.Listen, api.NewServer(mux))
	if err != nil {
		return nil, err
	}
	p.log.InfoContext(ctx, "metrics shown", "listen", address)
	return []runner{r}, nil
}
