package noop

import (
	"testing"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/lb"
)

// What HAProxy cannot do is no fault of a document here; what is wrong with the rest still is.
func TestStandIn(t *testing.T) {
	d := amphora.Desired{
		Listeners: []amphora.Listener{
			{ID: "11111111-0000-4000-8000-000000000001", Protocol: lb.ProtocolTCP, Port: 53},
			{ID: "11111111-0000-4000-8000-000000000002", Protocol: lb.ProtocolUDP, Port: 53},
			{ID: "11111111-0000-4000-8000-000000000003", Protocol: lb.ProtocolTerminatedHTTPS, Port: 443, TLS: &amphora.ListenerTLS{}},
		},
		Pools: []amphora.Pool{{ID: "11111111-0000-4000-8000-000000000004", Protocol: lb.ProtocolUDP, Algorithm: lb.SourceIPPort, Monitor: &amphora.Monitor{Type: lb.MonitorUDPConnect}}},
	}
	for _, p := range haproxy.Check(standIn(d)) {
		switch p.ObjectID {
		case d.Listeners[0].ID, d.Listeners[1].ID, d.Listeners[2].ID, d.Pools[0].ID:
			t.Errorf("%s %s: %s", p.ObjectType, p.ObjectID, p.Reason)
		}
	}
	if d.Listeners[1].Protocol != lb.ProtocolUDP || d.Pools[0].Algorithm != lb.SourceIPPort || d.Pools[0].Monitor.Type != lb.MonitorUDPConnect {
		t.Errorf("the document was changed: %+v", d)
	}
	d.Listeners[1].DefaultPoolID = "nothing"
	found := false
	for _, p := range haproxy.Check(standIn(d)) {
		found = found || p.ObjectID == d.Listeners[1].ID
	}
	if !found {
		t.Error("a pool that is not there is not missed")
	}
}
