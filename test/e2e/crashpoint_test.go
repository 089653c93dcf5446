package e2e_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
	"colonnade/internal/cluster"
	"colonnade/internal/network"
	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// Without COLONNADE_LONG=1 as many crashes are tried as fit into this time, others each day.
const crashSample = 45 * time.Second

// operation is something that makes the control plane pass crash points. It begins and ends with a whole load balancer
// or with none.
type operation struct {
	fromNothing bool
	toNothing   bool
	slow        bool // not in the sample
	// do asks for it; an error may be the crash.
	do func(*play) error
	// again is called after the restart: what was not accepted is asked for once more, what is to be undone is undone.
	again func(*play)
}

// play is a load balancer that crashes happen to.
type play struct {
	*testing.T
	s        *stage.Stage
	sv       *stage.Service
	internet *stage.Machine
	exists   bool
	victims  []string // ids that have to be gone in the end
	err      error    // of do
}

func (p *play) long() context.Context { return within(p.T, 90*time.Second) }

var operations = map[string]operation{
	"create": {
		fromNothing: true,
		do:          func(p *play) error { return p.sv.Create(p.long(), "lb") },
		again: func(p *play) {
			all, err := p.s.Client().LoadBalancers().List(p.long(), nil)
			must(p.T, err)
			switch {
			case len(all) == 0:
				must(p.T, p.sv.Create(p.long(), "lb"))
			case p.err != nil: // accepted, but nobody was told
				p.sv.ID = all[0].ID
				p.sv.VIP, err = netip.ParseAddr(all[0].VIPAddress)
				must(p.T, err)
			}
		},
	},
	"change": {
		do: func(p *play) error { return p.members(false) },
		again: func(p *play) {
			if p.err != nil {
				must(p.T, p.members(false))
			}
			p.settled()
			must(p.T, p.members(true))
			p.settled()
		},
	},
	"planned failover of an amphora": {
		do:    func(p *play) error { return p.s.Client().Amphorae().Failover(p.long(), p.victim(0)) },
		again: func(p *play) { p.unlessAccepted() },
	},
	"planned failover of the load balancer": {
		slow: true,
		do: func(p *play) error {
			for _, a := range p.view().Amphorae {
				p.victims = append(p.victims, a.ID)
			}
			return p.s.Client().LoadBalancers().Failover(p.long(), p.sv.ID)
		},
		again: func(p *play) { p.unlessAccepted() },
	},
	"death of an amphora": {do: func(p *play) error { return p.s.PowerCut(p.long(), p.victim(1)) }},
	"HAProxy killed": {do: func(p *play) error {
		_, err := p.s.Signal(p.long(), p.victim(2), "haproxy", syscall.SIGKILL)
		return err
	}},
	"death of most amphorae": {do: func(p *play) error {
		return p.powerCut(p.victim(0), p.victim(1), p.victim(2)) // more than the distributor replaces by itself
	}},
	"death of everybody": {do: func(p *play) error {
		for _, a := range p.view().Amphorae {
			p.victims = append(p.victims, a.ID)
		}
		return p.powerCut(p.victims...)
	}},
	"death of the distributor":                  {do: func(p *play) error { return p.powerCut(p.distributor()) }},
	"death of an amphora without a distributor": {do: func(p *play) error { return p.powerCut(p.distributor(), p.victim(1)) }},
	"growth": {
		do:    func(p *play) error { return p.resize(4) },
		again: func(p *play) { p.whole(); must(p.T, p.resize(3)) },
	},
	"scale-in": {
		do: func(p *play) error {
			must(p.T, p.resize(4))
			p.whole()
			return p.resize(3)
		},
		again: func(p *play) { must(p.T, p.resize(3)) },
	},
	"an amphora that does not boot": {
		slow: true,
		do: func(p *play) error {
			known := map[string]bool{}
			for _, a := range p.view().Amphorae {
				known[a.ID] = true
			}
			must(p.T, p.s.PowerCut(p.long(), p.victim(0)))
			for ctx := p.long(); ; pass(p.T, time.Millisecond) { // its successor is stopped before its first word
				for _, a := range p.view().Amphorae {
					if n, err := p.s.Signal(ctx, a.ID, "colonnade-agent", syscall.SIGSTOP); !known[a.ID] && err == nil && n > 0 {
						return nil
					}
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
		},
	},
	"delete": {
		toNothing: true,
		do:        func(p *play) error { return p.s.Client().DeleteLoadBalancer(p.long(), p.sv.ID, true) },
		again: func(p *play) {
			if l, err := p.s.Client().LoadBalancers().Get(p.long(), p.sv.ID); err == nil && l.ProvisioningStatus == "ACTIVE" {
				must(p.T, p.s.Client().DeleteLoadBalancer(p.long(), p.sv.ID, true))
			}
		},
	},
}

// passes says which operations pass the points that begin so. One that is not here makes the test fail.
var passes = map[string][]string{
	"acm.assign-distributor": {"create"},
	"acm.boot-timeout":       {"an amphora that does not boot"},
	"acm.build":              {"create", "death of an amphora"},
	"acm.create-amphora":     {"create", "death of an amphora"},
	"acm.delete":             {"planned failover of an amphora", "death of an amphora", "delete"},
	"acm.delete-ports":       {"planned failover of an amphora", "delete"},
	"acm.failover-done":      {"planned failover of the load balancer"},
	"acm.grow":               {"growth"},
	"acm.hand-over":          {"planned failover of an amphora"},
	"acm.hold-back":          nil, // TestCrashUnderTheGuard
	"acm.install-table":      {"create", "planned failover of an amphora", "death of an amphora", "death of the distributor"},
	"acm.mark-ready":         {"create", "death of an amphora"},
	"acm.out-of-service":     {"death of an amphora", "HAProxy killed", "death of everybody"},
	"acm.plug-vip":           {"create", "death of the distributor"},
	"acm.push-table":         {"create", "planned failover of an amphora", "death of an amphora"},
	"acm.release":            {"delete"},
	"acm.remove":             {"planned failover of an amphora", "death of an amphora"},
	"acm.replace":            {"death of an amphora without a distributor"},
	"acm.retire-cluster":     {"delete"},
	"acm.set-statuses":       {"create", "death of an amphora"},
	"acm.set-table":          {"create", "planned failover of an amphora", "death of an amphora"},
	"acm.shrink":             {"scale-in"},
	"acm.take-position":      {"create"},
	"acm.take-swap-in":       {"death of an amphora", "HAProxy killed"},
	"acm.unplug-vip":         {"delete"},
	"acm.vacate":             {"death of most amphorae", "death of everybody"},
	"acm.wake-worker":        {"delete"},
	"distributor.build":      {"create", "death of the distributor"},
	"distributor.delete":     {"delete"},
	"distributor.make-key":   {"create"},
	"distributor.mark-ready": {"create", "death of the distributor"},
	"distributor.replace":    {"death of the distributor"},
	"distributor.retire":     {"delete"},

	"acm.renew-certificate":         nil, // TestCrashWhileCertificatesAreRenewed
	"distributor.renew-certificate": nil,

	// What housekeeping removes has been without a row for minutes; internal/housekeeping ends it at these points.
	"housekeeping.purge":           nil,
	"housekeeping.remove-instance": nil,
	"housekeeping.remove-port":     nil,

	"worker.drop-ports":    {"change"},
	"worker.finish-delete": {"delete"},
	"worker.plug-ports":    {"create"},
	"worker.put-document":  {"create", "change", "death of an amphora"},
	"worker.settle":        {"create", "change", "planned failover of an amphora"},
}

// trial is one crash: at a point, while an operation is going on.
type trial struct{ point, operation string }

func crashPoints(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/reference/crash-points.txt")
	must(t, err)
	return strings.Fields(string(raw))
}

// trials lists every crash: each point with each operation that passes it.
func trials(t *testing.T) []trial {
	t.Helper()
	var all []trial
	for _, point := range crashPoints(t) {
		step := point[:strings.LastIndex(point, ".")]
		by, known := passes[step]
		if !known {
			t.Errorf("no operation is known to pass %s", point)
		}
		for _, name := range by {
			all = append(all, trial{point, name})
		}
	}
	// Acts on several amphorae go side by side: the second of them crashes amid the others.
	for _, point := range []string{"acm.build.instance:2", "acm.build.acted:3", "acm.push-table.acted:2", "acm.install-table.acted:2", "worker.put-document.acted:2"} {
		all = append(all, trial{point, "create"})
	}
	return append(all, trial{"acm.delete.acted:2", "delete"}, trial{"acm.set-table.recorded:2", "planned failover of an amphora"})
}

// crashing builds the programs with crash points and returns the control plane's.
func crashing(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-tags", "crashtest", "-o", dir+"/", "colonnade/cmd/colonnade", "colonnade/cmd/colonnade-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build programs with crash points: %v\n%s", err, out)
	}
	return filepath.Join(dir, "colonnade")
}

// crashStage is a stage whose control plane can be told where to crash.
func crashStage(t *testing.T, config string) *stage.Stage {
	t.Helper()
	normal := binary
	binary = crashing(t)
	defer func() { binary = normal }()
	return set(t, config)
}

// armed starts the control plane so that it crashes at a point. It may do so before it answers.
func armed(t *testing.T, s *stage.Stage, point string) (reached func() bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "reached")
	reached = func() bool { _, err := os.Stat(file); return err == nil }
	must(t, s.Kill())
	t.Setenv("COLONNADE_CRASH_AT", point)
	t.Setenv("COLONNADE_CRASH_FILE", file)
	if err := s.Start(within(t, time.Minute)); err != nil && !reached() {
		t.Fatal(err)
	}
	return reached
}

