package lb

// checkDefaultPool looks a listener's default pool up and checks that it fits.
func (t *Tree) checkDefaultPool(l *Listener) error {
	if l.DefaultPoolID == "" {
		return nil
	}
	p, err := t.Pool(l.DefaultPoolID)
	if err != nil {
		return err
	}
	if p.ProvisioningStatus == PendingDelete {
		return immutable("Pool", p.ID)
	}
	return checkFit(l, p)
}

func checkFit(l *Listener, p *Pool) error {
	if l.Protocol == ProtocolPrometheus {
		return Faultf(KindInvalid, "Protocol %s listeners cannot have child objects.", l.Protocol)
	}
	return CheckListenerPool(l.Protocol, p.Protocol)
}

// checkPort refuses a second listener on a port of the same transport; one that is being deleted still has its port.
func (t *Tree) checkPort(l *Listener) error {
	for i := range t.Listeners {
		o := &t.Listeners[i]
		if o.ID != l.ID && o.ProtocolPort == l.ProtocolPort && SameTransport(o.Protocol, l.Protocol) {
			return Faultf(KindConflict, "Another Listener on this Load Balancer is already using protocol %s and protocol_port %d", o.Protocol, l.ProtocolPort)
		}
	}
	return nil
}

// checkMember refuses a second member with the same address and port; one that is being deleted counts.
func (p *Pool) checkMember(m *Member) error {
	for i := range p.Members {
		o := &p.Members[i]
		if o.ID != m.ID && o.Address == m.Address && o.ProtocolPort == m.ProtocolPort {
			return duplicateMember(m)
		}
	}
	return nil
}

func duplicateMember(m *Member) error {
	return Faultf(KindConflict, "Another member on this pool is already using ip %s on protocol_port %d", m.Address, m.ProtocolPort)
}
