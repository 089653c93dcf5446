package ownership

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"structs"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"colonnade/internal/bpf"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/probe"
)

// eventNames are the counters' names in heartbeats and tests.
var eventNames = map[ownershipEvent]string{
	ownershipEventEVENT_TAKEN:          "taken",
	ownershipEventEVENT_PASSED:         "passed",
	ownershipEventEVENT_ANSWERED_LAST:  "answered_last",
	ownershipEventEVENT_SYN_PASSED:     "syn_passed",
	ownershipEventEVENT_ICMP_PASSED:    "icmp_passed",
	ownershipEventEVENT_HOPS:           "hops_spent",
	ownershipEventEVENT_FRAGMENT:       "fragment",
	ownershipEventEVENT_UDP:            "udp",
	ownershipEventEVENT_NOT_OURS:       "not_ours",
	ownershipEventEVENT_NO_TABLE:       "no_table",
	ownershipEventEVENT_SWITCHED_OFF:   "second_chance_off",
	ownershipEventEVENT_PROBE_ANSWERED: "probe_answered",
	ownershipEventEVENT_PROBE_STALE:    "probe_stale",
	ownershipEventEVENT_PROBE_BAD:      "probe_bad",
}

// Config is what the program has to know about its port.
type Config struct {
	OwnMAC       net.HardwareAddr // of the front-end port
	VIPs         []string
	ProbeKey     probe.Key
	LBID         string
	SecondChance bool // off only for negative controls
}

// ListenerPort is a port of the VIP that the amphora listens on.
type ListenerPort struct {
	Proto string // "tcp" or "udp"
	Port  int
}

// table is struct table of ownership.c.
type table struct {
	_          structs.HostLayout
	K0, K1     uint64
	RowMask    uint32
	PortCounts uint32
	MACs       [distributor.MaxHolders]uint64
	Rows       [distributor.DefaultRows][8]uint8
}

// InNamespace runs fn inside the network namespace at a path; linuxnet.In is one.
type InNamespace func(nsPath string, fn func() error) error

// Program is the front-end program of one amphora. It is safe for concurrent use.
type Program struct {
	dir   string
	inNS  InNamespace
	opts  []bpf.Option
	inner *ebpf.MapSpec // of a table

	mu  sync.RWMutex // written by Attach and Close; a table's switch must not hold up the stamp
	obj ownershipObjects
	own [6]byte // front-end MAC, from Attach
}

// Open loads the program with its maps pinned in pinDir, a directory on a BPF file system of this amphora's own. What
// an earlier process pinned there is adopted and keeps its contents; the port goes on under the earlier process's
// program until Attach. The options say how the program is attached.
func Open(pinDir string, inNS InNamespace, opts ...bpf.Option) (*Program, error) {
	spec, err := loadOwnership()
	if err != nil {
		return nil, err
	}
	c, err := bpf.Load(pinDir, spec)
	if err != nil {
		return nil, fmt.Errorf("open front-end program: %w", err)
	}
	defer c.Close()
	p := &Program{dir: pinDir, inNS: inNS, opts: opts, inner: spec.Maps[ownershipMapTableNow].InnerMap}
	if err := c.Assign(&p.obj); err != nil {
		return nil, fmt.Errorf("open front-end program: %w", err)
	}
	return p, nil
}

// Attach configures the program and puts it on the port, or in place of the program attached there already.
func (p *Program) Attach(nsPath, ifname string, c Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	port, err := c.encode()
	if err != nil {
		return fmt.Errorf("attach front-end program: %w", err)
	}
	if err := p.obj.PortConfig.Put(uint32(0), &port); err != nil {
		return fmt.Errorf("attach front-end program: configure: %w", err)
	}
	err = p.inNS(nsPath, func() error { return bpf.Attach(p.dir, p.obj.Ownership, nsPath, ifname, p.opts...) })
	if err != nil {
		return fmt.Errorf("attach front-end program: %w", err)
	}
	p.own = [6]byte(c.OwnMAC)
	return nil
}