// restarted starts it again after the crash.
func restarted(t *testing.T, s *stage.Stage) {
	t.Helper()
	must(t, s.Kill())
	t.Setenv("COLONNADE_CRASH_AT", "")
	must(t, s.Start(within(t, time.Minute)))
}

func awaitCrash(t *testing.T, reached func() bool, limit time.Duration) {
	t.Helper()
	for ctx := within(t, limit); !reached(); pass(t, 5*time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("the point was not reached")
		}
	}
}

// TestCrashAtEveryPoint kills the control plane at each crash point, starts it again and compares the world with that
// of an undisturbed run.
func TestCrashAtEveryPoint(t *testing.T) {
	all := trials(t)
	s := crashStage(t, quick+"drain_timeout = \"5s\"\n")
	members, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	sv, err := s.Tenancy(members, "t", 0)
	must(t, err)
	internet, err := s.Internet(within(t, 10*time.Second), "clients", 10)
	must(t, err)

	p := &play{T: t, s: s, sv: sv, internet: internet}
	empty, err := s.Inventory(p.long())
	must(t, err)
	p.toState(true)
	whole, err := s.Inventory(p.long())
	must(t, err)

	long := os.Getenv("COLONNADE_LONG") != ""
	if long {
		// Those that begin with nothing are followed by those that end with nothing.
		slices.SortStableFunc(all, func(a, b trial) int { return cmp.Compare(a.point, b.point) })
	} else {
		all = slices.DeleteFunc(all, func(x trial) bool { return operations[x.operation].slow })
		seed := uint64(time.Now().Unix() / 86400)
		if text := os.Getenv("COLONNADE_SEED"); text != "" {
			seed, err = strconv.ParseUint(text, 10, 64)
			must(t, err)
		}
		t.Logf("a sample by COLONNADE_SEED=%d", seed)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	only := os.Getenv("COLONNADE_CRASH_ONLY")
	begun := time.Now()
	done := 0
	for _, x := range all {
		if only != "" && !strings.HasPrefix(x.point, only) {
			continue
		}
		if !long && time.Since(begun) > crashSample {
			break
		}
		done++
		ok := t.Run(fmt.Sprintf("%s in %s", x.point, x.operation), func(t *testing.T) {
			p.T = t
			op := operations[x.operation]
			p.toState(!op.fromNothing)
			p.victims, p.err = nil, nil
			reached := armed(t, s, x.point)
			if !reached() {
				p.err = op.do(p)
			} else {
				p.err = fmt.Errorf("crashed before it was asked")
			}
			awaitCrash(t, reached, 80*time.Second)
			restarted(t, s)
			if p.err != nil {
				t.Logf("asking ended: %v", p.err)
			}
			if op.again != nil {
				op.again(p)
			}
			p.exists = !op.toNothing
			if op.toNothing {
				must(t, s.Client().WaitGone(p.long(), sv.ID, nil))
				inventory(t, s, empty)
				if _, err := s.Client().LoadBalancers().Get(p.long(), sv.ID); client.StatusOf(err) != http.StatusNotFound {
					t.Errorf("deleted load balancer: %v", err)
				}
				return
			}
			p.whole()
			inventory(t, s, whole)
			p.statuses()
			for _, source := range internet.Sources {
				if r := traffic.Get(p.long(), internet.Dial, source, sv.Web()); r.Failure != "" {
					t.Errorf("request from %s: %s", source, r.Failure)
				}
			}
		})
		if !ok { // the next begins with nothing
			p.T, p.exists = t, false
			restarted(t, s)
			all, err := s.Client().LoadBalancers().List(p.long(), nil)
			must(t, err)
			for _, l := range all {
				_ = s.Client().DeleteLoadBalancer(p.long(), l.ID, true) // it may be under way
				must(t, s.Client().WaitGone(p.long(), l.ID, nil))
			}
		}
	}
	p.T = t
	t.Logf("%d crashes of %d in %s", done, len(all), time.Since(begun).Round(time.Second))
}

func (p *play) view() stage.View {
	v, err := p.sv.View(p.long())
	if err != nil {
		return stage.View{}
	}
	return v
}

// resize changes the size of all clusters as the operator's call will, and has the manager look at them.
func (p *play) resize(n int) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(p.s.StateDir(), "colonnade.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(p.long(), "UPDATE cluster SET desired_size = ?", n); err != nil {
		return err
	}
	_, err = db.ExecContext(p.long(), "UPDATE work_queue SET due_at = 0")
	return err
}

