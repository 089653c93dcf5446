// Package bpftest is what tests and benchmarks of programs in the kernel share: places for pins, namespaces with a
// port, running a program on one frame, and building frames. Only tests and benchmarks import it.
package bpftest

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"colonnade/internal/bpf"
	"colonnade/internal/linuxnet"
)

// Verdicts of a program.
const (
	Pass     = 0
	Drop     = 2
	Redirect = 7
)

// Require skips the test where programs cannot be loaded, and for no other reason.
func Require(t testing.TB) {
	t.Helper()
	var unsupported *bpf.UnsupportedError
	if err := bpf.Supported(); errors.As(err, &unsupported) {
		t.Skip(unsupported)
	} else if err != nil {
		t.Fatal(err)
	}
}

// EachMechanism runs the test with programs attached by each mechanism that the kernel has.
func EachMechanism(t *testing.T, test func(t *testing.T, use bpf.Option)) {
	t.Helper()
	Require(t)
	for _, m := range []bpf.Mechanism{bpf.TCX, bpf.Clsact} {
		t.Run(string(m), func(t *testing.T) {
			var unsupported *bpf.UnsupportedError
			if err := bpf.TCXSupported(); m == bpf.TCX && errors.As(err, &unsupported) {
				t.Skip(unsupported)
			}
			test(t, bpf.Use(m))
		})
	}
}

// FileSystem mounts a BPF file system of the test's own.
func FileSystem(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("bpf", dir, "bpf", 0, "mode=0700"); err != nil {
		t.Fatalf("mount BPF file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount BPF file system: %v", err)
		}
	})
	return dir
}

// Namespace makes a network namespace and returns its path.
func Namespace(t testing.TB) string {
	t.Helper()
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	name := "cnt-" + hex.EncodeToString(b)
	if _, err := linuxnet.EnsureNamespace(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := linuxnet.DeleteNamespace(name); err != nil {
			t.Errorf("delete namespace: %v", err)
		}
	})
	return linuxnet.Path(name)
}

// Veth joins two namespaces; both ends are up.
func Veth(t testing.TB, ns, name string, mac [6]byte, peerNS, peerName string, peerMAC [6]byte) {
	t.Helper()
	h := handle(t, ns)
	peer := handle(t, peerNS)
	err := h.AddVeth(linuxnet.VethEnd{Name: name, MAC: mac[:]}, linuxnet.VethEnd{Name: peerName, MAC: peerMAC[:]}, peerNS)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.SetUp(name), peer.SetUp(peerName), h.SetUp("lo"), peer.SetUp("lo")); err != nil {
		t.Fatal(err)
	}
}

// Address gives an interface an address.
func Address(t testing.TB, ns, ifname, prefix string) {
	t.Helper()
	if err := handle(t, ns).EnsureAddress(ifname, netip.MustParsePrefix(prefix)); err != nil {
		t.Fatal(err)
	}
}

func handle(t testing.TB, ns string) *linuxnet.Handle {
	t.Helper()
	h, err := linuxnet.Open(ns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// Attached returns the program attached from dir, and the link's own id if it is attached by one.
func Attached(t testing.TB, dir string) (*ebpf.Program, link.ID) {
	t.Helper()
	a, err := bpf.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ebpf.NewProgramFromID(a.Program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, a.Link
}

// Port is an interface that frames seem to come in by.
type Port struct {
	Namespace, Interface string
}

// Run runs the program on frame as if it had come in by the port and returns its verdict and the frame afterwards.
func (p Port) Run(t testing.TB, prog *ebpf.Program, frame []byte) (uint32, []byte) {
	t.Helper()
	var verdict uint32
	var out []byte
	err := linuxnet.In(p.Namespace, func() error {
		ifi, err := net.InterfaceByName(p.Interface)
		if err != nil {
			return err
		}
		verdict, out, err = RunOn(prog, ifi.Index, frame)
		return err
	})
	if err != nil {
		t.Fatalf("run program: %v", err)
	}
	return verdict, out
}

// RunOn is Run for a caller that is inside the interface's namespace already.
func RunOn(prog *ebpf.Program, ifindex int, frame []byte) (uint32, []byte, error) {
	skb := make([]byte, 48) // the beginning of struct __sk_buff
	binary.NativeEndian.PutUint32(skb[40:], uint32(ifindex))
	opts := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: skb}
	verdict, err := prog.Run(&opts)
	return verdict, opts.DataOut, err
}
