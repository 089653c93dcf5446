package main

import (
	"context"
	"errors"
	"net"
	"time"

	amphoranoop "colonnade/internal/amphora/noop"
	computenoop "colonnade/internal/compute/noop"
	distributornoop "colonnade/internal/distributor/noop"
	"colonnade/internal/network/bridge"
	networknoop "colonnade/internal/network/noop"
	"colonnade/internal/store"
)

// noopNetwork is the no-op network with a socket for heartbeats, which is open before anybody asks for its address.
type noopNetwork struct {
	*networknoop.Driver
	heartbeats net.PacketConn
	address    string
}

func newNoopNetwork(machine) (networkDriver, error) {
	return &noopNetwork{Driver: networknoop.New()}, nil
}

// Ensure opens the socket.
func (n *noopNetwork) Ensure(ctx context.Context) (err error) {
	n.heartbeats, n.address, err = n.Driver.ListenHeartbeats(ctx)
	return err
}

// ListenHeartbeats hands the socket over.
func (n *noopNetwork) ListenHeartbeats(context.Context) (net.PacketConn, string, error) {
	return n.heartbeats, n.address, nil
}

// HeartbeatTargets is the socket's address.
func (n *noopNetwork) HeartbeatTargets() []string { return []string{n.address} }

// Remove has nothing to remove.
func (n *noopNetwork) Remove(context.Context) error { return nil }

// Standing is nothing, always.
func (n *noopNetwork) Standing() (bridge.Standing, error) { return bridge.Standing{}, nil }

// noopCompute is the no-op compute driver with its agents, which are called without a network.
type noopCompute struct {
	*computenoop.Driver
	amphorae     *amphoranoop.Agents
	distributors *distributornoop.Agents
}

func newNoopCompute(_ machine, n networkDriver) (computeDriver, error) {
	amphorae, distributors := amphoranoop.New(), distributornoop.New(time.Now)
	return &noopCompute{Driver: computenoop.New(n, amphorae, distributors), amphorae: amphorae, distributors: distributors}, nil
}

// RemoveAll has nothing to remove: instances ended with their process.
func (c *noopCompute) RemoveAll(context.Context) error { return nil }

// runNoop sends the heartbeats of no-op instances.
func runNoop(_ context.Context, p *controlPlane) ([]runner, error) {
	c, ok := p.compute.(*noopCompute)
	if !ok {
		return nil, errors.New("the compute driver is not the no-op one")
	}
	return []runner{{run: c.Run}}, nil
}

// noopRoles is what "up" plays with no-op drivers. Without worker and cluster manager everything stays PENDING_*.
func noopRoles(s computenoop.Settings) []role {
	if s.StayPending {
		return []role{roleAPI, roleHealth, roleHousekeeping, runNoop}
	}
	return append([]role{runNoop}, everyRole...)
}

// refuseForgotten is for no-op drivers, which forget their instances with the process: rows of them would be of nothing.
func refuseForgotten(ctx context.Context, s *store.Store) error {
	counts, err := s.Counts(ctx)
	if err != nil {
		return err
	}
	for _, c := range counts {
		if (c.Object == "amphora" || c.Object == "distributor") && c.Number > 0 {
			return errors.New("the database has amphorae or distributors from before, and the no-op drivers know none of them: " +
				"they forget everything when the process ends; start with another --state-dir (and [database] dsn)")
		}
	}
	return nil
}