func (p *play) distributor() string {
	all, err := p.s.Client().Distributors().List(p.long(), nil)
	if err != nil || len(all) != 1 {
		return ""
	}
	return all[0].ID
}

func (p *play) powerCut(ids ...string) error {
	for _, id := range ids {
		if err := p.s.PowerCut(p.long(), id); err != nil {
			return err
		}
	}
	return nil
}

// victim names the holder of a position, who is to be gone in the end.
func (p *play) victim(position int) string {
	a, ok := p.view().At(position)
	if ok {
		p.victims = append(p.victims, a.ID)
	}
	return a.ID
}

// unlessAccepted forgets the victims of a request that was not answered: it may not have been heard.
func (p *play) unlessAccepted() {
	if p.err != nil {
		p.victims = nil
	}
}

func (p *play) settled() {
	p.Helper()
	l, err := p.s.Client().WaitSettled(p.long(), p.sv.ID, nil)
	must(p.T, err)
	if l.ProvisioningStatus != "ACTIVE" {
		p.Errorf("load balancer is %s: %s", l.ProvisioningStatus, l.StatusReason)
	}
}

func (p *play) whole() {
	p.Helper()
	p.settled()
	for _, id := range append([]string{""}, p.victims...) {
		_, err := p.sv.WaitWhole(p.long(), id)
		must(p.T, err)
	}
}

