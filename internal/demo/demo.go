// Package demo is what `colonnade demo` shows: a load balancer of three active amphorae and a standby that serves, loses
// an amphora under a steady stream of new connections, and heals. It uses nothing but the product and package stage.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"colonnade/internal/stage"
	"colonnade/internal/traffic"
)

// Options of a demo.
type Options struct {
	Binary string // the colonnade program
	Keep   bool   // leave everything running until ctx ends
	Out    io.Writer
}

// What the demo does.
const (
	clients       = 120                     // source addresses
	spreadRounds  = 3                       // requests of each while showing the spread
	streamEvery   = 5 * time.Millisecond    // a new connection of the stream
	streamBefore  = 1500 * time.Millisecond // before the kill
	streamAfter   = time.Second             // after the cluster is whole again
	stepTimeout   = time.Minute
	watchInterval = 10 * time.Millisecond
)

// besides keeps the demo out of the way of a control plane that runs on the machine with the default configuration.
const (
	besides = "[network]\nhost_link_cidr = \"198.19.255.248/30\"\n"
	tenancy = 40 // networks 198.18.80.0/24 and 198.18.81.0/24
)

// Run plays the demo. It returns an error when what was to be shown did not happen.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "colonnade-demo-")
	if err != nil {
		return err
	}
	d := &demo{Options: o, began: time.Now()}
	d.print("Colonnade demo: everything runs on this machine in network namespaces, and goes again.\n\n")
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nThe control plane's log and state are kept in %s", err, dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	if d.stage, err = stage.Open(ctx, stage.Options{Binary: o.Binary, Dir: dir, Config: besides}); err != nil {
		return err
	}
	defer func() {
		closeErr := d.stage.Close(ctx)
		if closeErr == nil {
			d.say("everything removed", "")
		}
		err = errors.Join(err, closeErr)
	}()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d.serving = ctx
	for _, act := range []func(context.Context) error{d.build, d.spread, d.lose, d.keep} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

type demo struct {
	Options
	began    time.Time
	serving  context.Context // the members serve as long as the demo runs, not one step
	stage    *stage.Stage
	service  *stage.Service
	internet *stage.Machine
}

func (d *demo) print(format string, args ...any) { _, _ = fmt.Fprintf(d.Out, format, args...) }

// say prints one line of the time line.
func (d *demo) say(what, detail string) {
	d.print("%8.2f s  %-34s %s\n", time.Since(d.began).Seconds(), what, detail)
}

// build sets up networks, members, clients and the load balancer.
func (d *demo) build(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	d.say("control plane started", fmt.Sprintf("process %d, API at %s", d.stage.PID(), d.stage.URL()))
	defer cancel()
	if d.service, err = d.stage.Tenancy(d.serving, "demo", tenancy); err != nil {
		return err
	}
	sv := d.service
	d.say("networks and members made", fmt.Sprintf("front-end %s; members %s and %s on %s",
		sv.FrontEnd.Subnets[0].CIDR, sv.Members[0].Address, sv.Members[1].Address, sv.BackEnd.Subnets[0].CIDR))
	if d.internet, err = d.stage.Internet(ctx, "clients", clients); err != nil {
		return err
	}
	d.say("clients behind the gateway", fmt.Sprintf("%d addresses from %s on", clients, d.internet.Address))
	if err := sv.Create(ctx, "demo"); err != nil {
		return err
	}
	d.say("load balancer asked for", fmt.Sprintf("VIP %s, 3 active amphorae and a standby", sv.VIP))
	first, err := sv.FirstAnswer(ctx, d.internet)
	if err != nil {
		return err
	}
	d.say("first answer through the VIP", fmt.Sprintf("%.2f s after the POST", first.At.Add(first.Took).Sub(sv.Asked).Seconds()))
	if _, err := d.stage.Client().WaitSettled(ctx, sv.ID, nil); err != nil {
		return err
	}
	d.say("load balancer ACTIVE", "")
	if _, err := sv.WaitWhole(ctx, ""); err != nil {
		return err
	}
	d.say("cluster ONLINE, standby ready", "")
	return nil
}

// spread shows who serves whom: positions by source address, members in turn.
func (d *demo) spread(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	counts := map[[2]string]int{}
	amphorae, members, failed := map[string]bool{}, map[string]bool{}, 0
	for range spreadRounds {
		for _, source := range d.internet.Sources {
			r := traffic.Get(ctx, d.internet.Dial, source, d.service.Web())
			if r.Failure != "" {
				failed++
				continue
			}
			peer, err := netip.ParseAddrPort(r.Answer.Peer)
			if err != nil {
				return fmt.Errorf("member says it was called from %q: %w", r.Answer.Peer, err)
			}
			via := peer.Addr().String()
			amphorae[via], members[r.Answer.Member] = true, true
			counts[[2]string{via, r.Answer.Member}]++
		}
	}
	total := spreadRounds * len(d.internet.Sources)
	d.say("requests through the VIP", fmt.Sprintf("%d from %d addresses, %d failed", total, len(d.internet.Sources), failed))
	d.print("\n")
	tw := tabwriter.NewWriter(d.Out, 0, 0, 3, ' ', tabwriter.AlignRight)
	names := slices.Sorted(maps.Keys(members))
	_, _ = fmt.Fprint(tw, "            amphora (back-end address)\t")
	for _, m := range names {
		_, _ = fmt.Fprintf(tw, "%s\t", m)
	}
	_, _ = fmt.Fprint(tw, "sum\t\n")
	for _, a := range slices.Sorted(maps.Keys(amphorae)) {
		sum := 0
		_, _ = fmt.Fprintf(tw, "%s\t", a)
		for _, m := range names {
			sum += counts[[2]string{a, m}]
			_, _ = fmt.Fprintf(tw, "%d\t", counts[[2]string{a, m}])
		}
		_, _ = fmt.Fprintf(tw, "%d\t\n", sum)
	}
	_ = tw.Flush()
	d.print("\n")
	if failed > 0 || len(amphorae) != 3 || len(members) != 2 {
		return fmt.Errorf("%d requests failed; %d amphorae and %d members served, want 3 and 2", failed, len(amphorae), len(members))
	}
	return nil
}

