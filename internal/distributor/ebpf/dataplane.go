package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/cilium/ebpf"

	"colonnade/internal/bpf"
	"colonnade/internal/distributor"
	"colonnade/internal/linuxnet"
)

// dropReasons names the outcomes that are drops, as Statistics shows them.
var dropReasons = map[distributorOutcome]string{
	distributorOutcomeOUTCOME_FOREIGN_MAC:     "foreign_mac",
	distributorOutcomeOUTCOME_AMPHORA:         "from_amphora",
	distributorOutcomeOUTCOME_ETHERTYPE:       "ethertype",
	distributorOutcomeOUTCOME_TRUNCATED:       "truncated",
	distributorOutcomeOUTCOME_MALFORMED:       "malformed",
	distributorOutcomeOUTCOME_FOREIGN_ADDRESS: "foreign_address",
	distributorOutcomeOUTCOME_PROTOCOL:        "protocol",
	distributorOutcomeOUTCOME_ICMP:            "icmp",
	distributorOutcomeOUTCOME_NO_OWNER:        "no_owner",
}

// lbID keeps ids from leaving the pin directory; a BPF file system takes no dots.
var lbID = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// Dataplane implements distributor.Dataplane. It is safe for concurrent use.
type Dataplane struct {
	dir  string
	spec func() (*ebpf.CollectionSpec, error) // parsed once, changed by nobody
	opts []bpf.Option
	mu   sync.Mutex // guards lbs alone
	lbs  map[string]*pinned
}

// pinned is what this process has open of one load balancer. Its lock is its own, because switching a table waits
// until the kernel is done with the old one, and a third of all amphorae may die at once.
type pinned struct {
	of   *Dataplane
	mu   sync.Mutex
	dir  string
	maps *distributorMaps // nil until first needed
}

var _ distributor.Dataplane = (*Dataplane)(nil)

// New makes a dataplane that keeps its pins under pinDir, a directory on a BPF file system, one subdirectory a load
// balancer. What is pinned there already goes on and is found again. The options say how programs are attached.
func New(pinDir string, opts ...bpf.Option) *Dataplane {
	return &Dataplane{dir: pinDir, spec: sync.OnceValues(loadDistributor), opts: opts, lbs: map[string]*pinned{}}
}

// Name is "ebpf".
func (d *Dataplane) Name() string { return "ebpf" }

// lock returns a load balancer's pins, locked.
func (d *Dataplane) lock(lb string) (*pinned, error) {
	if !lbID.MatchString(lb) {
		return nil, errors.New("malformed id")
	}
	d.mu.Lock()
	p := d.lbs[lb]
	if p == nil {
		p = &pinned{of: d, dir: filepath.Join(d.dir, lb)}
		d.lbs[lb] = p
	}
	d.mu.Unlock()
	p.mu.Lock()
	return p, nil
}

// Install attaches the program to the port, or replaces the program of the one attached already, and sets the VIPs.
// Until the first SetTable the VIPs' TCP and UDP are dropped and counted as no_owner.
func (d *Dataplane) Install(lb string, port distributor.PortConfig) error {
	p, err := d.lock(lb)
	if err == nil {
		defer p.mu.Unlock()
		err = p.install(port)
	}
	if err != nil {
		return fmt.Errorf("install load balancer %s: %w", lb, err)
	}
	return nil
}

func (p *pinned) install(port distributor.PortConfig) error {
	vips, err := vipConfig(port.VIPs)
	if err != nil {
		return err
	}
	spec, err := p.of.spec()
	if err != nil {
		return err
	}
	c, err := bpf.Load(p.dir, spec.Copy())
	if err != nil {
		return err
	}
	defer c.Close()
	var o distributorObjects
	if err := c.Assign(&o); err != nil {
		return err
	}
	if err := o.PortConfig.Put(uint32(0), &vips); err != nil {
		_ = o.Close()
		return fmt.Errorf("set VIPs: %w", err)
	}
	// What it is attached by holds the program from here on.
	defer func() { _ = o.Distributor.Close() }()
	_ = p.close()
	p.maps = &o.distributorMaps
	return linuxnet.In(port.NamespacePath, func() error {
		return bpf.Attach(p.dir, o.Distributor, port.NamespacePath, port.Interface, p.of.opts...)
	})
}

