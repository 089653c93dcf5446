package haproxy_test

import (
	"fmt"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

const (
	listenerHTTP = "11111111-0000-4000-8000-000000000001"
	listenerTCP  = "11111111-0000-4000-8000-000000000002"
	poolA        = "22222222-0000-4000-8000-000000000001"
	poolB        = "22222222-0000-4000-8000-000000000002"
	monitorA     = "44444444-0000-4000-8000-000000000001"
)

func memberID(n int) string { return fmt.Sprintf("33333333-0000-4000-8000-%012d", n) }

func member(n int) amphora.Member {
	return amphora.Member{ID: memberID(n), ServerID: n, Address: fmt.Sprintf("198.18.2.%d", n), Port: 8080, Weight: 1, Enabled: true}
}

// document is the smallest useful one: HTTP listener, pool, two members.
func document() amphora.Desired {
	return amphora.Desired{
		LoadBalancerID: "55555555-0000-4000-8000-000000000001", ProbeKey: "00112233445566778899aabbccddeeff",
		VIPs:                   []amphora.VIP{{Address: "198.18.1.100"}},
		FrontEnd:               amphora.Port{MAC: "02:00:00:00:01:0a", Address: "198.18.1.10", SubnetCIDR: "198.18.1.0/24", Gateway: "198.18.1.1"},
		DefaultConnectionLimit: 50000,
		Listeners: []amphora.Listener{{
			ID: listenerHTTP, Protocol: lb.ProtocolHTTP, Port: 80, ConnectionLimit: -1, DefaultPoolID: poolA,
			TimeoutClientData: 50000, TimeoutMemberConnect: 5000, TimeoutMemberData: 50000,
		}},
		Pools: []amphora.Pool{{ID: poolA, Protocol: lb.ProtocolHTTP, Algorithm: lb.RoundRobin, Members: []amphora.Member{member(1), member(2)}}},
	}
}

func monitor(kind string) *amphora.Monitor {
	m := &amphora.Monitor{ID: monitorA, Type: kind, Delay: 5, Timeout: 3, MaxRetries: 2, MaxRetriesDown: 3}
	if kind != lb.MonitorTCP {
		m.HTTPMethod, m.URLPath, m.ExpectedCodes = "GET", "/", "200"
	}
	return m
}

func edit(change func(*amphora.Desired)) amphora.Desired {
	d := document()
	change(&d)
	return d
}
