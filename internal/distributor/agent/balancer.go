package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"colonnade/internal/distributor"
	"colonnade/internal/distributor/ledger"
	"colonnade/internal/lb"
)

// balancer is one load balancer on this distributor. Its methods expect mu to be held.
type balancer struct {
	id    string
	agent *Agent
	log   *slog.Logger

	mu       sync.Mutex
	rec      ledger.Record
	plugged  bool                  // the port is in its place, as far as this process knows
	set      bool                  // the dataplane has the record's table∘swaps, as far as this process knows
	compiled *distributor.Compiled // of rec.Table
	silent   ledger.Silence
	prober   *prober
	// told are the swaps that are on disk; nobody hears of others (see decide).
	told    []distributor.Swap
	unsaved bool
	failing bool // the dataplane refuses a swap: logged once

	status atomic.Pointer[distributor.LBStatus] // nil while not plugged; for readers that do not wait
	mac    atomic.Pointer[string]
}

// adopt makes the record true again after a restart of the agent.
func (b *balancer) adopt() error {
	if b.rec.Plug == nil {
		return nil
	}
	return b.ensure(*b.rec.Plug)
}

func (b *balancer) plug(p distributor.VIPPlug) error {
	same, err := b.rec.CheckPlug(p)
	if err != nil {
		return err
	}
	if same && b.plugged && (b.set || b.rec.Table == nil) {
		return b.saveAgain()
	}
	first := b.rec.Plug == nil
	if err := b.ensure(p); err != nil {
		if first {
			err = errors.Join(err, b.takeBack())
		}
		return err
	}
	next := b.rec
	next.Plug, next.Deleted, next.DeletedAtUnixMS = &p, nil, 0
	if err := b.save(next); err != nil {
		return err // applied, but not on disk: the sender repeats it
	}
	b.log.Info("vip plugged", "vip_address", p.VIPAddress, "epoch", p.Epoch)
	return nil
}

// ensure puts port, dataplane, table and prober in place.
func (b *balancer) ensure(p distributor.VIPPlug) error {
	if b.compiled == nil && b.rec.Table != nil {
		c, err := distributor.Compile(b.rec.Table.Table)
		if err != nil {
			return err
		}
		b.compiled, b.set = c, false
	}
	b.plugged = false
	port, moved, err := b.agent.parts.Ports.Ensure(p, b.install)
	if err != nil {
		return err
	}
	if b.prober == nil || moved || b.rec.Plug == nil || b.rec.Plug.ProbeKey != p.ProbeKey {
		if err := b.startProber(port, p); err != nil {
			return err
		}
	}
	b.plugged = true
	return nil
}

// install gives the port its dataplane, the table included, so that there is no moment without.
func (b *balancer) install(port distributor.PortConfig, moved bool) error {
	dataplane := b.agent.parts.Dataplane
	if moved {
		// What is pinned for another port of this load balancer is of no use for this one.
		b.set = false
		if err := dataplane.Remove(b.id); err != nil {
			return err
		}
	}
	if err := dataplane.Install(b.id, port); err != nil {
		return err
	}
	if b.compiled == nil || b.set {
		return nil
	}
	// The same table as before is no change for packets. After a crash it may lack a swap (see decide).
	if err := dataplane.SetTable(b.id, b.compiled.Effective(b.rec.Swaps)); err != nil {
		return fmt.Errorf("install table: %w", err)
	}
	b.set = true
	return nil
}

func (b *balancer) startProber(port distributor.PortConfig, p distributor.VIPPlug) error {
	b.stopProber()
	if b.agent.ctx.Err() != nil {
		return errClosed
	}
	wire, err := b.agent.parts.OpenWire(port)
	if err != nil {
		return fmt.Errorf("open probes of load balancer %s: %w", b.id, err)
	}
	pr, err := newProber(wire, p, b.agent.parts.Now)
	if err != nil {
		return errors.Join(err, wire.Close())
	}
	b.prober = pr
	b.watch()
	b.agent.probers.Go(func() {
		if err := pr.run(b.agent.ctx, func(s ledger.Silence) { b.hear(pr, s) }); err != nil {
			b.agent.fail(fmt.Errorf("probe amphorae of load balancer %s: %w", b.id, err))
		}
	})
	return nil
}

// stopProber does not wait: the prober may be waiting for mu. What it still says is not heard.
func (b *balancer) stopProber() {
	if b.prober != nil {
		b.prober.stop()
		b.prober, b.silent = nil, nil
	}
}

// watch tells the prober whom to probe.
func (b *balancer) watch() {
	if b.prober == nil || b.compiled == nil {
		return
	}
	targets := make(map[[6]byte]string, len(b.compiled.Table.Holders))
	for i, mac := range b.compiled.MACs() {
		targets[mac] = b.compiled.Table.Holders[i].AmphoraID
	}
	b.prober.watch(targets)
}

