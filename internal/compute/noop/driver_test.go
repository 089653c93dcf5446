package noop_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/agentconf"
	amphoranoop "colonnade/internal/amphora/noop"
	"colonnade/internal/compute"
	"colonnade/internal/compute/computetest"
	"colonnade/internal/compute/noop"
	distributornoop "colonnade/internal/distributor/noop"
	"colonnade/internal/network"
	networknoop "colonnade/internal/network/noop"
)

func TestConformance(t *testing.T) {
	computetest.Run(t, func(t *testing.T) computetest.Env {
		net := networknoop.New()
		d := noop.New(net, amphoranoop.New(), distributornoop.New(time.Now))
		port := func(t *testing.T, spec network.PortSpec) string {
			t.Helper()
			spec.ID = uuid.NewString()
			if _, err := net.EnsurePort(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
			return spec.ID
		}
		return computetest.Env{
			Driver: d, AbsentPort: "nowhere",
			Spec: func(t *testing.T, kind compute.Kind) compute.Spec {
				return compute.Spec{
					ID: uuid.NewString(), Kind: kind, ManagementPortID: port(t, network.PortSpec{Purpose: network.PurposeManagement}),
					Agent: agentconf.Config{Heartbeat: agentconf.Heartbeat{Key: "00ff"}},
				}
			},
			Port: func(t *testing.T) string {
				return port(t, network.PortSpec{NetworkID: uuid.NewString(), Purpose: network.PurposeTenant})
			},
			Plugged: func(_ *testing.T, id string) bool { return d.Plugged(id) },
			Kill:    func(_ *testing.T, id string) { d.Kill(id) },
		}
	})
}
