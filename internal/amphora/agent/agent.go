package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"colonnade/internal/agentconf"
	"colonnade/internal/agentrest"
	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/amphora/ownership"
	"colonnade/internal/bpf"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/probe"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
)

// What HAProxy is doing, as told.
const (
	stateIdle = "idle" // nothing to serve yet, which counts as up
	stateUp   = "up"
	stateDown = "down"
)

// applyTimeout bounds a document's way into HAProxy: far beyond a check and a start on a slow machine.
const applyTimeout = 25 * time.Second

// Parts are what tests put in the place of.
type Parts struct {
	// Home is the namespace where the compute driver plugs ports; "" is the agent's own.
	Home string
	Now  func() time.Time
}

// Agent is one amphora's agent.
type Agent struct {
	conf   agentconf.Config
	log    *slog.Logger
	now    func() time.Time
	store  store
	tenant tenant
	front  frontEnd
	word   *word
	hap    *haproxy.Balancer
	bootID string
	kicks  chan struct{}

	applying sync.Mutex // one document or table at a time; held for the two below
	attached string     // what the front-end program was last configured with
	behind   bool       // the kept document could not be made to run yet

	mu       sync.Mutex // the fields below; held for moments only, so that heartbeats never wait
	document *amphora.Desired
	table    *amphora.TableDocument
	compiled *distributor.Compiled
	state    string
	changes  int // counts HAProxy's losses and returns, so that an older answer is not believed
	seen     seen
	drain    drain
}

// Run is the agent: it adopts what a former one left, then serves controllers, watches and tells until ctx ends, and
// returns nil then. HAProxy and the front-end program go on without it.
func Run(ctx context.Context, conf agentconf.Config, log *slog.Logger) error {
	a, err := Open(ctx, conf, Parts{Now: time.Now}, log)
	if err != nil {
		return err
	}
	sender, err := heartbeat.SenderFor(conf.Heartbeat, log)
	if err != nil {
		return errors.Join(err, a.Close())
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return agentrest.NewServer(conf, Routes(a), log, time.Now).Run(ctx) })
	g.Go(func() error { return sender.Run(ctx, a.Beat, a.kicks) })
	g.Go(func() error { return a.Watch(ctx) })
	return errors.Join(g.Wait(), a.Close())
}

// Open prepares the tenant namespace and takes over what a former agent left there, disturbing nothing.
func Open(ctx context.Context, conf agentconf.Config, parts Parts, log *slog.Logger) (*Agent, error) {
	a := &Agent{
		conf: conf, log: log, now: parts.Now, store: store{conf.Place.Dir}, kicks: make(chan struct{}, 1), state: stateIdle,
		tenant: tenant{path: conf.Place.TenantNamespace, home: parts.Home}, word: &word{ns: conf.Place.TenantNamespace},
	}
	var err error
	if a.bootID, err = a.store.bootID(); err != nil {
		return nil, err
	}
	var doc *amphora.Desired
	if found, err := a.store.load(documentFile, &doc); err != nil {
		return nil, err
	} else if found && doc != nil {
		if doc.Secrets, err = haproxy.KeptSecrets(filepath.Join(conf.Place.Dir, haproxyDir)); err != nil {
			return nil, err
		}
		if problems := haproxy.Check(*doc); len(problems) > 0 {
			return nil, fmt.Errorf("kept document: %w", &amphora.RefusedError{Problems: problems})
		}
		a.document = doc
	}
	if err := a.tenant.open(doc != nil && usesIPv6(*doc)); err != nil {
		return nil, err
	}
	program, err := ownership.Open(conf.Place.BPFDir, linuxnet.In)
	if err != nil {
		return nil, err
	}
	a.front = program
	place := haproxy.Place{Dir: filepath.Join(conf.Place.Dir, haproxyDir), Namespace: conf.Place.TenantNamespace, Cgroup: conf.Place.Cgroup}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, errors.Join(fmt.Errorf("read file limit: %w", err), program.Close())
	}
	settings := haproxy.Settings{AmphoraID: conf.ID, MaxConn: haproxy.MaxConnFor(limit.Max)}
	if a.hap, err = haproxy.Open(place, settings, log, a.haproxyChanged); err != nil {
		return nil, errors.Join(err, program.Close())
	}
	if err := a.loadTable(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	if a.behind = a.document != nil; a.behind {
		a.catchUp(ctx)
	}
	return a, nil
}

// Close lets go of everything and stops nothing.
func (a *Agent) Close() error {
	a.hap.Close()
	return a.front.Close()
}

func (a *Agent) loadTable() error {
	var table amphora.TableDocument
	found, err := a.store.load(tableFile, &table)
	if err != nil || !found {
		return err
	}
	compiled, err := distributor.Compile(table.Table)
	if err != nil {
		return fmt.Errorf("kept table: %w", err)
	}
	a.table, a.compiled = &table, compiled
	return nil
}

// catchUp makes the kept document run, or finds it running. What stands in the way (a port that is not plugged again
// yet, after a boot) is tried again by Watch; meanwhile the amphora says "down".
func (a *Agent) catchUp(ctx context.Context) {
	a.applying.Lock()
	defer a.applying.Unlock()
	if !a.behind {
		return
	}
	doc := *a.kept()
	a.mu.Lock()
	if len(doc.Listeners) > 0 && a.state == stateIdle {
		a.state = stateDown // until it is seen
	}
	a.mu.Unlock()
	adopted := false
	err := a.wire(ctx, doc)
	if err == nil {
		adopted, err = a.hap.Resume(ctx, doc)
	}
	if err != nil {
		a.log.ErrorContext(ctx, "kept document does not run", "error", err)
		return
	}
	a.behind = false
	a.log.InfoContext(ctx, "kept document resumed", "revision", doc.Revision, "adopted", adopted)
}

