// Package e2e_test runs the whole product as its users do: a control plane process, real agents, HAProxy and kernel
// programs, clients behind the gateway. Every test has a stage of its own inside one lab.
package e2e_test

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"colonnade/internal/stage"
	"colonnade/internal/testenv"
	"colonnade/internal/traffic"
)

// binary is the program under test, built from this tree.
var binary string

func TestMain(m *testing.M) {
	os.Exit(testenv.RunInLab(func() int {
		dir, err := os.MkdirTemp("", "colonnade-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		build := exec.Command("go", "build", "-o", dir+"/", "colonnade/cmd/colonnade", "colonnade/cmd/colonnade-agent")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build programs: %v\n%s", err, out)
			return 1
		}
		binary = filepath.Join(dir, "colonnade")
		return m.Run()
	}))
}

// within is the deadline of everything a test waits for. It is no measure of speed: benchmarks measure.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// quick makes elective changes follow each other without delay.
const quick = "[cluster]\ncooldown = \"0s\"\n"

// set opens a stage for one test; what it left is shown when the test fails.
func set(t *testing.T, config string) *stage.Stage {
	t.Helper()
	return setWith(t, stage.Options{Config: config})
}

// setWith is set with more options; the directory is filled in, and the program if there is none.
func setWith(t *testing.T, o stage.Options) *stage.Stage {
	t.Helper()
	ctx := within(t, time.Minute)
	o.Binary, o.Dir = cmp.Or(o.Binary, binary), t.TempDir()
	s, err := stage.Open(ctx, o)
	if err != nil {
		if s != nil {
			_ = s.Close(ctx)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if log, err := os.ReadFile(s.LogFile()); err == nil {
				t.Logf("control plane's log:\n%s", withoutRequests(string(log)))
			}
			logs, _ := filepath.Glob(filepath.Join(s.StateDir(), "instances", "*", "agent.log"))
			for _, path := range logs {
				if log, err := os.ReadFile(path); err == nil {
					t.Logf("%s:\n%s", path, log[max(0, len(log)-3000):])
				}
			}
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// withoutRequests leaves out of a log what waiting tests fill it with.
func withoutRequests(log string) string {
	var kept []string
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "request served") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-400):], "")
}

// serving is a whole load balancer on a stage, with clients behind the gateway.
func serving(t *testing.T, s *stage.Stage, number, clients int) (*stage.Service, *stage.Machine) {
	t.Helper()
	ctx := within(t, time.Minute)
	members, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	sv, err := s.Tenancy(members, fmt.Sprintf("t%d", number), number)
	if err != nil {
		t.Fatal(err)
	}
	var internet *stage.Machine
	if clients > 0 {
		if internet, err = s.Internet(ctx, "clients", clients); err != nil {
			t.Fatal(err)
		}
	}
	if err := sv.Create(ctx, "lb"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client().WaitSettled(ctx, sv.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := sv.WaitWhole(ctx, ""); err != nil {
		t.Fatal(err)
	}
	return sv, internet
}

// flows are long connections that run until stopped.
type flows struct {
	t       *testing.T
	machine machine
	stop    context.CancelFunc
	ends    chan traffic.FlowEnd
	all     []*traffic.Flow
}

// open starts one flow from each source.
func open(t *testing.T, sv *stage.Service, from *stage.Machine, sources []netip.Addr) *flows {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	f := &flows{t: t, machine: watchMachine(sv.Stage()), stop: cancel, ends: make(chan traffic.FlowEnd, len(sources))}
	for _, source := range sources {
		flow, err := traffic.OpenFlow(within(t, 20*time.Second), from.Dial, source, sv.Echo(), 20*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		f.all = append(f.all, flow)
	}
	var wg sync.WaitGroup
	for _, flow := range f.all {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f.ends <- flow.Run(ctx)
		}()
	}
	go func() { wg.Wait(); close(f.ends) }()
	return f
}

// finish stops the flows and returns how each ended. On a machine that was too busy for them it skips the test.
func (f *flows) finish() map[netip.Addr]traffic.FlowEnd {
	f.stop()
	ends := map[netip.Addr]traffic.FlowEnd{}
	for end := range f.ends {
		ends[end.Flow.Source] = end
	}
	f.machine.judge(f.t)
	return ends
}
