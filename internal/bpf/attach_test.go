package bpf_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/mdlayher/packet"

	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
	"colonnade/internal/linuxnet"
)

var (
	portMAC = [6]byte{2, 0, 0, 0, 0xaa, 1}
	peerMAC = [6]byte{2, 0, 0, 0, 0xaa, 2}
)

// port is a veth in a namespace of its own, and pins beside it.
type port struct {
	dir, ns string
	ifindex int
	h       *linuxnet.Handle
}

func newPort(t *testing.T) *port {
	t.Helper()
	bpftest.Require(t)
	p := &port{dir: bpftest.FileSystem(t) + "/p", ns: bpftest.Namespace(t)}
	// Nothing but the test's own frames may be counted.
	check(t, linuxnet.SetSysctl(p.ns, "net.ipv6.conf.default.disable_ipv6", "1"))
	h, err := linuxnet.Open(p.ns)
	check(t, err)
	t.Cleanup(h.Close)
	p.h = h
	p.veth(t, "port0", "peer0")
	t.Cleanup(func() { check(t, bpf.Remove(p.dir)) })
	return p
}

func (p *port) veth(t *testing.T, name, peer string) {
	t.Helper()
	bpftest.Veth(t, p.ns, name, portMAC, p.ns, peer, peerMAC)
	l, err := p.h.Link(name)
	check(t, err)
	p.ifindex = l.Index
}

// counting drops and counts every frame.
func counting() *ebpf.CollectionSpec {
	return &ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{
			"counter": {Name: "counter", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1},
		},
		Programs: map[string]*ebpf.ProgramSpec{"counting": {
			Name: "counting", Type: ebpf.SchedCLS, AttachType: ebpf.AttachTCXIngress, License: "Dual BSD/GPL",
			Instructions: asm.Instructions{
				asm.StoreImm(asm.RFP, -4, 0, asm.Word),
				asm.Mov.Reg(asm.R2, asm.RFP),
				asm.Add.Imm(asm.R2, -4),
				asm.LoadMapPtr(asm.R1, 0).WithReference("counter"),
				asm.FnMapLookupElem.Call(),
				asm.JEq.Imm(asm.R0, 0, "out"),
				asm.Mov.Imm(asm.R1, 1),
				asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
				asm.Mov.Imm(asm.R0, bpftest.Drop).WithSymbol("out"),
				asm.Return(),
			},
		}},
	}
}

// attach does what an agent does when it starts.
func (p *port) attach(ifname string, opts ...bpf.Option) (ebpf.ProgramID, error) {
	c, err := bpf.Load(p.dir, counting())
	if err != nil {
		return 0, err
	}
	defer c.Close()
	prog := c.Programs["counting"]
	if err := linuxnet.In(p.ns, func() error { return bpf.Attach(p.dir, prog, p.ns, ifname, opts...) }); err != nil {
		return 0, err
	}
	info, err := prog.Info()
	if err != nil {
		return 0, err
	}
	id, _ := info.ID()
	return id, nil
}

