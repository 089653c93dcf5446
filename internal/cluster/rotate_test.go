package cluster_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"colonnade/internal/cert"
	"colonnade/internal/cluster"
	"colonnade/internal/lb"
)

// agentKeeps is the certificates of agents as they really are.
type agentKeeps struct {
	mu      sync.Mutex
	now     func() time.Time
	until   map[cert.Identity]time.Time
	puts    int
	broken  error
	crashed bool // the agent takes it, but nobody learns of it
}

// Issue says in the certificate only until when it is valid.
func (k *agentKeeps) Issue(_ cert.Identity, ips []net.IP, validity time.Duration) (cert.Bundle, error) {
	if len(ips) != 1 || ips[0] == nil {
		return cert.Bundle{}, errors.New("a certificate without an address")
	}
	until := k.now().Add(validity)
	return cert.Bundle{CertPEM: []byte(until.Format(time.RFC3339Nano)), NotAfter: until}, nil
}

func (k *agentKeeps) PutCertificate(_ context.Context, holder cert.Identity, ip string, b cert.Bundle) (time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.puts++
	if k.broken != nil {
		return time.Time{}, k.broken
	}
	if ip == "" || !b.NotAfter.After(k.until[holder]) {
		return k.until[holder], nil
	}
	k.until[holder] = b.NotAfter
	if k.crashed {
		return time.Time{}, errCrash
	}
	return b.NotAfter, nil
}

const life = 30 * 24 * time.Hour

// rotating is a cluster at its size whose certificates were issued now.
func rotating(t *testing.T) (*world, *agentKeeps, func() *cluster.Actor) {
	t.Helper()
	w := newWorld(t)
	k := &agentKeeps{now: w.clock, until: map[cert.Identity]time.Time{}}
	actor := func() *cluster.Actor {
		d := w.deps()
		d.Issuer, d.Certificates = k, k
		return cluster.NewActor(d)
	}
	w.settle(actor(), 20)
	w.events = nil
	return w, k, actor
}

func (w *world) turn(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(by)
}

func count(events []lb.Event, action string) (n int) {
	for _, e := range events {
		if e.Action == action {
			n++
		}
	}
	return n
}

