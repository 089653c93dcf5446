package noop_test

import (
	"testing"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/distributor/distributortest"
	"colonnade/internal/distributor/noop"
	"colonnade/internal/lb"
)

func TestConformance(t *testing.T) {
	distributortest.Run(t, func(t *testing.T) distributortest.Env {
		a := noop.New(time.Now)
		a.Start(agentconf.Config{ID: "d1"}, func() {})
		return distributortest.Env{
			Agent: a, Distributor: lb.Distributor{ID: "d1"},
			Silence: func(_ *testing.T, id, _ string) { a.SetSilent(id, true) },
		}
	})
}

func TestAnotherDistributorDoesNotAnswer(t *testing.T) {
	a := noop.New(time.Now)
	a.Start(agentconf.Config{ID: "d1"}, func() {})
	a.Stop("d1")
	if _, err := a.Status(t.Context(), lb.Distributor{ID: "d1"}); lb.KindOf(err) != lb.KindUnavailable {
		t.Errorf("one that was stopped answers: %v", err)
	}
}
