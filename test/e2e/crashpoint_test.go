package e2e_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math"
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
	slow        bool   // not in the sample
	guarded     bool   // needs three clusters: TestCrashAtEveryPoint has a stage of its own for it
	config      string // more of the configuration, while it goes on
	// before prepares what is asked for, with a control plane that does not crash.
	before func(*play)
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
	victims  []string          // ids that have to be gone in the end
	err      error             // of do
	holders  map[string]string // of certificates, with their ends, before
}

func (p *play) long() context.Context { return within(p.T, crashLimit) }

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
	"certificates near their end": {
		before: func(p *play) { p.holders = p.expirations() },
		do:     func(p *play) error { return p.ageCertificates() },
		again: func(p *play) {
			if p.err != nil {
				must(p.T, p.ageCertificates())
			}
			soon := time.Now().Add(20 * 24 * time.Hour).UTC().Format("2006-01-02T15:04:05") // they live 30 days
			p.awaitCertificates(func(_, end string) bool { return end > soon })
			for id := range p.expirations() {
				if p.holders[id] == "" {
					p.Errorf("%s is new: a certificate that nears its end is no reason to replace its holder", id)
				}
			}
		},
	},
	"a database that knows nothing of what runs": {
		toNothing: true,
		config:    "[housekeeping]\nevery = \"250ms\"\nmin_age = \"1s\"\n",
		do:        func(p *play) error { return p.forget() },
		again:     func(p *play) { must(p.T, p.forget()) },
	},
	"history that is due to be forgotten": {
		fromNothing: true, toNothing: true,
		config: "[housekeeping]\nkeep_deleted = \"1ms\"\n",
		before: func(p *play) { p.toState(true); p.toState(false) },
		do:     func(*play) error { return nil }, // whoever starts forgets
		again: func(p *play) {
			deleted := -1
			for ctx := p.long(); deleted != 0; pass(p.T, 20*time.Millisecond) {
				must(p.T, p.sql(func(db *sql.DB) error {
					return db.QueryRowContext(ctx, "SELECT count(*) FROM load_balancer WHERE provisioning_status = 'DELETED'").Scan(&deleted)
				}))
			}
		},
	},
	"silence of most amphorae": {guarded: true, slow: true},
}

// passes says which operations pass the points that begin so. One that is not here, or is passed by none, makes the test
// fail.
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
	"acm.hold-back":          {"silence of most amphorae"},
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
	"distributor.mark-ready": {"create", "death of the distributor"},
	"distributor.replace":    {"death of the distributor"},
	"distributor.retire":     {"delete"},

	"acm.renew-certificate":         {"certificates near their end"},
	"distributor.renew-certificate": {"certificates near their end"},

	"housekeeping.purge":           {"history that is due to be forgotten"},
	"housekeeping.remove-instance": {"a database that knows nothing of what runs"},
	"housekeeping.remove-port":     {"a database that knows nothing of what runs"},

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

