package noop

import (
	"context"
	"net/netip"

	"colonnade/internal/distributor"
	"colonnade/internal/distributor/ledger"
	"colonnade/internal/lb"
)

// Status is everything that a distributor has.
func (a *Agents) Status(ctx context.Context, d lb.Distributor) (distributor.Status, error) {
	if err := ctx.Err(); err != nil {
		return distributor.Status{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	one, ok := a.all[d.ID]
	if !ok {
		return distributor.Status{}, silentAgent(d.ID)
	}
	return a.status(one), nil
}

// LoadBalancer is the status of one; lb.KindNotFound when it is not plugged.
func (a *Agents) LoadBalancer(ctx context.Context, d lb.Distributor, lbID string) (s distributor.LBStatus, err error) {
	err = a.on(ctx, d.ID, lbID, func(_ *agent, r *ledger.Record) error {
		if r.Plug == nil {
			return lb.Faultf(lb.KindNotFound, "load balancer %s is not plugged here", lbID)
		}
		s = a.shown(r)
		return nil
	})
	return s, err
}

// Statistics counts nothing.
func (a *Agents) Statistics(ctx context.Context, d lb.Distributor, lbID string) (distributor.Statistics, error) {
	if _, err := a.LoadBalancer(ctx, d, lbID); err != nil {
		return distributor.Statistics{}, err
	}
	return distributor.Statistics{LBID: lbID, Dropped: map[string]uint64{}}, nil
}

// PlugVIP takes a VIP.
func (a *Agents) PlugVIP(ctx context.Context, d lb.Distributor, p distributor.VIPPlug) (s distributor.LBStatus, err error) {
	err = a.on(ctx, d.ID, p.LBID, func(one *agent, r *ledger.Record) error {
		if err := ledger.ValidatePlug(p.LBID, asIPv4(p)); err != nil {
			return err
		}
		same, err := r.CheckPlug(p)
		if err != nil {
			return err
		}
		if !same {
			r.Plug, r.Deleted = &p, nil
			one.changed()
		}
		s = a.shown(r)
		return nil
	})
	return s, err
}

// Register takes a table.
func (a *Agents) Register(ctx context.Context, d lb.Distributor, t distributor.Registrations) (s distributor.LBStatus, err error) {
	err = a.on(ctx, d.ID, t.LBID, func(one *agent, r *ledger.Record) error {
		if err := ledger.ValidateTable(t.LBID, t); err != nil {
			return err
		}
		same, err := r.CheckTable(t)
		if err != nil {
			return err
		}
		if !same {
			r.Table, r.Swaps = &t, ledger.Pending(t.Table, r.Swaps)
			a.decide(r)
			one.changed()
		}
		s = a.shown(r)
		return nil
	})
	return s, err
}

// UnplugVIP gives a VIP up and remembers the stamp.
func (a *Agents) UnplugVIP(ctx context.Context, d lb.Distributor, lbID string, stamp lb.Stamp) error {
	return a.on(ctx, d.ID, lbID, func(one *agent, r *ledger.Record) error {
		if err := ledger.CheckStamp(stamp); err != nil {
			return err
		}
		if err := r.CheckDelete(stamp); err != nil {
			return err
		}
		*r = ledger.Record{LBID: lbID, Deleted: &stamp, DeletedAtUnixMS: a.now().UnixMilli()}
		one.changed()
		return nil
	})
}

// asIPv4 stands an IPv4 subnet in for an IPv6 one, to validate the rest: nothing is forwarded here, so any IP version will do.
func asIPv4(p distributor.VIPPlug) distributor.VIPPlug {
	vip, err := netip.ParseAddr(p.VIPAddress)
	subnet, subnetErr := netip.ParsePrefix(p.SubnetCIDR)
	if err == nil && subnetErr == nil && vip.Is6() && subnet.Contains(vip) {
		p.VIPAddress, p.SubnetCIDR, p.Gateway = "192.0.2.1", "192.0.2.0/24", ""
	}
	return p
}
