package agent

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/distributor"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
)

// Rhythm of the agent's own eyes: HAProxy is asked every 100 ms, and is down after three questions in a row
// without answer. Failures are counted, not time, so that an agent that was held up itself blames nobody.
const (
	askEvery     = 100 * time.Millisecond
	askDeadline  = 100 * time.Millisecond
	missesAreAll = 3
	observeEvery = time.Second
)

// seen is the latest look around.
type seen struct {
	haproxy      haproxy.Observation
	connections  int
	elsewhere    int
	secondChance map[string]uint64
}

// Watch looks after HAProxy's life, what it counts, and who asks for probes, until ctx ends; it returns nil then.
func (a *Agent) Watch(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.word.learn(ctx) })
	g.Go(func() error { return every(ctx, askEvery, a.liveness()) })
	g.Go(func() error { return every(ctx, observeEvery, a.observe) })
	g.Go(func() error { return every(ctx, observeEvery, a.catchUp) })
	return g.Wait()
}

func every(ctx context.Context, interval time.Duration, do func(context.Context)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// liveness returns one round of asking HAProxy and stamping the cell from which the kernel answers probes.
func (a *Agent) liveness() func(context.Context) {
	misses := 0
	return func(ctx context.Context) {
		a.mu.Lock()
		state, changes := a.state, a.changes
		a.mu.Unlock()
		if state == stateIdle {
			misses = 0
			a.stamp(ctx, true)
			return
		}
		asking, cancel := context.WithTimeout(ctx, askDeadline)
		err := a.hap.Answers(asking)
		cancel()
		switch {
		case ctx.Err() != nil:
		case err == nil:
			misses = 0
			if a.become(stateUp, changes) {
				a.stamp(ctx, true)
			}
		case misses+1 >= missesAreAll:
			misses = 0
			if state == stateUp && a.become(stateDown, changes) {
				a.log.WarnContext(ctx, "haproxy does not answer", "reason", err.Error())
				a.sayDown(ctx)
			}
		default:
			misses++
			if state == stateUp {
				a.stamp(ctx, true) // HAProxy's word was fresh a moment ago
			}
		}
	}
}

// become changes the state unless HAProxy was lost or came back since the question was asked.
func (a *Agent) become(state string, changes int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changes != changes || a.state == stateIdle {
		return false
	}
	if a.state != state {
		a.state = state
		a.kick()
	}
	return true
}

// haproxyChanged is told by the supervisor, at once.
func (a *Agent) haproxyChanged(up bool) {
	a.mu.Lock()
	a.changes++
	a.state = stateDown
	if up {
		a.state = stateUp
	}
	a.mu.Unlock()
	ctx := context.Background()
	if up {
		a.stamp(ctx, true)
	} else {
		a.sayDown(ctx)
	}
	a.kick()
}

// sayDown ends the answers to probes and tells the distributor, which need not wait for their absence.
func (a *Agent) sayDown(ctx context.Context) {
	a.stamp(ctx, false)
	if err := a.word.down(a.now); err != nil {
		a.log.WarnContext(ctx, "down not said", "error", err)
	}
}

func (a *Agent) stamp(ctx context.Context, up bool) {
	if err := a.front.Stamp(up); err != nil {
		a.log.ErrorContext(ctx, "liveness not stamped", "error", err)
	}
}

// observe looks at what HAProxy counts, at connections in the kernel (former workers' included) and at the front-end
// program's counters, once.
func (a *Agent) observe(ctx context.Context) {
	a.mu.Lock()
	doc, compiled, was := a.document, a.compiled, a.seen
	a.mu.Unlock()
	now := was
	quiet := false
	if o, err := a.hap.Observe(ctx); err == nil {
		now.haproxy = o
		quiet = was.connections == 0 && nothingHappened(was.haproxy, o)
	} else if ctx.Err() == nil {
		a.log.DebugContext(ctx, "haproxy not observed", "error", err)
	}
	if counters, err := a.front.Counters(); err == nil {
		now.secondChance = counters
	}
	// The kernel walks the machine's whole table of sockets to answer, so it is not asked without need.
	if doc != nil && !quiet {
		if total, elsewhere, err := countConnections(a.tenant.path, *doc, compiled, a.conf.ID); err == nil {
			now.connections, now.elsewhere = total, elsewhere
		} else {
			a.log.WarnContext(ctx, "connections not counted", "error", err)
		}
	}
	a.mu.Lock()
	a.seen = now
	a.mu.Unlock()
	// Whoever waits for a drain wants to know of its end; whoever shows members, of their states.
	if !maps.Equal(was.haproxy.Members, now.haproxy.Members) || was.elsewhere > 0 && now.elsewhere == 0 {
		a.kick()
	}
	if doc != nil {
		a.sendOnIdle(ctx, *doc, compiled)
	}
}

// nothingHappened reports whether HAProxy has no connection and had none since the last look.
func nothingHappened(was, now haproxy.Observation) bool {
	var before, after uint64
	for _, l := range was.Listeners {
		before += l.TotalConnections
	}
	for _, l := range now.Listeners {
		if after += l.TotalConnections; l.ActiveConnections > 0 {
			return false
		}
	}
	return before == after
}

// countConnections counts established connections to the VIPs, and those of rows that are another's by the table. A
// connection whose last words are still on their way is one.
func countConnections(ns string, d amphora.Desired, c *distributor.Compiled, self string) (total, elsewhere int, err error) {
	for _, v := range d.VIPs {
		socks, err := linuxnet.TCPSockets(ns, netip.MustParseAddr(v.Address),
			linuxnet.TCPEstablished, linuxnet.TCPCloseWait, linuxnet.TCPFinWait1, linuxnet.TCPClosing, linuxnet.TCPLastAck)
		if err != nil {
			return 0, 0, err
		}
		total += len(socks)
		if c == nil {
			continue
		}
		me := c.HolderIndex(self)
		for _, s := range socks {
			if owner := c.Owner(c.RowOf(s.Remote.Addr(), s.Remote.Port())); owner != distributor.Vacant && owner != me {
				elsewhere++
			}
		}
	}
	return total, elsewhere, nil
}

// drain is how far sending idle connections on has come.
type drain struct {
	next time.Time     // zero: not draining
	wait time.Duration // until the time after next
}

// The first renewal leaves the distributor time to learn of the table: amphorae are told before it. Later ones are for
// clients that were busy, and for whom passed packets brought here meanwhile.
const (
	firstRenewal = 500 * time.Millisecond
	lastRenewal  = 30 * time.Second
)

// draining: only among earlier owners, with no position and not a standby.
func draining(c *distributor.Compiled, self string) bool {
	if c == nil {
		return false
	}
	me := c.HolderIndex(self)
	if me < 0 || slices.Contains(c.Table.Current.Holders, me) || slices.Contains(c.Table.Standbys, me) {
		return false
	}
	return slices.ContainsFunc(c.Table.Earlier, func(g distributor.Generation) bool { return slices.Contains(g.Holders, me) })
}

// sendOnIdle makes clients of a draining amphora move: a renewed HAProxy closes what is idle, and after its next answer
// what is not, while the new worker still takes whoever is sent here by an older table.
func (a *Agent) sendOnIdle(ctx context.Context, d amphora.Desired, c *distributor.Compiled) {
	http := slices.ContainsFunc(d.Listeners, func(l amphora.Listener) bool {
		return l.Protocol == lb.ProtocolHTTP || l.Protocol == lb.ProtocolTerminatedHTTPS
	})
	now := a.now()
	a.mu.Lock()
	newest := a.seen.haproxy.Newest
	switch {
	case !http || !draining(c, a.conf.ID):
		a.drain = drain{}
	case a.drain.wait == 0:
		a.drain = drain{next: now.Add(firstRenewal), wait: firstRenewal}
	}
	due := a.drain.wait > 0 && newest > 0 && !now.Before(a.drain.next)
	if due {
		a.drain.wait = min(2*a.drain.wait, lastRenewal)
		a.drain.next = now.Add(a.drain.wait)
	}
	a.mu.Unlock()
	if !due {
		return
	}
	if err := a.hap.Renew(ctx); err != nil {
		a.log.WarnContext(ctx, "idle connections not sent on", "error", err)
		return
	}
	a.log.InfoContext(ctx, "idle connections sent on", "connections", newest)
}

// Status is how things are, from the latest look around; it never waits.
func (a *Agent) Status() amphora.Status {
	starts, reloads := a.hap.Counts()
	a.mu.Lock()
	defer a.mu.Unlock()
	s := amphora.Status{
		AmphoraID: a.conf.ID, BootID: a.bootID, HAProxy: a.state, HAProxyStarts: starts, Reloads: reloads,
		HeldElsewhere: a.seen.elsewhere, Connections: a.seen.connections,
		Listeners: a.seen.haproxy.Listeners, Members: a.seen.haproxy.Members, SecondChance: a.seen.secondChance,
	}
	if a.document != nil {
		s.DocumentApplied = a.document.Stamp
	}
	if a.table != nil {
		s.TableApplied = a.table.Stamp
	}
	return s
}

// Beat is the next heartbeat.
func (a *Agent) Beat() heartbeat.Beat {
	s := a.Status()
	return heartbeat.Beat{Kind: heartbeat.KindAmphora, ID: a.conf.ID, BootID: a.bootID, Amphora: &s}
}