func (b *balancer) register(r distributor.Registrations, c *distributor.Compiled) error {
	same, err := b.rec.CheckTable(r)
	if err != nil {
		return err
	}
	if same && b.set {
		return b.saveAgain()
	}
	if !b.plugged {
		if err := b.ensure(*b.rec.Plug); err != nil {
			return err
		}
	}
	next := b.rec
	next.Table, next.Swaps = &r, ledger.Pending(r.Table, b.rec.Swaps)
	if err := b.agent.parts.Dataplane.SetTable(b.id, c.Effective(next.Swaps)); err != nil {
		return fmt.Errorf("install table %d of load balancer %s: %w", r.Table.Version, b.id, err)
	}
	b.compiled, b.set = c, true
	b.watch()
	if err := b.save(next); err != nil {
		return err // applied, but not on disk: the sender repeats it
	}
	b.log.Info("table installed", "table_version", r.Table.Version, "epoch", r.Epoch)
	b.decide() // with what is known to be silent already
	b.agent.changed()
	return nil
}

// hear takes what a prober knows now.
func (b *balancer) hear(from *prober, s ledger.Silence) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.prober != from {
		return
	}
	changed := !maps.Equal(b.silent, s)
	b.silent = s
	if b.decide() || changed {
		b.publish()
		b.agent.changed()
	}
}

// decide swaps standbys in where that is due and says whether it did.
//
// The dataplane is switched first, because packets are being lost, and the disk written after. A swap counts from when
// it is on disk, and nobody is told of it before. A crash in between leaves the dataplane with a swap that the record
// does not know: the restarted agent installs table∘swaps of the record, which sends the position to its former holder
// for the 150 ms until probes decide again, with the same number, because Decide is a function of table, swaps and
// silence. A holder that came back to life meanwhile simply keeps its position.
func (b *balancer) decide() bool {
	if b.compiled == nil {
		return false
	}
	due := ledger.Decide(b.compiled.Table, b.rec.Swaps, b.silent)
	if len(due) == 0 {
		return b.unsaved && b.saveAgain() == nil
	}
	now := b.agent.parts.Now()
	for i := range due {
		due[i].AtUnixMS = now.UnixMilli()
	}
	next := b.rec
	next.Swaps = append(slices.Clone(b.rec.Swaps), due...)
	if err := b.agent.parts.Dataplane.SetTable(b.id, b.compiled.Effective(next.Swaps)); err != nil {
		if !b.failing {
			b.log.Error("swap not installed", "error", err)
		}
		b.failing, b.set = true, false
		return false
	}
	b.failing, b.set = false, true
	for _, s := range due {
		b.log.Warn("standby swapped in", "position", s.Position, "amphora_id", s.AmphoraID, "standby_id", s.StandbyID,
			"reason", s.Reason, "seq", s.Seq)
	}
	return b.save(next) == nil
}

// save makes next the record, which is in effect already, and writes it. A write that fails is repeated with the next
// call and by decide.
func (b *balancer) save(next ledger.Record) error {
	b.rec = next
	if err := b.agent.store.Save(next); err != nil {
		if !b.unsaved {
			b.log.Error("state not saved", "error", err)
		}
		b.unsaved = true
		return err
	}
	b.told, b.unsaved = next.Swaps, false
	return nil
}

// saveAgain repeats a write that failed.
func (b *balancer) saveAgain() error {
	if !b.unsaved {
		return nil
	}
	return b.save(b.rec)
}

func (b *balancer) unplug(s lb.Stamp) error {
	if err := b.rec.CheckDelete(s); err != nil {
		return err
	}
	if b.rec.Plug == nil && b.rec.Deleted != nil && *b.rec.Deleted == s {
		return b.saveAgain()
	}
	if err := b.takeBack(); err != nil {
		return err
	}
	err := b.save(ledger.Record{LBID: b.id, Deleted: &s, DeletedAtUnixMS: b.agent.parts.Now().UnixMilli()})
	if err == nil {
		b.log.Info("vip unplugged", "epoch", s.Epoch)
		b.agent.changed()
	}
	return err
}

// takeBack removes whatever of the load balancer is in place.
func (b *balancer) takeBack() error {
	b.stopProber()
	b.plugged, b.set, b.compiled = false, false, nil
	if err := b.agent.parts.Dataplane.Remove(b.id); err != nil {
		return fmt.Errorf("remove dataplane of load balancer %s: %w", b.id, err)
	}
	return b.agent.parts.Ports.Remove(b.id)
}

// publish makes the present status what readers see, and returns it. A status is never changed once it is published.
func (b *balancer) publish() distributor.LBStatus {
	if b.rec.Plug == nil {
		b.status.Store(nil)
		b.mac.Store(nil)
		return distributor.LBStatus{}
	}
	b.mac.Store(&b.rec.Plug.MACAddress)
	s := distributor.LBStatus{
		LBID: b.id, Positions: []distributor.Position{}, Swaps: []distributor.Swap{}, Silent: []string{},
	}
	// What is on disk but could not be put in place is not applied: whoever sees that sends it again.
	if b.plugged {
		s.VIPApplied = b.rec.Plug.Stamp
	}
	if b.rec.Table != nil && b.set {
		s.TableApplied, s.TableVersion = b.rec.Table.Stamp, b.rec.Table.Table.Version
	}
	if b.compiled != nil {
		s.Positions = b.compiled.Positions(b.rec.Swaps)
		s.Swaps = append(s.Swaps, ledger.Pending(b.compiled.Table, b.told)...)
	}
	s.Silent = append(s.Silent, slices.Sorted(maps.Keys(b.silent))...)
	b.status.Store(&s)
	return s
}