// earliest is when the first certificate is to be renewed.
func (w *world) earliest() time.Time {
	var at time.Time
	for _, a := range w.amphorae {
		if t := cert.RenewAt(a.ID, a.CertExpiration, life); at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

func TestRenewal(t *testing.T) {
	t.Run("D10 nothing is renewed early, everything at two thirds, at different times", func(t *testing.T) {
		w, k, actor := rotating(t)
		a := actor()
		w.turn(w.earliest().Sub(w.clock()) - time.Second)
		if _, err := w.reconcile(a); err != nil || k.puts != 0 {
			t.Fatalf("%d certificates sent before their time, %v", k.puts, err)
		}
		issued := map[string]time.Time{}
		for _, m := range w.amphorae {
			issued[m.ID] = m.CertExpiration
		}
		moments := 0
		for range 24 * 4 { // two and a half days are the twelfth of a life
			before := k.puts
			w.turn(time.Hour)
			if _, err := w.reconcile(a); err != nil {
				t.Fatal(err)
			}
			if k.puts > before {
				moments++
			}
		}
		if k.puts != 4 || moments < 2 || count(w.events, "certificate renewed") != 4 {
			t.Errorf("%d certificates sent at %d moments, events %v", k.puts, moments, w.events)
		}
		for _, m := range w.amphorae {
			if got := k.until[cert.Identity{Role: cert.RoleAmphora, ID: m.ID}]; !got.Equal(m.CertExpiration) || !got.After(issued[m.ID]) {
				t.Errorf("row of %s says %s, the agent has one until %s", m.ID, m.CertExpiration, got)
			}
		}
		if why := w.unsettled(); why != "" || len(w.events) != 4 {
			t.Errorf("more than certificates changed: %s, %v", why, w.events)
		}
	})

	t.Run("a look is due in time", func(t *testing.T) {
		w, _, actor := rotating(t)
		w.turn(w.earliest().Sub(w.clock()) - time.Minute)
		if again, err := w.reconcile(actor()); err != nil || again > time.Minute {
			t.Errorf("looks again after %s, %v", again, err)
		}
	})

	t.Run("E10 what fails is tried again and said only when a third is left, and holds nothing up", func(t *testing.T) {
		w, k, actor := rotating(t)
		a := actor()
		k.broken = errors.New("no way there")
		w.turn(w.earliest().Sub(w.clock()))
		again, err := w.reconcile(a)
		if err != nil || k.puts != 1 || again > 5*time.Second || len(w.events) != 0 {
			t.Fatalf("tried %d times, again after %s: %v, %v", k.puts, again, err, w.events)
		}
		w.turn(again / 2)
		if _, err := w.reconcile(a); err != nil || k.puts != 1 {
			t.Fatalf("tried before its backoff was over: %d, %v", k.puts, err)
		}
		w.turn(life / 12) // all of them are overdue now
		for range 24 * 6 {
			w.turn(10 * time.Minute)
			if _, err := w.reconcile(a); err != nil {
				t.Fatal(err)
			}
		}
		if got := count(w.events, "certificate not renewed"); got != 4 || len(w.events) != got {
			t.Errorf("in a day %d events, want one of each amphora: %v", got, w.events)
		}
		if k.puts > 4*24*6+2 || k.puts < 4*24*5 {
			t.Errorf("tried %d times", k.puts)
		}
		if why := w.unsettled(); why != "" {
			t.Errorf("it had an effect: %s", why)
		}
		// A failure is healed all the same.
		victim := w.holders()[0]
		w.machines[victim].running = false
		for range 60 {
			w.tick()
			if _, err := w.reconcile(a); err != nil {
				t.Fatal(err)
			}
		}
		if why := w.unsettled(); why != "" || slices.Contains(w.holders(), victim) {
			t.Errorf("not healed: %s, holders %v", why, w.holders())
		}
		k.broken = nil
		w.turn(time.Hour)
		if _, err := w.reconcile(a); err != nil || count(w.events, "certificate renewed") != 3 {
			t.Errorf("not renewed when the way was open again: %v, %v", err, w.events)
		}
	})

	t.Run("killed between agent and row: renewed once more", func(t *testing.T) {
		w, k, actor := rotating(t)
		w.turn(2*life/3 + time.Minute)
		k.crashed = true
		if _, err := w.reconcile(actor()); err != nil {
			t.Fatal(err)
		}
		k.crashed = false
		w.turn(time.Second)
		if _, err := w.reconcile(actor()); err != nil { // another process: it remembers no backoff
			t.Fatal(err)
		}
		for _, m := range w.amphorae {
			if got := k.until[cert.Identity{Role: cert.RoleAmphora, ID: m.ID}]; !got.Equal(m.CertExpiration) || !got.After(w.clock().Add(life-time.Minute)) {
				t.Errorf("row of %s says %s, the agent has one until %s", m.ID, m.CertExpiration, got)
			}
		}
	})
}

func TestRenewalOfDistributor(t *testing.T) {
	made := func() (*house, *agentKeeps, *cluster.DistributorReconciler) {
		h := &house{
			now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), lbs: []string{"lb1"}, boot: "b", running: true,
			health: lb.InstanceHealth{State: lb.HealthAlive, BootID: "b"},
		}
		h.row = &lb.Distributor{ID: distID, Status: lb.AmphoraReady, HeartbeatKey: "k", ManagementIP: "198.18.9.9", CertExpiration: h.now.Add(life)}
		k := &agentKeeps{now: func() time.Time { return h.now }, until: map[cert.Identity]time.Time{{Role: cert.RoleDistributor, ID: distID}: h.now.Add(life)}}
		return h, k, cluster.NewDistributorReconciler(cluster.Deps{
			Store: houseStore{h: h}, Distributors: houseAgent{h: h}, Compute: houseCompute{h: h}, Network: houseNetwork{h: h},
			Issuer: k, Certificates: k, Now: func() time.Time { return h.now },
		})
	}
	reconcile := func(t *testing.T, r *cluster.DistributorReconciler) time.Duration {
		t.Helper()
		again, err := r.Reconcile(t.Context(), lb.Lease{Kind: lb.WorkDistributor, Key: distID})
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	t.Run("D10 renewed when it is time", func(t *testing.T) {
		h, k, r := made()
		at := cert.RenewAt(distID, h.row.CertExpiration, life)
		h.now = at.Add(-time.Minute)
		if again := reconcile(t, r); again != time.Minute || k.puts != 0 {
			t.Fatalf("again after %s, %d sent", again, k.puts)
		}
		h.now = at
		reconcile(t, r)
		if !h.row.CertExpiration.Equal(at.Add(life)) || h.row.Status != lb.AmphoraReady || k.puts != 1 || h.deletes != 0 {
			t.Errorf("row %+v after %d sent", h.row, k.puts)
		}
		reconcile(t, r)
		if k.puts != 1 {
			t.Error("renewed twice")
		}
	})
	t.Run("E10 what fails is tried again, said when a third is left", func(t *testing.T) {
		h, k, r := made()
		k.broken = errors.New("no way there")
		overdue := cert.Overdue(h.row.CertExpiration, life)
		h.now = cert.RenewAt(distID, h.row.CertExpiration, life)
		for h.now.Before(overdue) {
			h.now = h.now.Add(reconcile(t, r))
		}
		if n := len(h.events); n != 0 {
			t.Errorf("%d events before it is overdue", n)
		}
		for range 10 {
			h.now = h.now.Add(reconcile(t, r))
		}
		if got := strings.Join(h.events, ", "); got != "certificate not renewed" || h.row.Status != lb.AmphoraReady {
			t.Errorf("events %q, status %s", got, h.row.Status)
		}
		k.broken = nil
		h.now = h.now.Add(10 * time.Minute)
		reconcile(t, r)
		if got := strings.Join(h.events, ", "); got != "certificate not renewed, certificate renewed" {
			t.Errorf("events %q", got)
		}
	})
}
