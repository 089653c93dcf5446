package noop

import (
	"slices"

	"colonnade/internal/amphora"
	"colonnade/internal/lb"
)

// standIn is the document with what HAProxy can do in the place of what it cannot, to look for faults in the rest: nothing
// is forwarded here, so any protocol, algorithm and certificate will do.
func standIn(d amphora.Desired) amphora.Desired {
	d.Listeners, d.Pools, d.Secrets = slices.Clone(d.Listeners), slices.Clone(d.Pools), nil
	for i := range d.Listeners {
		l := &d.Listeners[i]
		switch l.Protocol {
		case lb.ProtocolUDP, lb.ProtocolSCTP:
			l.Protocol, l.Port = lb.ProtocolTCP, i+1 // numbers of another transport are free
		case lb.ProtocolTerminatedHTTPS:
			l.Protocol, l.InsertHeaders, l.L7Policies = lb.ProtocolHTTP, nil, nil // which may be about the client's certificate
		}
		l.TLS = nil
	}
	used := map[int]bool{}
	for i := range d.Listeners { // the numbers of stand-ins give way
		for used[d.Listeners[i].Port] && d.Listeners[i].Port < 65535 {
			d.Listeners[i].Port++
		}
		used[d.Listeners[i].Port] = true
	}
	for i := range d.Pools {
		p := &d.Pools[i]
		if p.Algorithm == lb.SourceIPPort {
			p.Algorithm = lb.SourceIP
		}
		if p.Protocol == lb.ProtocolUDP || p.Protocol == lb.ProtocolSCTP {
			p.Protocol, p.SessionPersistence = lb.ProtocolTCP, nil
		}
		if m := p.Monitor; m != nil && !slices.Contains([]string{lb.MonitorHTTP, lb.MonitorHTTPS, lb.MonitorTCP}, m.Type) {
			tcp := *m
			tcp.Type = lb.MonitorTCP
			p.Monitor = &tcp
		}
		p.TLS = nil
	}
	return d
}