func (p *port) counted(t *testing.T) (n uint64) {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(filepath.Join(p.dir, "counter"), nil)
	check(t, err)
	defer func() { _ = m.Close() }()
	check(t, m.Lookup(uint32(0), &n))
	return n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantFilter says what should be at clsact of the port.
func (p *port) wantFilter(t *testing.T, qdisc, filter bool) {
	t.Helper()
	has, err := p.h.HasClsact(p.ifindex)
	check(t, err)
	_, err = p.h.IngressProgram(p.ifindex)
	if err != nil && !errors.Is(err, linuxnet.ErrNotFound) {
		t.Fatal(err)
	}
	if has != qdisc || (err == nil) != filter {
		t.Errorf("clsact qdisc %v, filter %v, want %v, %v", has, err == nil, qdisc, filter)
	}
}

// TestNoFrameIsLost: while agents come and go, and even change mechanism, the program sees every frame.
func TestNoFrameIsLost(t *testing.T) {
	both := func(t *testing.T, uses ...bpf.Mechanism) {
		p := newPort(t)
		var was ebpf.ProgramID
		again := func(m bpf.Mechanism) {
			t.Helper()
			id, err := p.attach("port0", bpf.Use(m))
			check(t, err)
			a, err := bpf.Find(p.dir)
			check(t, err)
			if a.Program != id || a.Mechanism != m || id == was {
				t.Fatalf("attached %+v, want program %d by %s", a, id, m)
			}
			was = id
			p.wantFilter(t, m == bpf.Clsact, m == bpf.Clsact)
		}
		again(uses[0])
		stop, done := make(chan struct{}), make(chan error, 1)
		var sent uint64
		go func() {
			done <- func() error {
				pc, err := linuxnet.OpenPacket(p.ns, "peer0", bpftest.TypeIPv4)
				if err != nil {
					return err
				}
				defer func() { _ = pc.Close() }()
				to := &packet.Addr{HardwareAddr: portMAC[:]}
				frame := bpftest.Ethernet(portMAC, peerMAC, bpftest.TypeIPv4, make([]byte, 46))
				for {
					select {
					case <-stop:
						return nil
					default:
					}
					if _, err := pc.WriteTo(frame, to); err != nil {
						return fmt.Errorf("send frame %d: %w", sent, err)
					}
					sent++
				}
			}()
		}()
		for n := range 60 {
			again(uses[n%len(uses)])
		}
		close(stop)
		check(t, <-done)
		for end := time.Now().Add(10 * time.Second); p.counted(t) < sent && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if got := p.counted(t); got != sent || sent < 1000 {
			t.Errorf("the program saw %d of %d frames", got, sent)
		}
	}
	t.Run("T5 filter replaced", func(t *testing.T) { both(t, bpf.Clsact) })
	t.Run("T5 link updated", func(t *testing.T) { needTCX(t); both(t, bpf.TCX) })
	t.Run("T5 from one mechanism to the other", func(t *testing.T) { needTCX(t); both(t, bpf.TCX, bpf.Clsact) })
}

func needTCX(t *testing.T) {
	t.Helper()
	var unsupported *bpf.UnsupportedError
	if err := bpf.TCXSupported(); errors.As(err, &unsupported) {
		t.Skip(unsupported)
	}
}

func TestChoice(t *testing.T) {
	p := newPort(t)
	want := bpf.TCX
	err := bpf.TCXSupported()
	var unsupported *bpf.UnsupportedError
	if errors.As(err, &unsupported) {
		want = bpf.Clsact
	} else {
		check(t, err)
	}
	_, err = p.attach("port0")
	check(t, err)
	if a, err := bpf.Find(p.dir); err != nil || a.Mechanism != want {
		t.Errorf("attached %+v, %v, want %s", a, err, want)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	bpftest.EachMechanism(t, func(t *testing.T, use bpf.Option) {
		gone := func(t *testing.T, p *port) {
			t.Helper()
			for range 2 {
				check(t, bpf.Remove(p.dir))
			}
			if _, err := bpf.Find(p.dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("found after removing: %v", err)
			}
		}
		attached := func(t *testing.T) *port {
			p := newPort(t)
			_, err := p.attach("port0", use)
			check(t, err)
			return p
		}
		t.Run("S57 filter and qdisc go", func(t *testing.T) {
			p := attached(t)
			_, err := p.attach("port0", use) // the second finds its own qdisc
			check(t, err)
			gone(t, p)
			p.wantFilter(t, false, false)
		})
		t.Run("somebody else's qdisc stays", func(t *testing.T) {
			p := newPort(t)
			check(t, p.h.EnsureClsact(p.ifindex))
			for range 2 {
				_, err := p.attach("port0", use)
				check(t, err)
			}
			gone(t, p)
			p.wantFilter(t, true, false)
		})
		t.Run("interface gone", func(t *testing.T) {
			p := attached(t)
			check(t, p.h.DeleteLink("port0"))
			gone(t, p)
		})
		t.Run("moved to another interface", func(t *testing.T) {
			p := attached(t)
			first := p.ifindex
			p.veth(t, "port1", "peer1")
			_, err := p.attach("port1", use)
			check(t, err)
			if has, err := p.h.HasClsact(first); err != nil || has {
				t.Errorf("qdisc left on the first interface: %v, %v", has, err)
			}
			gone(t, p)
			p.wantFilter(t, false, false)
		})
		t.Run("another's filter took the place of ours", func(t *testing.T) {
			p, other := attached(t), &port{}
			*other = *p
			other.dir = p.dir + "-other"
			_, err := other.attach("port0", bpf.Use(bpf.Clsact))
			check(t, err)
			gone(t, p)
			p.wantFilter(t, true, true)
			gone(t, other)
		})
	})
}

func TestForeignFilterIsNotReplaced(t *testing.T) {
	p := newPort(t)
	c, err := ebpf.NewCollection(counting())
	check(t, err)
	defer c.Close()
	check(t, p.h.EnsureClsact(p.ifindex))
	check(t, p.h.SetIngressProgram(p.ifindex, c.Programs["counting"].FD(), "theirs"))
	_, err = p.attach("port0", bpf.Use(bpf.Clsact))
	if err == nil || err.Error() != `attach to port0: the place of the filter is taken by "theirs"` {
		t.Errorf("attached: %v", err)
	}
	check(t, bpf.Remove(p.dir))
	p.wantFilter(t, true, true)
	for range 2 {
		check(t, p.h.DeleteIngressProgram(p.ifindex))
	}
	p.wantFilter(t, true, false)
	for range 2 {
		check(t, p.h.DeleteUnusedClsact(p.ifindex))
	}
	p.wantFilter(t, false, false)
}

func TestNoSuchInterface(t *testing.T) {
	p := newPort(t)
	_, err := p.attach("nope0", bpf.Use(bpf.Clsact))
	var op *net.OpError
	if !errors.As(err, &op) {
		t.Errorf("attached: %v", err)
	}
	var unsupported *bpf.UnsupportedError
	if _, err = p.attach("port0", bpf.Use("xdp")); !errors.As(err, &unsupported) {
		t.Errorf("attached by a mechanism that is none: %v", err)
	}
	const none = 1 << 30
	for _, err := range []error{p.h.DeleteIngressProgram(none), p.h.DeleteUnusedClsact(none)} {
		check(t, err)
	}
	if err := p.h.EnsureClsact(none); !errors.Is(err, linuxnet.ErrNotFound) {
		t.Errorf("qdisc on no device: %v", err)
	}
}
