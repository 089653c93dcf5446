package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"colonnade/internal/compute"
	"colonnade/internal/compute/netns"
	"colonnade/internal/config"
	"colonnade/internal/network/bridge"
	"colonnade/internal/store"
)

// networkDriver is what the control plane needs of a network driver that has networks of its own.
type networkDriver = *bridge.Driver

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
	"bridge": newBridge,
}

var computeDrivers = map[string]func(machine, networkDriver) (computeDriver, error){
	"netns": newNetns,
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
	agent, err := agentBinary(m.conf.Compute.AgentBinary)
	if err != nil {
		return nil, err
	}
	return netns.New(netns.Config{
		Prefix: bridge.PrefixFor(string(m.dir)), StateDir: string(m.dir), AgentBinary: agent, Network: n, Log: m.log,
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
