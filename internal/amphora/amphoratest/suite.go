// Package amphoratest is the conformance suite of amphorae: whatever worker and cluster manager can be told to use has to
// take, refuse and answer alike. For tests only.
package amphoratest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
	"colonnade/internal/lb"
	"colonnade/internal/testenv/conformance"
)

// Agent is what an amphora can be asked; amphora.Client is one.
type Agent interface {
	Status(ctx context.Context, amp lb.Amphora) (amphora.Status, error)
	Statistics(ctx context.Context, amp lb.Amphora) (amphora.Statistics, error)
	PutDocument(ctx context.Context, amp lb.Amphora, doc amphora.Desired) (amphora.Status, error)
	PutTable(ctx context.Context, amp lb.Amphora, doc amphora.TableDocument) (amphora.Status, error)
}

// Env is an amphora that was told nothing yet.
type Env struct {
	Agent   Agent
	Amphora lb.Amphora
	// Document is one that fits this amphora: its load balancer, its ports, one HTTP listener, one pool with a monitor
	// and two members. Table is one that names this amphora.
	Document func(s lb.Stamp) amphora.Desired
	Table    func(s lb.Stamp) amphora.TableDocument
}

// Run runs the suite; open is called once a test and cleans up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Env) {
	conformance.Run(t, open, []conformance.Case[Env]{
		{"a document is run and shown", shown},
		{"documents and tables come in the order of their stamps, each their own", order},
		{"what is not valid is refused, and the former goes on", refusals},
		{"a call whose time is over does nothing", late},
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stamp(epoch, revision, serial int64) lb.Stamp {
	return lb.Stamp{Epoch: epoch, Revision: revision, Serial: serial}
}

func shown(t *testing.T, ctx context.Context, e Env) {
	s, err := e.Agent.Status(ctx, e.Amphora)
	must(t, err)
	none := lb.Stamp{}
	if s.AmphoraID != e.Amphora.ID || s.BootID == "" || s.HAProxy != "idle" || s.DocumentApplied != none || s.TableApplied != none {
		t.Errorf("before the first document: %+v", s)
	}
	boot := s.BootID
	doc := e.Document(stamp(1, 4, 1))
	s, err = e.Agent.PutDocument(ctx, e.Amphora, doc)
	must(t, err)
	if s.DocumentApplied != doc.Stamp {
		t.Errorf("applied %+v", s.DocumentApplied)
	}
	table := e.Table(stamp(1, 2, 1))
	s, err = e.Agent.PutTable(ctx, e.Amphora, table)
	must(t, err)
	if s.TableApplied != table.Stamp || s.DocumentApplied != doc.Stamp {
		t.Errorf("applied %+v and %+v", s.TableApplied, s.DocumentApplied)
	}
	var ids []string
	for deadline := time.Now().Add(20 * time.Second); ; {
		s, err = e.Agent.Status(ctx, e.Amphora)
		must(t, err)
		ids = nil
		for _, l := range s.Listeners {
			ids = append(ids, l.ListenerID)
		}
		if s.HAProxy == "up" && len(ids) > 0 && len(s.Members) == len(doc.Pools[0].Members) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("never up: %+v", s)
		}
		time.Sleep(10 * time.Millisecond) // the agent's own eyes: no event to wait for
	}
	if diff := cmp.Diff([]string{doc.Listeners[0].ID}, ids); diff != "" || s.BootID != boot {
		t.Errorf("boot %s became %s, listeners\n%s", boot, s.BootID, diff)
	}
	for _, m := range doc.Pools[0].Members {
		if s.Members[m.ID] == "" {
			t.Errorf("no state of member %s in %v", m.ID, s.Members)
		}
	}
	stats, err := e.Agent.Statistics(ctx, e.Amphora)
	if err != nil || stats.AmphoraID != e.Amphora.ID || len(stats.Listeners) != 1 {
		t.Errorf("S60 statistics %+v, %v", stats, err)
	}
	empty := e.Document(stamp(1, 5, 1))
	empty.Listeners, empty.Pools = nil, nil
	s, err = e.Agent.PutDocument(ctx, e.Amphora, empty)
	if err != nil || s.HAProxy != "idle" {
		t.Errorf("without listeners: %+v, %v", s, err)
	}
}

func order(t *testing.T, ctx context.Context, e Env) {
	document := func(s lb.Stamp) (amphora.Status, error) { return e.Agent.PutDocument(ctx, e.Amphora, e.Document(s)) }
	table := func(s lb.Stamp) (amphora.Status, error) { return e.Agent.PutTable(ctx, e.Amphora, e.Table(s)) }
	for _, c := range []struct {
		name    string
		put     func(lb.Stamp) (amphora.Status, error)
		stamp   lb.Stamp
		applied lb.Stamp // after it; it is stale when this is higher
	}{
		{"first document", document, stamp(3, 5, 2), stamp(3, 5, 2)},
		{"the same again", document, stamp(3, 5, 2), stamp(3, 5, 2)},
		{"lower serial", document, stamp(3, 5, 1), stamp(3, 5, 2)},
		{"lower revision", document, stamp(3, 4, 9), stamp(3, 5, 2)},
		{"lower epoch", document, stamp(2, 9, 9), stamp(3, 5, 2)},
		{"a table counts by itself", table, stamp(2, 1, 1), stamp(2, 1, 1)},
		{"the same table again", table, stamp(2, 1, 1), stamp(2, 1, 1)},
		{"lower table", table, stamp(2, 0, 7), stamp(2, 1, 1)},
		{"table of an older lease", table, stamp(1, 8, 1), stamp(2, 1, 1)},
		{"higher table", table, stamp(3, 0, 1), stamp(3, 0, 1)},
		{"a new lease begins with any revision", document, stamp(4, 1, 1), stamp(4, 1, 1)},
		{"a late document of the lease before", document, stamp(3, 6, 1), stamp(4, 1, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := c.put(c.stamp)
			var stale *distributor.StaleError
			switch {
			case c.stamp.Less(c.applied):
				if !errors.As(err, &stale) || stale.Applied != c.applied {
					t.Errorf("got %v, want stale after %+v", err, c.applied)
				}
			case err != nil:
				t.Error(err)
			case s.DocumentApplied != c.applied && s.TableApplied != c.applied:
				t.Errorf("applied %+v and %+v", s.DocumentApplied, s.TableApplied)
			}
		})
	}
}

func refusals(t *testing.T, ctx context.Context, e Env) {
	good, goodTable := e.Document(stamp(1, 1, 1)), e.Table(stamp(1, 1, 1))
	_, err := e.Agent.PutDocument(ctx, e.Amphora, good)
	must(t, err)
	_, err = e.Agent.PutTable(ctx, e.Amphora, goodTable)
	must(t, err)
	for _, c := range []struct {
		name   string
		object string // type of the object at fault
		change func(*amphora.Desired)
	}{
		{"listener's id", "listener", func(d *amphora.Desired) { d.Listeners[0].ID = "a\nbind *:1" }},
		{"listener's port", "listener", func(d *amphora.Desired) { d.Listeners[0].Port = 0 }},
		{"listener's pool", "listener", func(d *amphora.Desired) { d.Listeners[0].DefaultPoolID = "99999999-0000-4000-8000-000000000001" }},
		{"listener's protocol", "listener", func(d *amphora.Desired) { d.Listeners[0].Protocol = "GOPHER" }},
		{"allowed CIDR", "listener", func(d *amphora.Desired) { d.Listeners[0].AllowedCIDRs = []string{"all"} }},
		{"pool's algorithm", "pool", func(d *amphora.Desired) { d.Pools[0].Algorithm = "DICE" }},
		{"member's address", "member", func(d *amphora.Desired) { d.Pools[0].Members[0].Address = "example.org" }},
		{"member's weight", "member", func(d *amphora.Desired) { d.Pools[0].Members[0].Weight = 257 }},
		{"monitor's path", "healthmonitor", func(d *amphora.Desired) { d.Pools[0].Monitor.URLPath = "/ \n shutdown" }},
		{"VIP", "", func(d *amphora.Desired) { d.VIPs[0].Address = "vip" }},
		{"probe key", "", func(d *amphora.Desired) { d.ProbeKey = "c0ffee" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := e.Document(stamp(1, 2, 1))
			c.change(&d)
			_, err := e.Agent.PutDocument(ctx, e.Amphora, d)
			var refused *amphora.RefusedError
			if !errors.As(err, &refused) || len(refused.Problems) == 0 || refused.Problems[0].Reason == "" {
				t.Fatalf("got %v, want a refusal", err)
			}
			if got := refused.Problems[0].ObjectType; got != c.object {
				t.Errorf("%q is called at fault, want %q: %+v", got, c.object, refused.Problems)
			}
		})
	}
	invalid := func(name string, err error) {
		if lb.KindOf(err) != lb.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := e.Document(stamp(1, 2, 1))
	other.LoadBalancerID = "99999999-0000-4000-8000-000000000009"
	_, err = e.Agent.PutDocument(ctx, e.Amphora, other)
	invalid("another load balancer's document", err)
	for _, c := range []struct {
		name   string
		change func(*distributor.Table)
	}{
		{"key", func(d *distributor.Table) { d.Key = "00" }},
		{"rows", func(d *distributor.Table) { d.Rows = 1000 }},
		{"holder of nothing", func(d *distributor.Table) { d.Current.Holders[0] = 40 }},
		{"MAC", func(d *distributor.Table) { d.Holders[0].MAC = "x" }},
	} {
		bad := e.Table(stamp(1, 2, 1))
		c.change(&bad.Table)
		_, err := e.Agent.PutTable(ctx, e.Amphora, bad)
		invalid("table with a wrong "+c.name, err)
	}
	s, err := e.Agent.Status(ctx, e.Amphora)
	must(t, err)
	if s.DocumentApplied != good.Stamp || s.TableApplied != goodTable.Stamp || s.HAProxy == "down" {
		t.Errorf("after all that: %+v", s)
	}
}

func late(t *testing.T, ctx context.Context, e Env) {
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := e.Agent.PutDocument(over, e.Amphora, e.Document(stamp(1, 1, 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("PutDocument: %v", err)
	}
	if _, err := e.Agent.PutTable(over, e.Amphora, e.Table(stamp(1, 1, 1))); !errors.Is(err, context.Canceled) {
		t.Errorf("PutTable: %v", err)
	}
	s, err := e.Agent.Status(ctx, e.Amphora)
	must(t, err)
	if none := (lb.Stamp{}); s.DocumentApplied != none || s.TableApplied != none {
		t.Errorf("applied all the same: %+v", s)
	}
}