func (c Config) encode() (ownershipPort, error) {
	o := ownershipPort{
		ProbeK0: binary.LittleEndian.Uint64(c.ProbeKey[:8]), ProbeK1: binary.LittleEndian.Uint64(c.ProbeKey[8:]),
		LbTag: c.ProbeKey.Tag(c.LBID),
	}
	if len(c.OwnMAC) != 6 {
		return o, fmt.Errorf("own MAC %q is no Ethernet address", c.OwnMAC)
	}
	if len(c.VIPs) == 0 || len(c.VIPs) > len(o.Vips) {
		return o, fmt.Errorf("%d VIPs, must be 1 to %d", len(c.VIPs), len(o.Vips))
	}
	for i := range o.Vips {
		a, err := netip.ParseAddr(c.VIPs[min(i, len(c.VIPs)-1)])
		if err != nil {
			return o, fmt.Errorf("VIP: %w", err)
		}
		if !a.Is4() {
			return o, &bpf.UnsupportedError{Needs: "an IPv4 VIP, got " + a.String()}
		}
		b := a.As4()
		o.Vips[i] = binary.NativeEndian.Uint32(b[:])
	}
	if c.SecondChance {
		o.SecondChance = 1
	}
	return o, nil
}

// SetListeners replaces the ports that the program looks at.
func (p *Program) SetListeners(ports []ListenerPort) error {
	var v ownershipListeners
	for _, l := range ports {
		bits := &v.Tcp
		switch {
		case l.Port < 1 || l.Port > 65535:
			return fmt.Errorf("set listeners: port %d", l.Port)
		case l.Proto == "udp":
			bits = &v.Udp
		case l.Proto != "tcp":
			return fmt.Errorf("set listeners: protocol %q is neither tcp nor udp", l.Proto)
		}
		bits[l.Port/64] |= 1 << (l.Port % 64)
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.obj.ListenerPorts.Put(uint32(0), &v); err != nil {
		return fmt.Errorf("set listeners: %w", err)
	}
	return nil
}

// SetTable replaces the owner lists in one step. It comes after Attach, which says who the amphora itself is.
func (p *Program) SetTable(c *distributor.Compiled) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.own == ([6]byte{}) {
		return errors.New("set owner lists: the program is not attached yet")
	}
	inner, err := ebpf.NewMap(p.inner)
	if err != nil {
		return fmt.Errorf("set owner lists: make map: %w", err)
	}
	defer func() { _ = inner.Close() }() // the outer map holds it
	if err := inner.Put(uint32(0), encodeTable(c, p.own)); err != nil {
		return fmt.Errorf("set owner lists: fill map: %w", err)
	}
	// Returns when no packet sees the old lists any more.
	if err := p.obj.TableNow.Put(uint32(0), inner); err != nil {
		return fmt.Errorf("set owner lists: switch: %w", err)
	}
	return nil
}

func encodeTable(c *distributor.Compiled, own [6]byte) *table {
	key := c.Key()
	v := &table{
		K0: binary.LittleEndian.Uint64(key[:8]), K1: binary.LittleEndian.Uint64(key[8:]),
		RowMask: uint32(c.Table.Rows - 1),
	}
	if c.Table.Affinity == distributor.AffinitySourceIPPort {
		v.PortCounts = 1
	}
	me := -1
	for i, mac := range c.MACs() {
		v.MACs[i] = bpf.MAC(mac)
		if mac == own {
			me = i
		}
	}
	for row := range c.Table.Rows {
		list := &v.Rows[row]
		for i, h := range c.Owners(row) {
			list[i] = uint8(h)
			list[5]++
			if h == me {
				list[6] = uint8(i)
			}
		}
	}
	return v
}

// Stamp writes the liveness cell: up says that HAProxy answered just now. Probes are answered for one second after the
// last stamp with up, and not at all after one without.
func (p *Program) Stamp(up bool) error {
	var cell uint64
	if up {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			return fmt.Errorf("stamp liveness: %w", err)
		}
		cell = uint64(now.Nano())
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.obj.Liveness.Put(uint32(0), cell); err != nil {
		return fmt.Errorf("stamp liveness: %w", err)
	}
	return nil
}

// Counters sums what became of frames over all CPUs, by name.
func (p *Program) Counters() (map[string]uint64, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	sums := make(map[string]uint64, len(eventNames))
	for e, name := range eventNames {
		var perCPU []uint64
		if err := p.obj.Counters.Lookup(uint32(e), &perCPU); err != nil {
			return nil, fmt.Errorf("read counters: %w", err)
		}
		for _, n := range perCPU {
			sums[name] += n
		}
	}
	return sums, nil
}

// Close drops this process's handles. Program, tables and the last stamp stay.
func (p *Program) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.obj.Close()
}

// Remove closes, detaches and removes the pins.
func (p *Program) Remove() error {
	return errors.Join(p.Close(), bpf.Remove(p.dir))
}
