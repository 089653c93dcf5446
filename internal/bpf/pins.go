// Package bpf holds what the programs in the kernel have in common: C headers (hash, probe frames, parsing) and, in Go,
// loading with pinned maps and attaching to a port's ingress, so that what a program does outlives the agent that
// loaded it.
//
// Programs are attached by TCX where the kernel has it (Linux 6.6), else as a direct-action filter under clsact. All
// else that programs and loaders use is in Linux 6.1, the kernel of Debian 12, which is the oldest they are tested on.
//
// It may be imported by the packages that own a program.
package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
)

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

// Remove detaches at once and removes dir with all pins; that there is nothing is no error.
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