// PutDocument applies a whole document. It is refused with *distributor.StaleError, *amphora.RefusedError (the former
// one keeps running), or lb.KindUnavailable while a port is not plugged yet.
func (a *Agent) PutDocument(ctx context.Context, d amphora.Desired) (amphora.Status, error) {
	a.applying.Lock()
	defer a.applying.Unlock()
	if a.conf.LoadBalancerID != "" && d.LoadBalancerID != a.conf.LoadBalancerID {
		return amphora.Status{}, lb.Faultf(lb.KindInvalid, "this amphora belongs to load balancer %s", a.conf.LoadBalancerID)
	}
	former := a.kept()
	if former != nil {
		if d.Less(former.Stamp) {
			return amphora.Status{}, &distributor.StaleError{Applied: former.Stamp}
		}
		if d.Stamp == former.Stamp && !a.behind {
			return a.Status(), nil
		}
	}
	// A change that has begun is finished, also when its sender does not wait for the answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyTimeout)
	defer cancel()
	wired := false
	err := a.hap.Apply(ctx, d, func() error {
		wired = true
		return a.wire(ctx, d)
	})
	if err != nil {
		var unsupported *bpf.UnsupportedError
		if errors.As(err, &unsupported) {
			err = &amphora.RefusedError{Problems: []amphora.Problem{{Reason: unsupported.Error()}}}
		}
		if wired && former != nil {
			err = errors.Join(err, a.wire(ctx, *former))
		}
		return amphora.Status{}, err
	}
	if err := a.store.save(documentFile, d.WithoutSecrets()); err != nil {
		return amphora.Status{}, err
	}
	if err := a.hap.Prune(d); err != nil {
		// What is left over is in memory and named by nobody; the next document tries again.
		a.log.WarnContext(ctx, "former secrets not removed", "error", err)
	}
	a.behind = false
	a.mu.Lock()
	a.document = &d
	if len(d.Listeners) == 0 {
		a.state = stateIdle
	}
	a.mu.Unlock()
	if err := a.tenant.prune(d); err != nil {
		// What is left over does no harm; the next document tries again.
		a.log.WarnContext(ctx, "former ports not removed", "error", err)
	}
	a.log.InfoContext(ctx, "document applied", "revision", d.Revision, "listeners", len(d.Listeners))
	// Whoever hears that the document runs hears of its listeners too.
	a.observe(ctx)
	a.kick()
	return a.Status(), nil
}

// wire brings ports, addresses, firewall and front-end program to what the document says; nothing is taken away yet.
func (a *Agent) wire(ctx context.Context, d amphora.Desired) error {
	key, err := probe.ParseKey(d.ProbeKey)
	if err != nil {
		return err
	}
	// Before the first port is up, so that it is never open.
	if err := setFirewall(ctx, a.tenant.path, renderFirewall(d)); err != nil {
		return err
	}
	if err := a.tenant.plug(d); err != nil {
		return err
	}
	mac, err := net.ParseMAC(d.FrontEnd.MAC)
	if err != nil {
		return fmt.Errorf("front-end port: %w", err)
	}
	conf := ownership.Config{OwnMAC: mac, ProbeKey: key, LBID: d.LoadBalancerID, SecondChance: d.SecondChance}
	for _, v := range d.VIPs {
		conf.VIPs = append(conf.VIPs, v.Address)
	}
	var ports []ownership.ListenerPort
	for _, l := range d.Listeners {
		ports = append(ports, ownership.ListenerPort{Proto: "tcp", Port: l.Port})
	}
	if err := a.front.SetListeners(ports); err != nil {
		return err
	}
	if now := fmt.Sprintf("%+v", conf); now != a.attached {
		if err := a.front.Attach(a.tenant.path, portName(d.FrontEnd, true), conf); err != nil {
			return err
		}
		a.attached = now
		if a.compiled != nil { // applying is held, or nobody else is there yet
			if err := a.front.SetTable(a.compiled); err != nil {
				return err
			}
		}
	}
	a.word.configure(d, key)
	return nil
}

// PutTable installs owner lists; *distributor.StaleError when a higher stamp is applied.
func (a *Agent) PutTable(ctx context.Context, t amphora.TableDocument) (amphora.Status, error) {
	a.applying.Lock()
	defer a.applying.Unlock()
	if a.table != nil {
		if t.Less(a.table.Stamp) {
			return amphora.Status{}, &distributor.StaleError{Applied: a.table.Stamp}
		}
		if t.Stamp == a.table.Stamp {
			return a.Status(), nil
		}
	}
	compiled, err := distributor.Compile(t.Table)
	if err != nil {
		return amphora.Status{}, lb.Faultf(lb.KindInvalid, "table: %v", err)
	}
	if a.attached != "" { // else wire does it with the first document
		if err := a.front.SetTable(compiled); err != nil {
			return amphora.Status{}, err
		}
	}
	if err := a.store.save(tableFile, t); err != nil {
		return amphora.Status{}, err
	}
	a.mu.Lock()
	a.table, a.compiled = &t, compiled
	a.mu.Unlock()
	a.log.InfoContext(ctx, "table applied", "table_version", t.Revision)
	a.kick()
	return a.Status(), nil
}

// kept is the document that runs, nil before the first.
func (a *Agent) kept() *amphora.Desired {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.document
}

// kick makes a heartbeat go out at once.
func (a *Agent) kick() {
	select {
	case a.kicks <- struct{}{}:
	default: // one is on its way already
	}
}