// toState makes a whole load balancer, or none, without any crash.
func (p *play) toState(exists bool) {
	p.Helper()
	switch {
	case exists && !p.exists:
		must(p.T, p.sv.Create(p.long(), "lb"))
		p.whole()
	case !exists && p.exists:
		must(p.T, p.s.Client().DeleteLoadBalancer(p.long(), p.sv.ID, true))
		must(p.T, p.s.Client().WaitGone(p.long(), p.sv.ID, nil))
	}
	p.exists = exists
}

// members gives every pool its members, or none.
func (p *play) members(all bool) error {
	pools, err := p.s.Client().Pools().List(p.long(), nil)
	if err != nil {
		return err
	}
	ports := map[string]int{"web": stage.WebPort, "echo": stage.EchoPort}
	for _, pool := range pools {
		list := []wire.MemberCreate{}
		for _, m := range p.sv.Members {
			if all {
				list = append(list, wire.MemberCreate{
					Address: wire.Some(m.Address.String()), ProtocolPort: wire.Some(ports[pool.Name]), SubnetID: wire.Some(p.sv.BackEnd.Subnets[0].ID),
					MemberFields: wire.MemberFields{Name: wire.Some(m.Name)},
				})
			}
		}
		for ctx := p.long(); ; pass(p.T, 20*time.Millisecond) {
			err := p.s.Client().ReplaceMembers(ctx, pool.ID, list, false)
			if err == nil {
				break
			}
			if client.StatusOf(err) != http.StatusConflict || ctx.Err() != nil { // 409 while the last change is under way
				return err
			}
		}
	}
	return nil
}

