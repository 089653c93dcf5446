package noop_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/agentconf"
	"colonnade/internal/amphora"
	"colonnade/internal/amphora/amphoratest"
	"colonnade/internal/amphora/noop"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

const (
	lbID = "55555555-0000-4000-8000-000000000001"
	id   = "66666666-0000-4000-8000-000000000001"
	key  = "00112233445566778899aabbccddeeff"
	mac  = "02:c0:00:00:00:0a"
)

func document(s lb.Stamp) amphora.Desired {
	d := amphora.Desired{
		Stamp: s, LoadBalancerID: lbID, ProbeKey: key, SecondChance: true, VIPs: []amphora.VIP{{Address: "198.18.1.100"}},
		FrontEnd:               amphora.Port{MAC: mac, Address: "198.18.1.10", SubnetCIDR: "198.18.1.0/24", Gateway: "198.18.1.1", MTU: 1500},
		DefaultConnectionLimit: 1000,
		Listeners: []amphora.Listener{{
			ID: "11111111-0000-4000-8000-000000000001", Protocol: lb.ProtocolHTTP, Port: 80, ConnectionLimit: -1,
			DefaultPoolID: "22222222-0000-4000-8000-000000000001",
		}},
		Pools: []amphora.Pool{{
			ID: "22222222-0000-4000-8000-000000000001", Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin,
			Monitor: &amphora.Monitor{ID: "44444444-0000-4000-8000-000000000001", Type: lb.MonitorHTTP, Delay: 1, Timeout: 1, MaxRetries: 1, MaxRetriesDown: 1},
		}},
	}
	for n, last := range []string{"1", "2"} {
		d.Pools[0].Members = append(d.Pools[0].Members, amphora.Member{
			ID: "33333333-0000-4000-8000-00000000000" + last, ServerID: n + 1, Address: "198.18.2." + last, Port: 8080, Weight: 1, Enabled: true,
		})
	}
	return d
}

func table(s lb.Stamp) amphora.TableDocument {
	return amphora.TableDocument{Stamp: s, Table: distributor.Table{
		Version: s.Revision, Key: key, Rows: distributor.DefaultRows, Affinity: distributor.AffinitySourceIP,
		Holders: []distributor.Holder{{AmphoraID: id, MAC: mac}}, Current: distributor.Generation{Holders: []int{0}},
	}}
}

func TestConformance(t *testing.T) {
	amphoratest.Run(t, func(*testing.T) amphoratest.Env {
		a := noop.New()
		a.Start(agentconf.Config{ID: id, LoadBalancerID: lbID}, func() {})
		return amphoratest.Env{Agent: a, Amphora: lb.Amphora{ID: id}, Document: document, Table: table}
	})
}

func TestMembers(t *testing.T) {
	a := noop.New()
	kicks := 0
	a.Start(agentconf.Config{ID: id, LoadBalancerID: lbID}, func() { kicks++ })
	d := document(lb.Stamp{Epoch: 1, Revision: 1})
	m := d.Pools[0].Members
	m[0].Enabled, m[1].Weight = false, 0
	s, err := a.PutDocument(t.Context(), lb.Amphora{ID: id}, d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{m[0].ID: "MAINT", m[1].ID: "DRAIN"}, s.Members); diff != "" || kicks != 1 {
		t.Errorf("%d kicks, members\n%s", kicks, diff)
	}
	a.Stop(id)
	if _, err := a.Status(t.Context(), lb.Amphora{ID: id}); lb.KindOf(err) != lb.KindUnavailable {
		t.Errorf("one that was stopped answers: %v", err)
	}
	if _, alive := a.Beat(id); alive {
		t.Error("one that was stopped sends heartbeats")
	}
}
