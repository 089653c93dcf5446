package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"colonnade/internal/amphora"
	amphoranoop "colonnade/internal/amphora/noop"
	"colonnade/internal/api"
	"colonnade/internal/compute"
	"colonnade/internal/compute/netns"
	"colonnade/internal/config"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
	"colonnade/internal/store"
)

// networkDriver is what the control plane needs of a network driver. One that has networks of its own is an
// api.NetworkOperator too, and an api.PortOperator.
type networkDriver interface {
	network.Driver
	network.Management
	// HeartbeatTargets are the addresses of all health roles.
	HeartbeatTargets() []string
	// Ensure brings what is common to all networks into being; Remove takes everything away, and Standing says what that is.
	Ensure(ctx context.Context) error
	Remove(ctx context.Context) error
	Standing() (bridge.Standing, error)
}

// computeDriver is a compute.Driver that can also take everything away.
type computeDriver interface {
	compute.Driver
	RemoveAll(ctx context.Context) error
}

// machine is what drivers are made from.
type machine struct {
	dir   stateDir
	conf  config.Config
	store *store.Store // nil when only taking away
	log   *slog.Logger
}

// networkDrivers and computeDrivers are all drivers there are, by their name in the configuration.
var networkDrivers = map[string]func(machine) (networkDriver, error){
	"bridge":    newBridge,
	config.Noop: newNoopNetwork,
}

var computeDrivers = map[string]func(machine, networkDriver) (computeDriver, error){
	"netns":     newNetns,
	config.Noop: newNoopCompute,
}

// provider says what amphorae can do that are made with this configuration.
func provider(c config.Config) api.Provider {
	if c.IsNoop() {
		return amphoranoop.Provider{}
	}
	return amphora.HAProxy{}
}

func newBridge(m machine) (networkDriver, error) {
	management, err := netip.ParsePrefix(m.conf.Network.ManagementCIDR)
	if err != nil {
		return nil, fmt.Errorf("network.management_cidr: %w", err)
	}
	hostLink, err := netip.ParsePrefix(m.conf.Network.HostLinkCIDR)
	if err != nil {
		return nil, fmt.Errorf("network.host_link_cidr: %w", err)
	}
	c := bridge.Config{
		Prefix: bridge.PrefixFor(string(m.dir)), StateDir: string(m.dir),
		Management: management, HostLink: hostLink, HeartbeatPorts: m.conf.Health.HeartbeatPorts, Log: m.log, Now: time.Now,
	}
	if m.store != nil {
		c.Store = m.store
	}
	return bridge.New(c)
}

func newNetns(m machine, n networkDriver) (computeDriver, error) {
	plugger, ok := n.(netns.Network)
	if !ok {
		return nil, fmt.Errorf("compute driver \"netns\" cannot use network driver %q", m.conf.Network.Driver)
	}
	agent, err := agentBinary(m.conf.Compute.AgentBinary)
	if err != nil {
		return nil, err
	}
	return netns.New(netns.Config{
		Prefix: bridge.PrefixFor(string(m.dir)), StateDir: string(m.dir), AgentBinary: agent, Network: plugger, Log: m.log,
	})
}

// agentBinary is the configured one, or the one beside this program.
func agentBinary(configured string) (string, error) {
	if configured == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find colonnade-agent: %w", err)
		}
		configured = filepath.Join(filepath.Dir(self), "colonnade-agent")
	}
	return filepath.Abs(configured)
}
