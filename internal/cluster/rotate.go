package cluster

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"colonnade/internal/cert"
	"colonnade/internal/crashpoint"
	"colonnade/internal/lb"
)

// CertificateAgent is how an agent of either kind is given its next certificate; *agentrest.Client is one. It returns
// until when the certificate is valid that the agent uses then.
type CertificateAgent interface {
	PutCertificate(ctx context.Context, holder cert.Identity, ip string, b cert.Bundle) (notAfter time.Time, err error)
}

// Certificates are renewed by whoever holds the lease of the row that names their expiration: a settled cluster and a
// settled distributor are looked at anyway every now and then, so the time comes to pass without anybody to watch it.
// The old certificate is valid for a third of its life when the new one is in use.

// renew plans the renewal of certificates whose time has come. It is planned only when there is nothing else to do: no
// failure waits for it. An amphora that is suspected, drains or is on its way out is about to be replaced with its
// certificate.
func (p *planner) renew() {
	if p.spec.CertificateValidity <= 0 {
		return
	}
	for _, a := range p.ob.ClusterState.Amphorae {
		f := p.ob.Amphorae[a.ID]
		if a.Status != lb.AmphoraReady && a.Status != lb.AmphoraAllocated || a.OutOfService || !a.DrainingSince.IsZero() ||
			a.CertExpiration.IsZero() || !f.Alive || p.verdicts[a.ID] != sound {
			continue
		}
		if at := renewAt(a.ID, a.CertExpiration, p.spec.CertificateValidity, f.RenewAfter); at.After(p.now) {
			p.lookAt(at)
		} else {
			p.do(Step{Act: Act{ActRenew, a.ID}, Reason: "valid until " + a.CertExpiration.UTC().Format(time.RFC3339)})
		}
	}
}

// renewAt is when to try: when it is time, and not before the backoff of what failed.
func renewAt(id string, notAfter time.Time, validity time.Duration, backoff time.Time) time.Time {
	if at := cert.RenewAt(id, notAfter, validity); at.After(backoff) {
		return at
	}
	return backoff
}

// renew gives an amphora its next certificate.
func (r *run) renew(ctx context.Context, amp lb.Amphora) (func(*lb.ClusterState) []lb.Event, error) {
	notAfter, err := r.Deps.renew(ctx, cert.Identity{Role: cert.RoleAmphora, ID: amp.ID}, amp.ManagementIP)
	if err != nil {
		action, why := r.renewals.failed(ctx, r.Deps, cert.Identity{Role: cert.RoleAmphora, ID: amp.ID}, amp.CertExpiration, err)
		if action == "" {
			return nil, err
		}
		return func(*lb.ClusterState) []lb.Event {
			return []lb.Event{{At: r.Now(), LoadBalancerID: r.lease.Key, ObjectID: amp.ID, Actor: "acm", Action: action, Reason: why}}
		}, err
	}
	r.renewals.forget(amp.ID)
	r.Log.InfoContext(ctx, "certificate renewed", "lb_id", r.lease.Key, "amphora_id", amp.ID, "not_after", notAfter)
	return func(now *lb.ClusterState) []lb.Event {
		for i := range now.Amphorae {
			if a := &now.Amphorae[i]; a.ID == amp.ID {
				a.CertExpiration = notAfter
			}
		}
		return []lb.Event{{
			At: r.Now(), LoadBalancerID: r.lease.Key, ObjectID: amp.ID, Actor: "acm", Action: "certificate renewed",
			Reason: "valid until " + notAfter.UTC().Format(time.RFC3339),
		}}
	}, nil
}

// renew does it for a settled distributor, and says when to look again.
func (r *DistributorReconciler) renew(ctx context.Context, lease lb.Lease, d lb.Distributor) (again time.Duration, err error) {
	validity := r.Spec.CertificateValidity
	if validity <= 0 || d.CertExpiration.IsZero() {
		return resync, nil
	}
	holder := cert.Identity{Role: cert.RoleDistributor, ID: d.ID}
	now := r.Now()
	if at := renewAt(d.ID, d.CertExpiration, validity, r.renewals.backoff(d.ID)); at.After(now) {
		return min(resync, at.Sub(now)), nil
	}
	crashpoint.Of("distributor", string(distributorRenew), crashpoint.Before)
	notAfter, err := r.Deps.renew(ctx, holder, d.ManagementIP)
	if err != nil {
		if action, why := r.renewals.failed(ctx, r.Deps, holder, d.CertExpiration, err); action != "" {
			if err := r.set(ctx, lease, d, action, why, nil, func(*lb.Distributor) {}); err != nil {
				return 0, err
			}
		}
		return min(resync, max(r.renewals.backoff(d.ID).Sub(now), time.Millisecond)), nil
	}
	r.renewals.forget(d.ID)
	crashpoint.Of("distributor", string(distributorRenew), crashpoint.Acted)
	why := "valid until " + notAfter.UTC().Format(time.RFC3339)
	if err := r.set(ctx, lease, d, "certificate renewed", why, nil, func(d *lb.Distributor) { d.CertExpiration = notAfter }); err != nil {
		return 0, err
	}
	crashpoint.Of("distributor", string(distributorRenew), crashpoint.Recorded)
	return min(resync, max(cert.RenewAt(d.ID, notAfter, validity).Sub(now), time.Millisecond)), nil
}

// renew issues a certificate and sends it. A crash after that leaves a row that names an earlier expiration than the
// truth, so that it is done once more.
func (d Deps) renew(ctx context.Context, holder cert.Identity, ip string) (time.Time, error) {
	b, err := d.Issuer.Issue(holder, []net.IP{net.ParseIP(ip)}, d.Spec.CertificateValidity)
	if err != nil {
		return time.Time{}, fmt.Errorf("issue certificate: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	return d.Certificates.PutCertificate(ctx, holder, ip, b)
}

// Times of renewals that fail; a certificate of a short life is tried more often.
const (
	renewTimeout    = 2 * time.Second // the lease is held meanwhile
	firstRenewRetry = 5 * time.Second
	mostRenewRetry  = 10 * time.Minute
)

// renewals remembers what failed, by instance. Lost with the process, it only begins again. Renewals do not fail their
// run: its backoff would hold up work that matters more.
type renewals struct {
	mu   sync.Mutex
	fail map[string]failedRenewal
}

type failedRenewal struct {
	times int
	next  time.Time // not before
	told  time.Time // when the last event was written
}

func (r *renewals) backoff(id string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fail[id].next
}

func (r *renewals) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.fail, id)
}

// failed notes a failure. When less than a third of the life is left it is logged, and for an event to be written
// the action is not "": at most thirty times in a life.
func (r *renewals) failed(ctx context.Context, d Deps, holder cert.Identity, notAfter time.Time, why error) (action, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, validity := d.Now(), d.Spec.CertificateValidity
	f := r.fail[holder.ID]
	first, most := min(firstRenewRetry, validity/60), min(mostRenewRetry, validity/30)
	f.next = now.Add(min(first<<min(f.times, 20), most))
	f.times++
	if !now.Before(cert.Overdue(notAfter, validity)) {
		d.Log.WarnContext(ctx, "certificate renewal failed", string(holder.Role)+"_id", holder.ID, "not_after", notAfter, "error", why)
		if f.told.IsZero() || now.Sub(f.told) >= validity/30 {
			f.told = now
			action, reason = "certificate not renewed", fmt.Sprintf("valid until %s: %v", notAfter.UTC().Format(time.RFC3339), why)
		}
	}
	if r.fail == nil {
		r.fail = map[string]failedRenewal{}
	}
	r.fail[holder.ID] = f
	return action, reason
}
