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
	mu   sync.Mutex
	maps map[string]*distributorMaps // by load balancer; opened when first needed
}

var _ distributor.Dataplane = (*Dataplane)(nil)

// New makes a dataplane that keeps its pins under pinDir, a directory on a BPF file system, one subdirectory a load
// balancer. What is pinned there already goes on and is found again.
func New(pinDir string) *Dataplane {
	return &Dataplane{dir: pinDir, maps: map[string]*distributorMaps{}}
}

// Name is "ebpf".
func (d *Dataplane) Name() string { return "ebpf" }

// Install attaches the program to the port, or replaces the program of the one attached already, and sets the VIPs.
// Until the first SetTable the VIPs' TCP and UDP are dropped and counted as no_owner.
func (d *Dataplane) Install(lb string, port distributor.PortConfig) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.install(lb, port); err != nil {
		return fmt.Errorf("install load balancer %s: %w", lb, err)
	}
	return nil
}

func (d *Dataplane) install(lb string, port distributor.PortConfig) error {
	if !lbID.MatchString(lb) {
		return errors.New("malformed id")
	}
	vips, err := vipConfig(port.VIPs)
	if err != nil {
		return err
	}
	spec, err := loadDistributor()
	if err != nil {
		return err
	}
	dir := filepath.Join(d.dir, lb)
	c, err := bpf.Load(dir, spec)
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
	// The link holds the program from here on.
	defer o.Distributor.Close()
	if old := d.maps[lb]; old != nil {
		_ = old.Close()
	}
	d.maps[lb] = &o.distributorMaps
	return linuxnet.In(port.NamespacePath, func() error { return bpf.Attach(dir, o.Distributor, port.Interface) })
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

// opened returns the maps of a load balancer, from the pins if this process has not opened them yet.
func (d *Dataplane) opened(lb string) (*distributorMaps, error) {
	if m := d.maps[lb]; m != nil {
		return m, nil
	}
	if !lbID.MatchString(lb) {
		return nil, errors.New("malformed id")
	}
	m := &distributorMaps{}
	for name, to := range map[string]**ebpf.Map{
		distributorMapTableNow: &m.TableNow, distributorMapCounters: &m.Counters, distributorMapPortConfig: &m.PortConfig,
	} {
		pinned, err := ebpf.LoadPinnedMap(filepath.Join(d.dir, lb, name), nil)
		if err != nil {
			_ = m.Close()
			return nil, fmt.Errorf("open pinned map %s: %w", name, err)
		}
		*to = pinned
	}
	d.maps[lb] = m
	return m, nil
}

// SetTable replaces the whole table in one step.
func (d *Dataplane) SetTable(lb string, t distributor.EffectiveTable) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.setTable(lb, t); err != nil {
		return fmt.Errorf("set table of load balancer %s: %w", lb, err)
	}
	return nil
}

func (d *Dataplane) setTable(lb string, t distributor.EffectiveTable) error {
	m, err := d.opened(lb)
	if err != nil {
		return err
	}
	v, err := encode(t)
	if err != nil {
		return err
	}
	spec, err := loadDistributor()
	if err != nil {
		return err
	}
	inner, err := ebpf.NewMap(spec.Maps[distributorMapTableNow].InnerMap)
	if err != nil {
		return fmt.Errorf("make map: %w", err)
	}
	defer inner.Close() // the outer map holds it
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
	d.mu.Lock()
	defer d.mu.Unlock()
	s := distributor.Statistics{LBID: lb, Dropped: map[string]uint64{}}
	m, err := d.opened(lb)
	if err != nil {
		return s, fmt.Errorf("statistics of load balancer %s: %w", lb, err)
	}
	for o := range distributorOutcomeOUTCOME_COUNT {
		var perCPU []distributorCount
		if err := m.Counters.Lookup(uint32(o), &perCPU); err != nil {
			return s, fmt.Errorf("statistics of load balancer %s: %w", lb, err)
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
	return s, nil
}

// Remove detaches the program and removes the pins.
func (d *Dataplane) Remove(lb string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !lbID.MatchString(lb) {
		return fmt.Errorf("remove load balancer %s: malformed id", lb)
	}
	if m := d.maps[lb]; m != nil {
		_ = m.Close()
		delete(d.maps, lb)
	}
	if err := bpf.Remove(filepath.Join(d.dir, lb)); err != nil {
		return fmt.Errorf("remove load balancer %s: %w", lb, err)
	}
	return nil
}

// Close drops this process's handles; forwarding goes on.
func (d *Dataplane) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	for _, m := range d.maps {
		err = errors.Join(err, m.Close())
	}
	clear(d.maps)
	return err
}
