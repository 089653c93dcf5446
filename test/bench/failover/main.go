// Command failover measures what clients see when an amphora dies: T1 (how long its new connections are not served),
// T2 (connections of the others that break) and T18 (when the cluster is at its size again).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"colonnade/internal/distributor"
	"colonnade/internal/stage"
	"colonnade/internal/testenv"
	"colonnade/internal/traffic"
	"colonnade/test/bench/report"
)

const (
	clients = 60
	// attempt is one SYN: an answer within it counts, a retransmission (after 1 s) does not.
	attempt  = 900 * time.Millisecond
	synEvery = 5 * time.Millisecond
	// resetWait is how long the victim's connections may take to end after the cluster is whole.
	resetWait = 3 * time.Second
)

func main() {
	runs := flag.Int("runs", 10, "deaths of each kind")
	binary := flag.String("binary", "bin/colonnade", "the program to measure")
	flag.Parse()
	os.Exit(testenv.RunInLab(func() int {
		b := &bench{runs: *runs}
		if err := b.measure(*binary); err != nil {
			fmt.Fprintln(os.Stderr, "bench-failover:", err)
			return 1
		}
		return 0
	}))
}

type bench struct {
	runs     int
	stage    *stage.Stage
	service  *stage.Service
	internet *stage.Machine
}

func (b *bench) measure(binary string) (err error) {
	if binary, err = filepath.Abs(binary); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "colonnade-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	if b.stage, err = stage.Open(ctx, stage.Options{Binary: binary, Dir: dir}); err != nil {
		return err
	}
	defer func() {
		if closeErr := b.stage.Close(ctx); err == nil {
			err = closeErr
		}
	}()
	if b.service, err = b.stage.Tenancy(ctx, "bench", 0); err != nil {
		return err
	}
	if b.internet, err = b.stage.Internet(ctx, "clients", clients); err != nil {
		return err
	}
	if err := b.service.Create(ctx, "bench"); err != nil {
		return err
	}
	if _, err := b.service.WaitWhole(ctx, ""); err != nil {
		return err
	}
	power, err := b.deaths(ctx, "power cut", func(id string) error { return b.stage.PowerCut(ctx, id) })
	if err != nil {
		return err
	}
	haproxy, err := b.deaths(ctx, "haproxy killed", func(id string) error {
		_, err := b.stage.Signal(ctx, id, "haproxy", syscall.SIGKILL)
		return err
	})
	if err != nil {
		return err
	}
	return report.Write(os.Stdout, "failover", []report.Figure{
		b.figure("T1", "power_cut_new_connections_unserved_p50", report.Quantile(power.gap, 0.5), "ms", ""),
		b.figure("T1", "power_cut_new_connections_unserved_p99", report.Quantile(power.gap, 0.99), "ms", "≤ 300 ms"),
		b.figure("T1", "haproxy_killed_refused", float64(haproxy.refused), "connections", "0"),
		b.figure("T1", "haproxy_killed_new_connections_unserved_p99", report.Quantile(haproxy.gap, 0.99), "ms", ""),
		b.figure("T2", "power_cut_connections_of_others_broken", float64(power.broken), "connections", "0"),
		b.figure("T2", "haproxy_killed_connections_of_others_broken", float64(haproxy.broken), "connections", "0"),
		b.figure("T2", "connections_of_others_watched", float64(power.watched+haproxy.watched), "connections", ""),
		b.figure("T2", "power_cut_victims_connections_reset_p99", report.Quantile(power.reset, 0.99), "ms", "≤ 1 s"),
		b.figure("T2", "power_cut_victims_connections_hung", float64(power.hung), "connections", "0"),
		b.figure("T18", "power_cut_cluster_whole_p50", report.Quantile(power.whole, 0.5), "s", ""),
		b.figure("T18", "power_cut_cluster_whole_p99", report.Quantile(power.whole, 0.99), "s", "≤ 2 s"),
		b.figure("T18", "haproxy_killed_cluster_whole_p99", report.Quantile(haproxy.whole, 0.99), "s", "≤ 2 s"),
	})
}

func (b *bench) figure(target, measure string, value float64, unit, goal string) report.Figure {
	return report.Figure{Target: target, Measure: measure, Value: value, Unit: unit, Runs: b.runs, Goal: goal}
}

// result is what deaths of one kind did.
type result struct {
	gap     []float64 // ms from the kill until the victim's sources were served for good
	whole   []float64 // s from the kill until the cluster was whole
	refused int
	broken  int
	watched int
	// reset holds the ms from the kill until the victim's own connections knew; hung counts those that did not learn it.
	reset    []float64
	hung     int
	endedNow int // flows of the present death counted so far
}