// trials lists every crash: each point with each operation that passes it. Each point has one at the least, and no step and
// no operation is named that does nothing.
func trials(t *testing.T) []trial {
	t.Helper()
	var all []trial
	idle, unused := maps.Clone(passes), maps.Clone(operations)
	for _, point := range crashPoints(t) {
		step := point[:strings.LastIndex(point, ".")]
		if len(passes[step]) == 0 {
			t.Errorf("no operation is known to pass %s", point)
		}
		delete(idle, step)
		for _, name := range passes[step] {
			if operations[name].do == nil && !operations[name].guarded {
				t.Errorf("%s is to be passed by %q, which is no operation", point, name)
			}
			delete(unused, name)
			all = append(all, trial{point, name})
		}
	}
	for step := range idle {
		t.Errorf("there is no point of a step %s", step)
	}
	for name := range unused {
		t.Errorf("operation %q passes no point", name)
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

// crashLimit is far beyond what a busy machine needs to reach a point; whether it is reached is what counts.
const crashLimit = 3 * time.Minute

func awaitCrash(t *testing.T, reached func() bool) {
	t.Helper()
	for ctx := within(t, crashLimit); !reached(); pass(t, 5*time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("the point was not reached")
		}
	}
}

// crashConfig is of every control plane that crashes.
const crashConfig = quick + "drain_timeout = \"5s\"\n"

// TestCrashAtEveryPoint kills the control plane at each crash point, starts it again and compares the world with that
// of an undisturbed run. COLONNADE_CRASH_ONLY takes points alone that begin so: prefixes, with commas between.
func TestCrashAtEveryPoint(t *testing.T) {
	all := trials(t)
	if only := os.Getenv("COLONNADE_CRASH_ONLY"); only != "" {
		all = slices.DeleteFunc(all, func(x trial) bool {
			return !slices.ContainsFunc(strings.Split(only, ","), func(prefix string) bool { return strings.HasPrefix(x.point, prefix) })
		})
	}
	limit := time.Duration(math.MaxInt64)
	if os.Getenv("COLONNADE_LONG") != "" {
		// Those that begin with nothing are followed by those that end with nothing.
		slices.SortStableFunc(all, func(a, b trial) int { return cmp.Compare(a.point, b.point) })
	} else {
		limit = crashSample
		all = slices.DeleteFunc(all, func(x trial) bool { return operations[x.operation].slow })
		seed := uint64(time.Now().Unix() / 86400)
		if text := os.Getenv("COLONNADE_SEED"); text != "" {
			var err error
			seed, err = strconv.ParseUint(text, 10, 64)
			must(t, err)
		}
		t.Logf("a sample by COLONNADE_SEED=%d", seed)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	program := crashing(t)
	guarded := func(x trial) bool { return operations[x.operation].guarded }
	if alone := slices.DeleteFunc(slices.Clone(all), guarded); len(alone) > 0 {
		t.Run("one cluster", func(t *testing.T) { crashOne(t, program, alone, limit) })
	}
	if three := slices.DeleteFunc(slices.Clone(all), func(x trial) bool { return !guarded(x) }); len(three) > 0 {
		t.Run("three clusters", func(t *testing.T) { crashUnderTheGuard(t, program, three) })
	}
}

// crashOne crashes a control plane that has one load balancer, or none, until the time is over.
func crashOne(t *testing.T, program string, all []trial, limit time.Duration) {
	s := setWith(t, stage.Options{Binary: program, Config: crashConfig})
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

	begun := time.Now()
	done := 0
	for _, x := range all {
		if time.Since(begun) > limit {
			break
		}
		done++
		ok := t.Run(fmt.Sprintf("%s in %s", x.point, x.operation), func(t *testing.T) { p.T = t; p.crash(x, empty, whole) })
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

// crash is one trial, after which the world has to be empty or whole, as the operation says.
func (p *play) crash(x trial, empty, whole map[string]int) {
	op := operations[x.operation]
	p.victims, p.err = nil, nil
	p.toState(!op.fromNothing)
	if op.before != nil {
		op.before(p)
	}
	must(p.T, p.s.Configure(crashConfig+op.config))
	reached := armed(p.T, p.s, x.point)
	if !reached() {
		p.err = op.do(p)
	} else {
		p.err = fmt.Errorf("crashed before it was asked")
	}
	awaitCrash(p.T, reached)
	restarted(p.T, p.s)
	if p.err != nil {
		p.Logf("asking ended: %v", p.err)
	}
	if op.again != nil {
		op.again(p)
	}
	p.exists = !op.toNothing
	if op.toNothing {
		must(p.T, p.s.Client().WaitGone(p.long(), p.sv.ID, nil))
		inventory(p.T, p.s, empty)
		if _, err := p.s.Client().LoadBalancers().Get(p.long(), p.sv.ID); client.StatusOf(err) != http.StatusNotFound {
			p.Errorf("deleted load balancer: %v", err)
		}
		return
	}
	p.whole()
	inventory(p.T, p.s, whole)
	p.statuses()
	for _, source := range p.internet.Sources {
		if r := traffic.Get(p.long(), p.internet.Dial, source, p.sv.Web()); r.Failure != "" {
			p.Errorf("request from %s: %s", source, r.Failure)
		}
	}
}

func (p *play) view() stage.View {
	v, err := p.sv.View(p.long())
	if err != nil {
		return stage.View{}
	}
	return v
}

// sql lets a test change what only time or misfortune does.
func (p *play) sql(do func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(p.s.StateDir(), "colonnade.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

// change makes changes at once, and has everybody look at them.
func (p *play) change(statements ...string) error {
	return p.sql(func(db *sql.DB) error {
		_, err := db.ExecContext(p.long(), "BEGIN IMMEDIATE;"+strings.Join(statements, ";")+"; UPDATE work_queue SET due_at = 0; COMMIT")
		return err
	})
}

// resize changes the size of all clusters as the operator's call will.
func (p *play) resize(n int) error {
	return p.change(fmt.Sprintf("UPDATE cluster SET desired_size = %d", n))
}

// stamp is a time from now as the database writes it.
func stamp(from time.Duration) string {
	return time.Now().Add(from).UTC().Format("2006-01-02 15:04:05.999999-07:00")
}

// ageCertificates lets all certificates end tomorrow, as far as the control plane knows.
func (p *play) ageCertificates() error {
	end := stamp(24 * time.Hour)
	return p.change("UPDATE amphora SET cert_expiration = '"+end+"'", "UPDATE distributor SET cert_expiration = '"+end+"'")
}

// forget has the database know nothing of what runs, as one that was restored from an older backup.
func (p *play) forget() error {
	return p.change("UPDATE cluster SET distributor_id = NULL", "DELETE FROM distributor", "UPDATE amphora SET status = 'DELETED'",
		"DELETE FROM health_monitor", "DELETE FROM member", "DELETE FROM listener", "DELETE FROM pool",
		"UPDATE load_balancer SET provisioning_status = 'DELETED'")
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

// crashUnderTheGuard crashes the control plane while it holds replacements back because too many amphorae fell silent at
// once (E24). When they wake, nothing has been lost.
func crashUnderTheGuard(t *testing.T, program string, all []trial) {
	s := setWith(t, stage.Options{Binary: program, Config: "[cluster]\ncooldown = \"0s\"\ndesired_size = 1\n"})
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
	for _, x := range all {
		t.Run(x.point, func(t *testing.T) {
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
			reached := armed(t, s, x.point)
			for _, port := range ports { // the management network is away; traffic is not
				must(t, s.CutLink(port))
			}
			awaitCrash(t, reached)
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
