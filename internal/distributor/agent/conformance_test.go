package agent_test

import (
	"testing"

	"colonnade/internal/agentrest/agentresttest"
	"colonnade/internal/cert"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/agent"
	"colonnade/internal/distributor/distributortest"
	"colonnade/internal/lb"
)

// TestConformance asks the real agent over its real transport; only the kernel below it is in memory.
func TestConformance(t *testing.T) {
	distributortest.Run(t, func(t *testing.T) distributortest.Env {
		m := newMachine(t)
		a, end := m.start()
		t.Cleanup(end)
		rest, ip := agentresttest.Serve(t, cert.Identity{Role: cert.RoleDistributor, ID: "d1"}, agent.Routes(a))
		return distributortest.Env{
			Agent: distributor.NewClient(rest), Distributor: lb.Distributor{ID: "d1", ManagementIP: ip},
			Silence: func(_ *testing.T, _, mac string) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.deaf[mac] = true
			},
		}
	})
}
