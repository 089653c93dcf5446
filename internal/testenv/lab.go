// Package testenv gives tests a machine of their own: a lab is a set of fresh namespaces (network, mount, process,
// cgroup) in which a whole control plane with its data planes runs, and which vanishes with everything in it when the
// test ends, fails or is killed. Only tests and benchmarks import it.
package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// labStage is the environment variable that tells a re-executed program which part of the lab it is.
const labStage = "COLONNADE_LAB_STAGE"

// RunInLab calls run inside a lab and returns its exit status; TestMain and benchmark programs exit with it. It
// re-executes the program twice: as the lab's process 1, which only reaps, and below it as the program itself.
func RunInLab(run func() int) int {
	switch os.Getenv(labStage) {
	case "":
		return enterLab()
	case "init":
		return beInit()
	default:
		return run()
	}
}

// enterLab starts process 1 of the lab and waits. When this process is killed, the kernel kills process 1 with it, and
// with that everything in the lab.
func enterLab() int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "this test needs root: it makes network namespaces and loads kernel programs; run it with sudo")
		return 1
	}
	cgroup, err := labCgroup()
	if err != nil {
		fmt.Fprintln(os.Stderr, "enter lab:", err)
		return 1
	}
	defer removeCgroup(cgroup)
	dir, err := os.Open(cgroup)
	if err != nil {
		fmt.Fprintln(os.Stderr, "enter lab:", err)
		return 1
	}
	defer func() { _ = dir.Close() }()
	cmd := reexec("init")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWCGROUP,
		Pdeathsig:   syscall.SIGKILL,
		UseCgroupFD: true,
		CgroupFD:    int(dir.Fd()),
	}
	return wait(cmd)
}

// reexec is this program again, at the given stage of the lab. Process 1 does not forward signals to itself: an
// interrupt of the terminal reaches the program directly, and its end ends the lab.
func reexec(stage string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), labStage+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

func wait(cmd *exec.Cmd) int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "enter lab:", err)
		return 1
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "lab ended:", err)
		return 1
	}
}

// beInit furnishes the lab, starts the program below itself and reaps orphans until the program ends.
func beInit() int {
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "furnish lab:", err)
		return 1
	}
	cmd := reexec("inside")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "start in lab:", err)
		return 1
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "reap in lab:", err)
			return 1
		}
		if ended := status.Exited() || status.Signaled(); pid != cmd.Process.Pid || !ended {
			continue
		}
		if status.Signaled() {
			fmt.Fprintln(os.Stderr, "program in lab ended by signal", status.Signal())
			return 1
		}
		return status.ExitStatus()
	}
}

// furnish gives the lab's mount namespace its own /proc, /run/netns and cgroup tree, and brings loopback up.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	if err := hideNamespaces(); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run/netns", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount /run/netns: %w", err)
	}
	mount, err := cgroupMount()
	if err != nil {
		return err
	}
	// A cgroup file system mounted anew inside a cgroup namespace has the namespace's cgroup as its root. The old mount
	// goes first: the kernel refuses to stack the same file system on itself.
	if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", mount, err)
	}
	if err := unix.Mount("cgroup2", mount, "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", mount, err)
	}
	return loopbackUp()
}

// hideNamespaces takes the host's named network namespaces out of the lab's sight: those that were there when the lab
// was made would else hang below its own /run/netns.
func hideNamespaces() error {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, line := range slices.Backward(strings.Split(string(raw), "\n")) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[4] != "/run/netns" && !strings.HasPrefix(fields[4], "/run/netns/") {
			continue
		}
		// EINVAL: it went with another one, or with its maker, meanwhile.
		if err := unix.Unmount(fields[4], unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", fields[4], err)
		}
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	ifr.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	return nil
}

// cgroupMount finds where cgroup v2 is mounted: alone, or beside version 1.
func cgroupMount() (string, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(raw)) {
		front, back, ok := strings.Cut(line, " - ")
		if fields := strings.Fields(front); ok && strings.HasPrefix(back, "cgroup2 ") && len(fields) > 4 {
			return fields[4], nil
		}
	}
	return "", errors.New("no cgroup v2 file system is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup")
}

const labCgroupPrefix = "colonnade-lab-"

// labCgroup makes this lab's cgroup and removes those of labs that were killed.
func labCgroup() (string, error) {
	mount, err := cgroupMount()
	if err != nil {
		return "", err
	}
	left, err := filepath.Glob(filepath.Join(mount, labCgroupPrefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), labCgroupPrefix))
		if err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			removeCgroup(dir)
		}
	}
	dir := filepath.Join(mount, labCgroupPrefix+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
}

// removeCgroup removes an empty cgroup tree, children first; one that still holds processes stays for the next sweep.
func removeCgroup(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(dir, e.Name()))
		}
	}
	_ = unix.Rmdir(dir)
}
