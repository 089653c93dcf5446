package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"colonnade/internal/linuxnet"
)

// helpers of the kernel that programs call and that not every kernel in use has, with the first that has them.
var helpers = []struct {
	id    asm.BuiltinFunc
	needs string
}{
	{asm.FnSkcLookupTcp, "a kernel with bpf_skc_lookup_tcp for tc programs (5.2 or later, CONFIG_INET)"},
	{asm.FnTcpCheckSyncookie, "a kernel with bpf_tcp_check_syncookie for tc programs (5.2 or later, CONFIG_SYN_COOKIES)"},
	{asm.FnRedirect, "a kernel with bpf_redirect for tc programs (4.2 or later)"},
}

// Attachable reports whether this kernel takes our programs, by trying what they need: maps, program type, helpers, and to
// attach one in a namespace made for that. The error is an *UnsupportedError when it does not.
func Attachable(opts ...Option) error {
	if err := Supported(); err != nil {
		return err
	}
	for _, h := range helpers {
		if err := features.HaveProgramHelper(ebpf.SchedCLS, h.id); errors.Is(err, ebpf.ErrNotSupported) {
			return &UnsupportedError{Needs: h.needs, Err: err}
		} else if err != nil {
			return fmt.Errorf("probe for %s: %w", h.id, err)
		}
	}
	m, err := mechanism(opts)
	if err != nil {
		return err
	}
	if m == TCX {
		return TCXSupported()
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return &UnsupportedError{Needs: "a kernel that loads tc programs (CONFIG_NET_CLS_BPF)", Err: err}
	}
	defer func() { _ = prog.Close() }()
	return linuxnet.InScratch(func() error { return tryFilter(prog) })
}

// tryFilter attaches to the loopback of a namespace that goes afterwards.
func tryFilter(prog *ebpf.Program) error {
	h, err := linuxnet.Open("")
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.Link("lo")
	if err != nil {
		return err
	}
	if err = h.EnsureClsact(lo.Index); err == nil {
		err = h.SetIngressProgram(lo.Index, prog.FD(), filterPrefix+"probe")
	}
	if err != nil {
		return &UnsupportedError{Needs: needsMechanism, Err: err}
	}
	return nil
}
