package noop

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"sync"

	"colonnade/internal/distributor"
)

const dataplaneName = "noop"

// idGrammar is what any dataplane takes for a load balancer's id: it becomes a name somewhere.
var idGrammar = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// maxVIPs is how many VIPs a port has at the most, as with the others.
const maxVIPs = 8

// Pins stand for the kernel: they outlive a Dataplane, as pinned programs outlive a process.
type Pins struct {
	mu  sync.Mutex
	lbs map[string]*pinned
}

// NewPins makes a kernel without programs.
func NewPins() *Pins { return &Pins{lbs: map[string]*pinned{}} }

type pinned struct {
	vips  []string
	table *distributor.EffectiveTable
	stats distributor.Statistics
}

// Dataplane implements distributor.Dataplane and forwards nothing. It is safe for concurrent use.
type Dataplane struct{ pins *Pins }

var _ distributor.Dataplane = (*Dataplane)(nil)

// NewDataplane opens what is pinned.
func NewDataplane(pins *Pins) *Dataplane { return &Dataplane{pins: pins} }

// Name is "noop".
func (d *Dataplane) Name() string { return dataplaneName }

// Install takes VIPs.
func (d *Dataplane) Install(lbID string, port distributor.PortConfig) error {
	if !idGrammar.MatchString(lbID) {
		return fmt.Errorf("install load balancer %q: malformed id", lbID)
	}
	if n := len(port.VIPs); n == 0 || n > maxVIPs {
		return fmt.Errorf("install load balancer %s: %d VIPs, must be 1 to %d", lbID, n, maxVIPs)
	}
	for _, v := range port.VIPs {
		if a, err := netip.ParseAddr(v); err != nil || !a.Is4() {
			return fmt.Errorf("install load balancer %s: VIP %q is no IPv4 address", lbID, v)
		}
	}
	d.pins.mu.Lock()
	defer d.pins.mu.Unlock()
	p := d.pins.lbs[lbID]
	if p == nil {
		p = &pinned{stats: distributor.Statistics{LBID: lbID, Dropped: map[string]uint64{}}}
		d.pins.lbs[lbID] = p
	}
	p.vips = port.VIPs
	return nil
}

// on runs f on what is installed.
func (d *Dataplane) on(op, lbID string, f func(*pinned) error) error {
	d.pins.mu.Lock()
	defer d.pins.mu.Unlock()
	p, ok := d.pins.lbs[lbID]
	if !ok {
		return fmt.Errorf("%s of load balancer %q: not installed", op, lbID)
	}
	if err := f(p); err != nil {
		return fmt.Errorf("%s of load balancer %s: %w", op, lbID, err)
	}
	return nil
}

// SetTable replaces the table.
func (d *Dataplane) SetTable(lbID string, t distributor.EffectiveTable) error {
	return d.on("set table", lbID, func(p *pinned) error {
		n := len(t.Rows)
		if n == 0 || n > distributor.DefaultRows || n&(n-1) != 0 || len(t.MACs) > distributor.MaxHolders || len(t.Members) > distributor.MaxHolders {
			return fmt.Errorf("table has %d rows, %d targets, %d members", n, len(t.MACs), len(t.Members))
		}
		for row, target := range t.Rows {
			if target != distributor.NoOwner && int(target) >= len(t.MACs) {
				return fmt.Errorf("row %d names target %d of %d", row, target, len(t.MACs))
			}
		}
		p.table = &t
		return nil
	})
}

// Forward says where a TCP or UDP packet to a VIP goes, and counts it; false when it is dropped.
func (d *Dataplane) Forward(lbID string, src netip.Addr, port uint16, bytes int) (to [6]byte, ok bool, err error) {
	err = d.on("forward", lbID, func(p *pinned) error {
		if p.table != nil {
			row := distributor.RowOf(p.table.Key, p.table.Affinity, len(p.table.Rows), src, port)
			if target := p.table.Rows[row]; target != distributor.NoOwner {
				to, ok = p.table.MACs[target], true
			}
		}
		if !ok {
			p.stats.Dropped["no_owner"]++
			return nil
		}
		p.stats.ForwardedPkts++
		p.stats.ForwardedByte += uint64(bytes)
		return nil
	})
	return to, ok, err
}

// Statistics reads the counters.
func (d *Dataplane) Statistics(lbID string) (s distributor.Statistics, err error) {
	err = d.on("statistics", lbID, func(p *pinned) error {
		s = p.stats
		s.Dropped = maps.Clone(s.Dropped)
		return nil
	})
	return s, err
}

// Remove forgets a load balancer.
func (d *Dataplane) Remove(lbID string) error {
	d.pins.mu.Lock()
	defer d.pins.mu.Unlock()
	delete(d.pins.lbs, lbID)
	return nil
}

// Close leaves everything as it is.
func (d *Dataplane) Close() error { return nil }