// lose takes an amphora away under a steady stream and watches the cluster heal.
func (d *demo) lose(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	before, err := d.service.View(ctx)
	if err != nil {
		return err
	}
	victim, ok := before.At(1)
	if !ok {
		return errors.New("nobody holds position 1")
	}
	var mu sync.Mutex
	var requests []traffic.Request
	streamCtx, endStream := context.WithCancel(ctx)
	streamed := make(chan struct{})
	go func() {
		defer close(streamed)
		traffic.Stream(streamCtx, d.internet.Dial, d.internet.Sources, d.service.Web(), streamEvery, func(r traffic.Request) {
			mu.Lock()
			defer mu.Unlock()
			requests = append(requests, r)
		})
	}()
	defer endStream()
	d.say("steady stream begins", fmt.Sprintf("%d new connections a second", time.Second/streamEvery))
	if err := wait(ctx, streamBefore); err != nil {
		return err
	}
	killed := time.Now()
	if err := d.stage.PowerCut(ctx, victim.ID); err != nil {
		return err
	}
	d.say("amphora killed", fmt.Sprintf("%s at position 1, with everything in it and its links", victim.ID[:8]))
	if err := d.watch(ctx, victim.ID, before); err != nil {
		return err
	}
	healed := time.Since(killed)
	if err := wait(ctx, streamAfter); err != nil {
		return err
	}
	endStream()
	<-streamed
	d.report(requests, killed, healed)
	return nil
}

func wait(ctx context.Context, long time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(long):
		return nil
	}
}

// watch prints what changes in the cluster until it is whole without the victim.
func (d *demo) watch(ctx context.Context, victim string, last stage.View) error {
	seen := map[string]string{}
	for _, a := range last.Amphorae {
		seen[a.ID] = describe(a.Status, a.Position)
	}
	cluster := last.Cluster.OperatingStatus
	ready := last.Cluster.StandbyReady
	for {
		v, err := d.service.View(ctx)
		if err != nil {
			return err
		}
		now := map[string]bool{}
		for _, a := range v.Amphorae {
			now[a.ID] = true
			state := describe(a.Status, a.Position)
			if a.OutOfService {
				state = "out of service"
			}
			switch before, known := seen[a.ID]; {
			case !known:
				d.say("new amphora "+a.ID[:8], state)
			case before != state:
				d.say("amphora "+a.ID[:8], state)
			}
			seen[a.ID] = state
		}
		for id := range seen {
			if !now[id] {
				d.say("amphora "+id[:8], "removed")
				delete(seen, id)
			}
		}
		if v.Cluster.OperatingStatus != cluster || v.Cluster.StandbyReady != ready {
			cluster, ready = v.Cluster.OperatingStatus, v.Cluster.StandbyReady
			d.say("cluster "+cluster, fmt.Sprintf("standby_ready %d", ready))
		}
		if v.Whole() && !now[victim] {
			return nil
		}
		if err := wait(ctx, watchInterval); err != nil {
			return fmt.Errorf("the cluster did not heal: %w", err)
		}
	}
}

func describe(status string, position *int) string {
	if position == nil {
		return status + ", standby"
	}
	return fmt.Sprintf("%s, position %d", status, *position)
}

// report counts the stream's failures by reason.
func (d *demo) report(requests []traffic.Request, killed time.Time, healed time.Duration) {
	reasons := map[string]int{}
	slow := 0
	var lastBad time.Time
	for _, r := range requests {
		switch {
		case r.Failure != "":
			reasons[r.Failure]++
		case r.Took > 500*time.Millisecond:
			slow++
		default:
			continue
		}
		if r.At.After(lastBad) {
			lastBad = r.At
		}
	}
	d.say("steady stream ended", fmt.Sprintf("%d requests", len(requests)))
	d.print("\n            cluster whole again %.2f s after the kill\n", healed.Seconds())
	if !lastBad.IsZero() {
		d.print("            last request that met the dead amphora began %d ms after the kill\n", lastBad.Sub(killed).Milliseconds())
	}
	failed := 0
	for _, n := range reasons {
		failed += n
	}
	d.print("            failed: %d", failed)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		d.print("  %s %d", reason, reasons[reason])
	}
	d.print("\n            answered late, by a retransmission: %d\n\n", slow)
}

// keep leaves the stage as it is until the person has seen enough; else it deletes the load balancer.
func (d *demo) keep(ctx context.Context) error {
	if d.Keep {
		d.print("Kept running. Try, in another shell:\n\n  curl http://%s/\n  colonnade --url %s --state-dir %s loadbalancer list\n\nCtrl-C removes everything.\n",
			d.service.VIP, d.stage.URL(), d.stage.StateDir())
		<-ctx.Done()
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if err := d.stage.Client().DeleteLoadBalancer(ctx, d.service.ID, true); err != nil {
		return err
	}
	if err := d.stage.Client().WaitGone(ctx, d.service.ID, nil); err != nil {
		return err
	}
	d.say("load balancer deleted", "")
	return nil
}
