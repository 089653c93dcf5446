package netns

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"colonnade/internal/agentconf"
	"colonnade/internal/linuxnet"
)

// process identifies a process across restarts of ours and of the machine: a pid alone may be another's by now.
type process struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"start_time"` // clock ticks since the machine's boot
	BootID    string `json:"boot_id"`    // of the machine
}

// startAgent starts the instance's parent process: in the management namespace and the cgroup from birth, in a session
// of its own, with nothing of ours but the log file.
func startAgent(p place, binary string) (process, error) {
	cg, err := os.Open(p.cgroup)
	if err != nil {
		return process{}, err
	}
	defer func() { _ = cg.Close() }()
	log, err := os.OpenFile(filepath.Join(p.dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return process{}, err
	}
	defer func() { _ = log.Close() }() // the child has its own
	//nolint:noctx // it outlives every context of ours
	cmd := exec.Command(binary, "run", "--config", filepath.Join(p.dir, agentconf.FileName))
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: int(cg.Fd())}
	// The child is born in the namespace of the thread that forks.
	if err := linuxnet.In(linuxnet.Path(p.namespace), cmd.Start); err != nil {
		return process{}, err
	}
	// While we live it is our child, and a dead one has to be waited for.
	go func() { _ = cmd.Wait() }()
	return identify(cmd.Process.Pid)
}

// identify reads who has this pid now.
func identify(pid int) (process, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return process{}, err
	}
	_, start, err := stat(pid)
	return process{PID: pid, StartTime: start, BootID: strings.TrimSpace(string(boot))}, err
}

// runs reports whether this very process runs. The pidfd is opened first: what is then read of the pid is of the process
// the pidfd holds, or of none, as the last question to the pidfd tells.
func (p process) runs() bool {
	if p.PID <= 0 {
		return false
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	now, err := identify(p.PID)
	if err != nil || now != p {
		return false
	}
	state, _, err := stat(p.PID)
	return err == nil && state != 'Z' && state != 'X' && unix.PidfdSendSignal(fd, 0, nil, 0) == nil
}

// stat reads state and start time (fields 3 and 22 of /proc/<pid>/stat; the second may contain anything).
func stat(pid int) (state byte, start uint64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("/proc/%d/stat is not understood", pid)
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0][0], start, err
}
