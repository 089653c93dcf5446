// Package bpf holds what the programs in the kernel have in common: C headers (hash, probe frames, parsing) and, in Go,
// loading with pinned maps and attaching with a pinned link, so that what a program does outlives the agent that
// loaded it. It may be imported by the packages that own a program.
package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// linkPin is the name under which a directory of pins keeps the attachment.
const linkPin = "link"

// UnsupportedError says what this machine lacks.
type UnsupportedError struct {
	Needs string
	Err   error
}

func (e *UnsupportedError) Error() string { return "unsupported: needs " + e.Needs }
func (e *UnsupportedError) Unwrap() error { return e.Err }

// Supported reports whether programs can be loaded here, by loading nothing but a map; the error is an
// *UnsupportedError when they cannot.
func Supported() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return &UnsupportedError{Needs: "the right to use bpf(2): root or CAP_BPF and CAP_NET_ADMIN", Err: err}
	}
	return m.Close()
}

// Load loads spec with its maps pinned in dir, a directory on a BPF file system that is made if missing. Maps pinned
// there already are used as they are; if they have another shape (an older version's), all are made anew. The caller
// closes the collection, which leaves the pins.
func Load(dir string, spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make pin directory: %w", err)
	}
	for name, m := range spec.Maps {
		if !strings.HasPrefix(name, ".") { // global variables are each load's own
			m.Pinning = ebpf.PinByName
		}
	}
	opts := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: dir}}
	c, err := ebpf.NewCollectionWithOptions(spec, opts)
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		for name := range spec.Maps {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("remove pinned map of another version: %w", err)
			}
		}
		c, err = ebpf.NewCollectionWithOptions(spec, opts)
	}
	if err != nil {
		return nil, fmt.Errorf("load program: %w", err)
	}
	return c, nil
}

// Attach puts prog at TCX ingress of the interface and pins the attachment in dir; call it inside the interface's
// network namespace. An attachment pinned there already gets the new program in one step, with no packet between
// the two, or is given up if it belongs to another interface.
func Attach(dir string, prog *ebpf.Program, ifname string) error {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return fmt.Errorf("attach to %s: %w", ifname, err)
	}
	kept, err := update(dir, prog, uint32(ifi.Index))
	if err != nil {
		return fmt.Errorf("attach to %s: %w", ifname, err)
	}
	if kept {
		return nil
	}
	l, err := link.AttachTCX(link.TCXOptions{Program: prog, Interface: ifi.Index, Attach: ebpf.AttachTCXIngress})
	if errors.Is(err, ebpf.ErrNotSupported) {
		return &UnsupportedError{Needs: "a kernel with TCX (6.6 or later)", Err: err}
	}
	if err != nil {
		return fmt.Errorf("attach to %s: %w", ifname, err)
	}
	defer func() { _ = l.Close() }()
	if err := l.Pin(filepath.Join(dir, linkPin)); err != nil {
		return fmt.Errorf("attach to %s: pin: %w", ifname, err)
	}
	return nil
}

// update gives the pinned attachment a new program and reports whether there was one on that interface.
func update(dir string, prog *ebpf.Program, ifindex uint32) (bool, error) {
	l, err := link.LoadPinnedLink(filepath.Join(dir, linkPin), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open pinned link: %w", err)
	}
	defer func() { _ = l.Close() }()
	info, err := l.Info()
	if err != nil {
		return false, fmt.Errorf("inspect pinned link: %w", err)
	}
	// The kernel reports index 0 once the interface is gone.
	if tcx := info.TCX(); tcx == nil || tcx.Ifindex != ifindex {
		return false, Detach(dir)
	}
	if err := l.Update(prog); err != nil {
		return false, fmt.Errorf("replace program: %w", err)
	}
	return true, nil
}

// Detach ends the attachment pinned in dir at once; that there is none is no error.
func Detach(dir string) error {
	l, err := link.LoadPinnedLink(filepath.Join(dir, linkPin), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("detach: open pinned link: %w", err)
	}
	defer func() { _ = l.Close() }()
	if err := l.Unpin(); err != nil {
		return fmt.Errorf("detach: unpin: %w", err)
	}
	// The kernel has nothing to detach once the interface is gone, and closing detaches too, only later.
	_ = l.Detach()
	return nil
}

// Remove detaches and removes dir with all pins; that there is nothing is no error.
func Remove(dir string) error {
	if err := Detach(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove pins: %w", err)
	}
	return nil
}

// MAC is an Ethernet address as the programs hold it: in the low 48 bits, in the order of the wire.
func MAC(mac [6]byte) uint64 {
	var v uint64
	for i, b := range mac {
		v |= uint64(b) << (8 * i)
	}
	return v
}
