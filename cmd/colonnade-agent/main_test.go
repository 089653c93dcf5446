package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/cert"
	"colonnade/internal/health/heartbeat"
)

// asProgram makes the test binary the program itself.
const asProgram = "COLONNADE_AGENT_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// instance writes the directory of a distributor that listens on ip and says that it lives to the socket.
func instance(t *testing.T, ip string) (config string, key []byte, health net.PacketConn) {
	t.Helper()
	ca, err := cert.OpenAuthority(t.TempDir(), time.Now)
	check(t, err)
	b, err := ca.Issue(cert.Identity{Role: cert.RoleDistributor, ID: "d1"}, nil, time.Hour)
	check(t, err)
	health, err = net.ListenPacket("udp", ip+":0")
	check(t, err)
	t.Cleanup(func() { health.Close() })
	dir, key := t.TempDir(), bytes.Repeat([]byte{7}, 32)
	raw, err := json.Marshal(agentconf.Config{
		Kind: "distributor", ID: "d1", ManagementIP: ip,
		Heartbeat: agentconf.Heartbeat{Targets: []string{health.LocalAddr().String()}, Key: hex.EncodeToString(key), IntervalMS: 100},
		Place:     agentconf.Place{Dir: dir, BPFDir: filepath.Join(dir, "bpf"), TenantNamespace: "/run/netns/cnt-cmd"},
	})
	config = filepath.Join(dir, agentconf.FileName)
	check(t, err, os.WriteFile(config, raw, 0o600), os.WriteFile(filepath.Join(dir, agentconf.CAFile), b.CAPEM, 0o600),
		os.WriteFile(filepath.Join(dir, agentconf.CertFile), b.CertPEM, 0o600), os.WriteFile(filepath.Join(dir, agentconf.KeyFile), b.KeyPEM, 0o600))
	return config, key, health
}

// child returns the one child of a process.
func child(t *testing.T, pid int) int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	check(t, err)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if s := strings.Fields(string(raw)); err == nil && len(s) == 1 {
			n, err := strconv.Atoi(s[0])
			check(t, err)
			return n
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}

func TestParentStartsTheAgentAgainAndEndsWithIt(t *testing.T) {
	config, key, health := instance(t, "127.83.3.1")
	cmd := program(t, "run", "--config", config)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	check(t, cmd.Start())
	ended := false
	defer func() {
		if !ended {
			_ = cmd.Process.Kill() // the agent ends with it
			_ = cmd.Wait()
		}
	}()
	// hear waits for a beat that wanted accepts.
	hear := func(what string, wanted func(from net.Addr) bool) heartbeat.Beat {
		t.Helper()
		buf := make([]byte, heartbeat.MaxDatagram)
		check(t, health.SetReadDeadline(time.Now().Add(20*time.Second)))
		for {
			n, from, err := health.ReadFrom(buf)
			if err != nil {
				t.Fatalf("%s: %v\n%s", what, err, log.String())
			}
			b, err := heartbeat.Decode(buf[:n], func(string, string) []byte { return key })
			check(t, err)
			if wanted(from) {
				return b
			}
		}
	}
	var first string
	before := hear("first beat", func(from net.Addr) bool { first = from.String(); return true })
	agent := child(t, cmd.Process.Pid)
	check(t, syscall.Kill(agent, syscall.SIGKILL))
	after := hear("beat of another process", func(from net.Addr) bool { return from.String() != first })
	if before.BootID != after.BootID || after.Seq <= before.Seq {
		t.Errorf("beat %s/%d became %s/%d", before.BootID, before.Seq, after.BootID, after.Seq)
	}
	agent = child(t, cmd.Process.Pid)
	check(t, cmd.Process.Signal(syscall.SIGTERM))
	err := cmd.Wait()
	ended = true
	check(t, err)
	if err := syscall.Kill(agent, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("agent %d is still there: %v", agent, err)
	}
}

func TestRefusals(t *testing.T) {
	config, _, _ := instance(t, "127.83.3.2")
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"another kind", []string{"amphora", "--config", config}, "is for the agent of kind distributor, not amphora"},
		{"no configuration", []string{"run"}, "missing flags: --config=FILE"},
		{"no such file", []string{"distributor", "--config", "/nonexistent"}, "/nonexistent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := program(t, c.args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