func (b *bench) deaths(ctx context.Context, kind string, kill func(id string) error) (result, error) {
	var r result
	for i := range b.runs {
		if err := b.death(ctx, i%3, kill, &r); err != nil {
			return r, fmt.Errorf("%s %d: %w", kind, i+1, err)
		}
		fmt.Fprintf(os.Stderr, "%s, run %d of %d: unserved %.0f ms, whole after %.2f s, refused %d, broken %d\n",
			kind, i+1, b.runs, r.gap[i], r.whole[i], r.refused, r.broken)
	}
	return r, nil
}

// ended counts how one flow ended.
func (r *result) ended(end traffic.FlowEnd, owned []netip.Addr, killed time.Time) {
	r.endedNow++
	switch {
	case !slices.Contains(owned, end.Flow.Source):
		if end.Reason != traffic.FlowAlive {
			r.broken++
		}
	case end.Reason == traffic.FlowReset || end.Reason == traffic.FlowClosed:
		r.reset = append(r.reset, float64(end.At.Sub(killed).Microseconds())/1000)
	default:
		r.hung++
	}
}

// syn is one attempt to connect.
type syn struct {
	at      time.Time
	served  bool
	refused bool
}

func (b *bench) death(ctx context.Context, position int, kill func(id string) error, r *result) error {
	before, err := b.service.WaitWhole(ctx, "")
	if err != nil {
		return err
	}
	victim, ok := before.At(position)
	if !ok {
		return fmt.Errorf("nobody at position %d", position)
	}
	compiled, err := distributor.Compile(before.Table)
	if err != nil {
		return err
	}
	var owned, others []netip.Addr
	for _, source := range b.internet.Sources {
		if before.Table.Holders[compiled.Owner(compiled.RowOf(source, 0))].AmphoraID == victim.ID {
			owned = append(owned, source)
		} else {
			others = append(others, source)
		}
	}
	flowCtx, stopFlows := context.WithCancel(ctx)
	defer stopFlows()
	ends := make(chan traffic.FlowEnd, len(b.internet.Sources))
	for _, source := range b.internet.Sources {
		f, err := traffic.OpenFlow(ctx, b.internet.Dial, source, b.service.Echo(), 20*time.Millisecond)
		if err != nil {
			return err
		}
		go func() { ends <- f.Run(flowCtx) }()
	}
	r.watched += len(others)
	synCtx, stopSyns := context.WithCancel(ctx)
	defer stopSyns()
	syns := make(chan []syn, 1)
	go func() { syns <- b.knock(synCtx, owned) }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(300 * time.Millisecond): // a steady state before the kill
	}
	killed := time.Now()
	if err := kill(victim.ID); err != nil {
		return err
	}
	if _, err := b.service.WaitWhole(ctx, victim.ID); err != nil {
		return err
	}
	r.whole = append(r.whole, time.Since(killed).Seconds())
	stopSyns()
	var last time.Time
	for _, s := range <-syns {
		if s.refused {
			r.refused++
		}
		if !s.served && s.at.After(last) {
			last = s.at
		}
	}
	gap := 0.0
	if last.After(killed) {
		gap = float64(last.Sub(killed).Microseconds()) / 1000
	}
	r.gap = append(r.gap, gap)
	// The victim's own flows have had their end by now, or hang until they time out.
	for range owned {
		select {
		case end := <-ends:
			r.ended(end, owned, killed)
		case <-time.After(resetWait):
		}
	}
	stopFlows()
	for range len(b.internet.Sources) - r.endedNow {
		r.ended(<-ends, owned, killed)
	}
	r.endedNow = 0
	return nil
}

// knock sends one SYN every few milliseconds from the victim's sources and notes which were answered without a
// retransmission.
func (b *bench) knock(ctx context.Context, sources []netip.Addr) []syn {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var all []syn
	ticker := time.NewTicker(synEvery)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			wg.Wait()
			return all
		case <-ticker.C:
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			tryCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attempt)
			defer cancel()
			s := syn{at: time.Now()}
			var conn net.Conn
			conn, err := b.internet.Dial(tryCtx, sources[i%len(sources)], b.service.Echo())
			if err == nil {
				s.served = true
				_ = conn.Close()
			} else {
				s.refused = errors.Is(err, syscall.ECONNREFUSED) // anything else is a SYN that was sent in vain
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, s)
		}()
	}
}
