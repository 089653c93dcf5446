package noop_test

import (
	"net/netip"
	"testing"

	"colonnade/internal/distributor"
	"colonnade/internal/distributor/dataplanetest"
	"colonnade/internal/distributor/noop"
)

func TestDataplaneConformance(t *testing.T) {
	dataplanetest.Run(t, func(*testing.T) dataplanetest.Env {
		pins := noop.NewPins()
		return dataplanetest.Env{
			Open: func(*testing.T) distributor.Dataplane { return noop.NewDataplane(pins) },
			Port: distributor.PortConfig{NamespacePath: "/nowhere", Interface: "vip0", VIPs: []string{dataplanetest.VIP}},
			Send: func(t *testing.T, src netip.Addr, port uint16) ([6]byte, bool) {
				to, ok, err := noop.NewDataplane(pins).Forward(dataplanetest.LB, src, port, 60)
				if err != nil {
					t.Fatal(err)
				}
				return to, ok
			},
		}
	})
}
