package agent_test

import (
	"testing"

	"colonnade/internal/agentrest/agentresttest"
	"colonnade/internal/amphora"
	"colonnade/internal/amphora/agent"
	"colonnade/internal/amphora/amphoratest"
	"colonnade/internal/cert"
	"colonnade/internal/lb"
)

// TestConformance asks the real agent, with its namespaces and its HAProxy, over its real transport.
func TestConformance(t *testing.T) {
	amphoratest.Run(t, func(t *testing.T) amphoratest.Env {
		w := newWorld(t)
		rest, ip := agentresttest.Serve(t, cert.Identity{Role: cert.RoleAmphora, ID: amphoraID}, agent.Routes(w.a))
		return amphoratest.Env{
			Agent: amphora.NewClient(rest), Amphora: lb.Amphora{ID: amphoraID, ManagementIP: ip},
			Document: func(s lb.Stamp) amphora.Desired {
				d := document(s.Revision)
				d.Stamp = s
				return d
			},
			Table: func(s lb.Stamp) amphora.TableDocument {
				t := table(s.Revision, false)
				t.Stamp = s
				return t
			},
		}
	})
}
