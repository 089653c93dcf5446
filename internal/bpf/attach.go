package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// linkPin is the name under which a directory of pins keeps a TCX attachment.
const linkPin = "link"

// Mechanism is how the kernel runs a program at a port's ingress. Programs mean the same under each: TC_ACT_OK and
// TC_ACT_UNSPEC let the frame through, TC_ACT_SHOT drops it, bpf_redirect sends it.
type Mechanism string

// The mechanisms.
const (
	TCX    Mechanism = "tcx"    // a pinned link; Linux 6.6
	Clsact Mechanism = "clsact" // a direct-action filter, with a record beside the pins; any kernel that loads the programs
)

// Option changes how a program is attached.
type Option func(*options)

type options struct {
	mechanism Mechanism // "": the best that the kernel has
}

// Use attaches by m, whatever else the kernel has.
func Use(m Mechanism) Option { return func(o *options) { o.mechanism = m } }

// TCXSupported tries whether the kernel has TCX; the error is an *UnsupportedError when it has not.
func TCXSupported() error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return fmt.Errorf("probe for TCX: %w", err)
	}
	defer func() { _ = prog.Close() }()
	// No interface has this index, and a kernel that looks for it knows TCX.
	_, err = link.AttachTCX(link.TCXOptions{Program: prog, Interface: math.MaxInt32, Attach: ebpf.AttachTCXIngress})
	switch {
	case errors.Is(err, unix.ENODEV):
		return nil
	case errors.Is(err, ebpf.ErrNotSupported):
		return &UnsupportedError{Needs: "a kernel with TCX (6.6 or later)", Err: err}
	}
	return fmt.Errorf("probe for TCX: %w", err)
}

func mechanism(opts []Option) (Mechanism, error) {
	var o options
	for _, set := range opts {
		set(&o)
	}
	if o.mechanism != "" {
		return o.mechanism, nil
	}
	err := TCXSupported()
	var unsupported *UnsupportedError
	if errors.As(err, &unsupported) {
		return Clsact, nil
	}
	return TCX, err
}

// Attach puts prog at the ingress of an interface and keeps with the pins in dir what finds it again; call it inside the
// namespace at nsPath, the interface's. An attachment kept there already gets the new program in one step, with no
// packet between the two, or is given up if it belongs to another interface.
func Attach(dir string, prog *ebpf.Program, nsPath, ifname string, opts ...Option) error {
	err := attach(dir, prog, nsPath, ifname, opts)
	if err != nil {
		return fmt.Errorf("attach to %s: %w", ifname, err)
	}
	return nil
}

func attach(dir string, prog *ebpf.Program, nsPath, ifname string, opts []Option) error {
	m, err := mechanism(opts)
	if err != nil {
		return err
	}
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return err
	}
	// What another mechanism left goes only after this one is in place. Where both are, TCX alone runs: our programs
	// never ask it to go on to the filters.
	switch m {
	case TCX:
		if err := setLink(dir, prog, ifi.Index); err != nil {
			return err
		}
		return detachFilter(dir)
	case Clsact:
		if err := setFilter(dir, prog, place{namespace: nsPath, ifindex: ifi.Index}); err != nil {
			return err
		}
		return detachLink(dir)
	}
	return &UnsupportedError{Needs: fmt.Sprintf("a way to attach that is called %q", m)}
}

// Detach ends the attachment kept in dir at once; that there is none is no error.
func Detach(dir string) error {
	if err := errors.Join(detachLink(dir), detachFilter(dir)); err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	return nil
}

// Attachment is what Attach kept in a directory of pins.
type Attachment struct {
	Mechanism Mechanism
	Program   ebpf.ProgramID
	Link      link.ID // of TCX
}

// Find says what is attached from dir; errors.Is(err, fs.ErrNotExist) when nothing is.
func Find(dir string) (Attachment, error) {
	l, err := link.LoadPinnedLink(filepath.Join(dir, linkPin), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return findFilter(dir)
	}
	if err != nil {
		return Attachment{}, fmt.Errorf("open pinned link: %w", err)
	}
	defer func() { _ = l.Close() }()
	info, err := l.Info()
	if err != nil {
		return Attachment{}, fmt.Errorf("inspect pinned link: %w", err)
	}
	return Attachment{Mechanism: TCX, Program: info.Program, Link: info.ID}, nil
}

// setLink attaches by TCX and pins the link.
func setLink(dir string, prog *ebpf.Program, ifindex int) error {
	if kept, err := updateLink(dir, prog, uint32(ifindex)); kept || err != nil {
		return err
	}
	l, err := link.AttachTCX(link.TCXOptions{Program: prog, Interface: ifindex, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	if err := l.Pin(filepath.Join(dir, linkPin)); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	return nil
}

// updateLink gives the pinned link a new program and reports whether there was one on that interface.
func updateLink(dir string, prog *ebpf.Program, ifindex uint32) (bool, error) {
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
		return false, detachLink(dir)
	}
	if err := l.Update(prog); err != nil {
		return false, fmt.Errorf("replace program: %w", err)
	}
	return true, nil
}

func detachLink(dir string) error {
	l, err := link.LoadPinnedLink(filepath.Join(dir, linkPin), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open pinned link: %w", err)
	}
	defer func() { _ = l.Close() }()
	if err := l.Unpin(); err != nil {
		return fmt.Errorf("unpin: %w", err)
	}
	// The kernel has nothing to detach once the interface is gone, and closing detaches too, only later.
	_ = l.Detach()
	return nil
}
