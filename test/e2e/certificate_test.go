package e2e_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// shortLived gives certificates so short a life that they are renewed while one looks on.
const shortLived = quick + "certificate_validity = \"45s\"\n"

// expirations are the ends of all certificates, by instance.
func (p *play) expirations() map[string]string {
	p.Helper()
	all := map[string]string{}
	for _, a := range p.view().Amphorae {
		if a.CertExpiration != nil {
			all[a.ID] = *a.CertExpiration
		}
	}
	distributors, err := p.s.Client().Distributors().List(p.long(), nil)
	must(p.T, err)
	for _, d := range distributors {
		if d.CertExpiration != nil {
			all[d.ID] = *d.CertExpiration
		}
	}
	return all
}

// awaitRenewed waits until every certificate ends later than it did.
func (p *play) awaitRenewed(before map[string]string) {
	p.Helper()
	p.awaitCertificates(func(id, end string) bool { return end > before[id] }) // times of one format are in the order of their text
}

// awaitCertificates waits until there are certificates, and all of them are fine.
func (p *play) awaitCertificates(fine func(id, end string) bool) {
	p.Helper()
	for ctx := p.long(); ; pass(p.T, 200*time.Millisecond) {
		missing := "there is no certificate"
		for id, end := range p.expirations() {
			if missing = ""; !fine(id, end) {
				missing = fmt.Sprintf("certificate of %s still ends at %s", id, end)
				break
			}
		}
		if missing == "" {
			return
		}
		if ctx.Err() != nil {
			p.Fatal(missing)
		}
	}
}

// shortLivedPlay is a whole load balancer whose certificates live short.
func shortLivedPlay(t *testing.T, s *stage.Stage) *play {
	t.Helper()
	members, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	sv, err := s.Tenancy(members, "t", 0)
	must(t, err)
	p := &play{T: t, s: s, sv: sv}
	p.internet, err = s.Internet(within(t, 10*time.Second), "clients", 10)
	must(t, err)
	p.toState(true)
	return p
}

// TestCertificatesAreRenewed lives through two generations of certificates with connections open: none breaks, nobody is
// replaced, and agents can be told something after the first generation has ended.
func TestCertificatesAreRenewed(t *testing.T) {
	if os.Getenv("COLONNADE_LONG") == "" {
		t.Skip("set COLONNADE_LONG=1")
	}
	s := set(t, shortLived)
	p := shortLivedPlay(t, s)
	f := open(t, p.sv, p.internet, p.internet.Sources)
	first := p.expirations()
	if len(first) != 5 {
		t.Fatalf("%d certificates, want those of 4 amphorae and a distributor", len(first))
	}
	p.awaitRenewed(first)
	p.awaitRenewed(p.expirations())
	for source, end := range f.finish() {
		if end.Reason != traffic.FlowAlive {
			t.Errorf("connection from %s: %s", source, end.Reason)
		}
	}
	must(t, p.members(false)) // this takes the ports to the members away, which no connection outlives
	p.settled()
	must(t, p.members(true))
	p.whole()
	p.statuses()
	for id := range p.expirations() {
		if first[id] == "" {
			t.Errorf("%s is new", id)
		}
	}
}