func vipConfig(vips []string) (distributorPort, error) {
	var c distributorPort
	if len(vips) == 0 || len(vips) > len(c.Vips) {
		return c, fmt.Errorf("%d VIPs, must be 1 to %d", len(vips), len(c.Vips))
	}
	for i := range c.Vips {
		a, err := netip.ParseAddr(vips[min(i, len(vips)-1)])
		if err != nil {
			return c, fmt.Errorf("VIP: %w", err)
		}
		if !a.Is4() {
			return c, &bpf.UnsupportedError{Needs: "an IPv4 VIP, got " + a.String()}
		}
		b := a.As4()
		c.Vips[i] = binary.NativeEndian.Uint32(b[:])
	}
	return c, nil
}

// opened returns the maps, from the pins if this process has not opened them yet.
func (p *pinned) opened() (*distributorMaps, error) {
	if p.maps != nil {
		return p.maps, nil
	}
	m := &distributorMaps{}
	for name, to := range map[string]**ebpf.Map{
		distributorMapTableNow: &m.TableNow, distributorMapCounters: &m.Counters, distributorMapPortConfig: &m.PortConfig,
	} {
		found, err := ebpf.LoadPinnedMap(filepath.Join(p.dir, name), nil)
		if err != nil {
			_ = m.Close()
			return nil, fmt.Errorf("open pinned map %s: %w", name, err)
		}
		*to = found
	}
	p.maps = m
	return m, nil
}

func (p *pinned) close() error {
	if p.maps == nil {
		return nil
	}
	m := p.maps
	p.maps = nil
	return m.Close()
}

// SetTable replaces the whole table in one step.
func (d *Dataplane) SetTable(lb string, t distributor.EffectiveTable) error {
	p, err := d.lock(lb)
	if err == nil {
		defer p.mu.Unlock()
		err = p.setTable(t)
	}
	if err != nil {
		return fmt.Errorf("set table of load balancer %s: %w", lb, err)
	}
	return nil
}

func (p *pinned) setTable(t distributor.EffectiveTable) error {
	m, err := p.opened()
	if err != nil {
		return err
	}
	v, err := encode(t)
	if err != nil {
		return err
	}
	spec, err := p.of.spec()
	if err != nil {
		return err
	}
	inner, err := ebpf.NewMap(spec.Maps[distributorMapTableNow].InnerMap)
	if err != nil {
		return fmt.Errorf("make map: %w", err)
	}
	defer func() { _ = inner.Close() }() // the outer map holds it
	if err := inner.Put(uint32(0), v); err != nil {
		return fmt.Errorf("fill map: %w", err)
	}
	// Returns when no packet sees the old table any more.
	if err := m.TableNow.Put(uint32(0), inner); err != nil {
		return fmt.Errorf("switch: %w", err)
	}
	return nil
}

// Statistics sums the counters of all CPUs.
func (d *Dataplane) Statistics(lb string) (distributor.Statistics, error) {
	s := distributor.Statistics{LBID: lb, Dropped: map[string]uint64{}}
	p, err := d.lock(lb)
	if err == nil {
		defer p.mu.Unlock()
		err = p.statistics(&s)
	}
	if err != nil {
		return s, fmt.Errorf("statistics of load balancer %s: %w", lb, err)
	}
	return s, nil
}

func (p *pinned) statistics(s *distributor.Statistics) error {
	m, err := p.opened()
	if err != nil {
		return err
	}
	for o := range distributorOutcomeOUTCOME_COUNT {
		var perCPU []distributorCount
		if err := m.Counters.Lookup(uint32(o), &perCPU); err != nil {
			return err
		}
		var sum distributorCount
		for _, c := range perCPU {
			sum.Packets += c.Packets
			sum.Bytes += c.Bytes
		}
		if o == distributorOutcomeOUTCOME_FORWARDED {
			s.ForwardedPkts, s.ForwardedByte = sum.Packets, sum.Bytes
		} else if reason, drop := dropReasons[o]; drop {
			s.Dropped[reason] = sum.Packets
		}
	}
	return nil
}

// Remove detaches the program and removes the pins.
func (d *Dataplane) Remove(lb string) error {
	p, err := d.lock(lb)
	if err == nil {
		defer p.mu.Unlock()
		_ = p.close()
		err = bpf.Remove(p.dir)
	}
	if err != nil {
		return fmt.Errorf("remove load balancer %s: %w", lb, err)
	}
	return nil
}

// Close drops this process's handles; forwarding goes on.
func (d *Dataplane) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	for _, p := range d.lbs {
		p.mu.Lock()
		err = errors.Join(err, p.close())
		p.mu.Unlock()
	}
	return err
}
