package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"colonnade/internal/agentconf"
	"colonnade/internal/agentrest"
	"colonnade/internal/distributor/ebpf"
)

// Run is the agent: it adopts what it finds, then answers controllers, probes and sends heartbeats until ctx ends, and
// returns nil then. Forwarding goes on without it.
func Run(ctx context.Context, conf agentconf.Config, log *slog.Logger) error {
	a, err := Open(conf, Parts{
		Ports:     NamespacePorts{Prefix: conf.Place.TenantNamespace},
		Dataplane: ebpf.New(conf.Place.BPFDir),
		OpenWire:  OpenWire,
		Now:       time.Now,
	}, log)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return agentrest.NewServer(conf, Routes(a), log, time.Now).Run(ctx) })
	g.Go(func() error { return a.BeatUntil(ctx) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.Failed():
			return err
		}
	})
	return errors.Join(g.Wait(), a.Close())
}
