package bpf_test

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"colonnade/internal/bpf"
	"colonnade/internal/bpf/bpftest"
)

func TestAttachable(t *testing.T) {
	bpftest.EachMechanism(t, func(t *testing.T, use bpf.Option) {
		if err := bpf.Attachable(use); err != nil {
			t.Error(err)
		}
	})
}

// TestNotAttachable gives up, on one thread, the right to load anything.
func TestNotAttachable(t *testing.T) {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, without its rights
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			done <- nil
			return
		}
		done <- bpf.Attachable()
	}()
	err := <-done
	var unsupported *bpf.UnsupportedError
	if !errors.As(err, &unsupported) || unsupported.Needs == "" {
		t.Errorf("got %v, want an UnsupportedError", err)
	}
}
