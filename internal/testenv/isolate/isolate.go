// Package isolate runs a whole test binary in network, mount and process namespaces of its own, so that a test may play
// with "the host" and leaves nothing behind, however it ends. For tests only.
package isolate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const marker = "COLONNADE_TEST_ISOLATED"

// Main is called from TestMain: os.Exit(isolate.Main(m)). Inside, the machine has a loopback device, an empty /run, its
// own /proc, and no other processes; files elsewhere and cgroups are the machine's. Without root the tests run as they
// are and skip what they cannot do.
func Main(m *testing.M) int {
	if os.Geteuid() != 0 {
		return m.Run()
	}
	if os.Getenv(marker) == "" {
		return outside()
	}
	if err := inside(); err != nil {
		fmt.Fprintln(os.Stderr, "isolate:", err)
		return 1
	}
	return m.Run()
}

// outside starts this binary again in new namespaces and waits. The namespaces end with it.
func outside() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		// Not by Pdeathsig: it follows the thread that forked, which Go may end any time.
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "isolate:", err)
		return 1
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
			if s != syscall.SIGQUIT { // pid 1 of a namespace gets no default action
				_ = cmd.Process.Kill()
			}
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "isolate:", err)
	return 1
}

func inside() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	return nil
}