// statuses waits until everything in the tree is ACTIVE and ONLINE.
func (p *play) statuses() {
	p.Helper()
	var seen string
	for ctx := p.long(); ctx.Err() == nil; pass(p.T, 50*time.Millisecond) {
		l, err := p.s.Client().LoadBalancers().Get(ctx, p.sv.ID)
		if err != nil {
			seen = err.Error()
			continue
		}
		if seen = l.ProvisioningStatus + " " + l.OperatingStatus; seen == "ACTIVE ONLINE" {
			return
		}
	}
	p.Errorf("load balancer stays %s", seen)
}

// TestCrashUnderTheGuard crashes the control plane while it holds replacements back because too many amphorae fell
// silent at once (E24). When they wake, nothing has been lost.
func TestCrashUnderTheGuard(t *testing.T) {
	if os.Getenv("COLONNADE_LONG") == "" {
		t.Skip("set COLONNADE_LONG=1")
	}
	s := crashStage(t, "[cluster]\ncooldown = \"0s\"\ndesired_size = 1\n")
	members, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	var plays []*play
	for n := range 3 {
		sv, err := s.Tenancy(members, fmt.Sprintf("t%d", n), n)
		must(t, err)
		p := &play{T: t, s: s, sv: sv}
		p.toState(true)
		plays = append(plays, p)
	}
	whole, err := s.Inventory(within(t, time.Minute))
	must(t, err)
	for _, phase := range []string{"before", "acted", "recorded"} {
		t.Run("acm.hold-back."+phase, func(t *testing.T) {
			holders := map[*play]string{}
			var ports []string
			for _, p := range plays[:2] {
				p.T = t
				holder, _ := p.view().At(0)
				holders[p] = holder.ID
				for _, a := range p.view().Amphorae {
					ports = append(ports, cluster.PortID(a.ID, network.PurposeManagement))
				}
			}
			reached := armed(t, s, "acm.hold-back."+phase)
			for _, port := range ports { // the management network is away; traffic is not
				must(t, s.CutLink(port))
			}
			awaitCrash(t, reached, time.Minute)
			restarted(t, s) // which mends the links
			for _, p := range plays {
				p.T = t
				p.whole()
				p.statuses()
			}
			for p, id := range holders {
				if holder, _ := p.view().At(0); holder.ID != id {
					t.Errorf("position 0 went from %s, who served all the time, to %s", id, holder.ID)
				}
			}
			inventory(t, s, whole)
		})
	}
}
