package e2e_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/traffic"
)

// agentFaults is what happens to an agent while it is told something.
var agentFaults = []struct {
	name string
	// after is done with the stopped agent when what it is told lies in its socket.
	after func(p *play, id, part string) error
	gone  bool // it is replaced in the end
}{
	// It is stopped first, so that it is certainly told while it does not look; then it goes on, and dies amid the work.
	{name: "killed in the middle", after: func(p *play, id, part string) error {
		if _, err := p.s.Signal(p.long(), id, part, syscall.SIGCONT); err != nil {
			return err
		}
		pass(p.T, 5*time.Millisecond)
		_, err := p.s.Signal(p.long(), id, part, syscall.SIGKILL)
		return err
	}},
	{name: "killed before it looked", after: func(p *play, id, part string) error {
		_, err := p.s.Signal(p.long(), id, part, syscall.SIGKILL)
		return err
	}},
	{name: "hung for good", gone: true, after: func(*play, string, string) error { return nil }},
}

// TestAgentFaults kills and hangs real agents while they are given a document, a table, or a VIP.
func TestAgentFaults(t *testing.T) {
	s := set(t, quick+"drain_timeout = \"5s\"\n")
	members, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	sv, err := s.Tenancy(members, "t", 0)
	must(t, err)
	internet, err := s.Internet(within(t, 10*time.Second), "clients", 10)
	must(t, err)
	p := &play{T: t, s: s, sv: sv, internet: internet}
	p.toState(true)
	second, err := s.Tenancy(members, "u", 1)
	must(t, err)
	whole, err := s.Inventory(p.long())
	must(t, err)

	const amphora, distributor = "colonnade-agent amphora", "colonnade-agent distributor"
	told := []struct {
		name, part string
		long       bool
		id         func(*play) string
		tell       func(*play) error // makes the control plane tell it something
		then       func(*play)
	}{
		{
			name: "a document", part: amphora, id: func(p *play) string { a, _ := p.view().At(1); return a.ID },
			tell: func(p *play) error {
				pools, err := p.s.Client().Pools().List(p.long(), nil)
				if err != nil {
					return err
				}
				return p.s.Client().ReplaceMembers(p.long(), pools[0].ID, []wire.MemberCreate{}, false)
			},
			then: func(p *play) { p.settled(); must(p.T, p.members(true)); p.settled() },
		},
		{
			name: "a table", part: amphora, id: func(p *play) string { a, _ := p.view().At(2); return a.ID },
			tell: func(p *play) error { return s.Client().Amphorae().Failover(p.long(), p.victim(0)) },
		},
		{
			name: "a table for the distributor", part: distributor, id: (*play).distributor,
			tell: func(p *play) error { return s.Client().Amphorae().Failover(p.long(), p.victim(0)) },
		},
		{
			name: "a VIP", part: distributor, long: true, id: (*play).distributor,
			tell: func(p *play) error { // the tenant's distributor is given one more
				err := second.Create(p.long(), "second")
				pass(p.T, 600*time.Millisecond) // its amphorae are built first
				return err
			},
			then: func(p *play) {
				other := &play{T: p.T, s: s, sv: second}
				other.whole()
				must(p.T, s.Client().DeleteLoadBalancer(p.long(), second.ID, true))
				must(p.T, s.Client().WaitGone(p.long(), second.ID, nil))
			},
		},
	}
	for _, what := range told {
		for _, fault := range agentFaults {
			if (what.long || what.part == distributor && fault.gone) && os.Getenv("COLONNADE_LONG") == "" {
				continue
			}
			ok := t.Run(fmt.Sprintf("an agent is %s when it is given %s", fault.name, what.name), func(t *testing.T) {
				p.T, p.victims = t, nil
				id := what.id(p)
				n, err := s.Signal(p.long(), id, what.part, syscall.SIGSTOP)
				must(t, err)
				if n == 0 {
					t.Fatalf("instance %s has no process %q", id, what.part)
				}
				must(t, what.tell(p))
				pass(t, 200*time.Millisecond) // what it is told is in its socket by now
				if err := fault.after(p, id, what.part); err != nil {
					t.Log(err) // on a slow machine it may have been replaced by now
				}
				if fault.gone && what.part == amphora {
					p.victims = append(p.victims, id)
				}
				if what.then != nil {
					what.then(p)
				}
				p.whole()
				p.statuses()
				inventory(t, s, whole)
				for _, source := range internet.Sources {
					if r := traffic.Get(p.long(), internet.Dial, source, sv.Web()); r.Failure != "" {
						t.Errorf("request from %s: %s", source, r.Failure)
					}
				}
			})
			if !ok {
				return
			}
		}
	}
}
