package agent_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/agentconf"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/agent"
	"colonnade/internal/distributor/ledger"
	"colonnade/internal/distributor/probe"
)

// inBubble runs a test on a clock of its own, so that 150 ms of silence take no time and no luck.
func inBubble(t *testing.T, run func(t *testing.T, m *machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, newMachine(t)) })
}

// rounds lets n rounds of probes pass.
func passRounds(n int) {
	time.Sleep(time.Duration(n) * agent.ProbeInterval)
	synctest.Wait()
}

// serving plugs the VIP and registers three amphorae and the given number of standbys.
func serving(t *testing.T, a *agent.Agent, standbys int) {
	t.Helper()
	put(t, a, vipPath, plug(stamp(1, 1, 1)))
	put(t, a, tablePath, register(stamp(1, 1, 1), table(1, 3, standbys)))
	passRounds(2)
	for len(a.Kick()) > 0 {
		<-a.Kick()
	}
}

func status(t *testing.T, a *agent.Agent) distributor.LBStatus {
	t.Helper()
	s, err := a.LoadBalancer(lb1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func targets(amphorae ...int) (out [][6]byte) {
	for _, n := range amphorae {
		out = append(out, parseMAC(mac(n)))
	}
	return out
}

func wantTargets(t *testing.T, m *machine, amphorae ...int) {
	t.Helper()
	if diff := cmp.Diff(targets(amphorae...), m.targets()); diff != "" {
		t.Errorf("what the dataplane forwards to: %s", diff)
	}
}

func TestSwap(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		defer end()
		serving(t, a, 1)
		m.setDeaf(true, 1)
		passRounds(2)
		wantTargets(t, m, 0, 1, 2)
		passRounds(3)
		wantTargets(t, m, 0, 3, 2)
		s := status(t, a)
		if len(s.Swaps) != 1 {
			t.Fatalf("swaps %v", s.Swaps)
		}
		want := distributor.Swap{Seq: 1, Position: 1, AmphoraID: amp(1), StandbyID: amp(3), Reason: ledger.ReasonProbe, AtUnixMS: s.Swaps[0].AtUnixMS}
		if diff := cmp.Diff([]distributor.Swap{want}, s.Swaps); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{amp(1)}, s.Silent); diff != "" {
			t.Error(diff)
		}
		if !s.Positions[1].Swapped || s.Positions[1].AmphoraID != amp(3) {
			t.Errorf("position 1 is shown as %v", s.Positions[1])
		}
		if len(a.Kick()) != 1 {
			t.Error("nobody was told at once")
		}

		m.setDeaf(false, 1)
		passRounds(2)
		if s = status(t, a); len(s.Silent) != 0 || len(s.Swaps) != 1 {
			t.Errorf("after it came back: silent %v, swaps %v", s.Silent, s.Swaps)
		}
		wantTargets(t, m, 0, 3, 2) // never swapped back

		raw := `{"error":"table does not take in the distributor's last swaps","swaps":`
		if status, got := call(t, a, "PUT", tablePath, register(stamp(1, 2, 1), table(2, 3, 1)), nil); status != 409 || !strings.HasPrefix(got, raw) {
			t.Errorf("a table that does not know the swap: %d %s", status, got)
		}
		wantTargets(t, m, 0, 3, 2)
		taken := table(2, 3, 1)
		taken.Current.Holders[1], taken.Standbys, taken.TakenSwap = 3, []int{1}, 1
		if s = put(t, a, tablePath, register(stamp(1, 2, 1), taken)); len(s.Swaps) != 0 || s.Positions[1].Swapped {
			t.Errorf("after the table that takes it in: %v", s)
		}
		wantTargets(t, m, 0, 3, 2)
		m.setDeaf(true, 0)
		passRounds(5)
		if s = status(t, a); len(s.Swaps) != 1 || s.Swaps[0].Seq != 2 || s.Swaps[0].StandbyID != amp(1) {
			t.Errorf("the next swap: %v", s.Swaps)
		}

		without := table(3, 3, 1)
		without.Current.Holders = []int{1, 3, 2}
		without.Holders[0] = distributor.Holder{AmphoraID: amp(9), MAC: mac(9)}
		without.Standbys, without.TakenSwap = []int{0}, 2
		put(t, a, tablePath, register(stamp(1, 3, 1), without))
		passRounds(2)
		if s = status(t, a); len(s.Silent) != 0 {
			t.Errorf("silent %v, who is in no table any more", s.Silent)
		}
		wantTargets(t, m, 1, 3, 2)
	})
}

func TestItsOwnWordSwapsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		defer end()
		serving(t, a, 1)
		m.wires[0].say(2, probe.Down, 1)
		synctest.Wait() // no time passes
		wantTargets(t, m, 0, 1, 3)
		if s := status(t, a); len(s.Swaps) != 1 || s.Swaps[0].Reason != ledger.ReasonDown {
			t.Errorf("swaps %v", s.Swaps)
		}
	})
}

func TestNoSwapWhenItIsTheDistributorThatIsCutOff(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		defer end()
		serving(t, a, 2)
		m.setDeaf(true, 0, 1, 2, 3, 4)
		passRounds(10)
		wantTargets(t, m, 0, 1, 2)
		if s := status(t, a); len(s.Swaps) != 0 || len(s.Silent) != 5 {
			t.Errorf("swaps %v, silent %v", s.Swaps, s.Silent)
		}
		m.setDeaf(false, 0, 2, 3, 4) // back on the network, and one is really gone
		passRounds(3)
		wantTargets(t, m, 0, 3, 2)
	})
}

func TestSwapIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		defer end()
		serving(t, a, 1)
		m.setRefuse("table", errors.New("no memory"))
		m.setDeaf(true, 0)
		passRounds(6)
		if s := status(t, a); len(s.Swaps) != 0 {
			t.Errorf("told of a swap that is not installed: %v", s.Swaps)
		}
		m.setRefuse("table", nil)
		passRounds(2)
		wantTargets(t, m, 3, 1, 2)
	})
}

func TestRestartFindsEverything(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		serving(t, a, 1)
		m.setDeaf(true, 1)
		passRounds(5)
		want, boot := a.Status(), a.Beat().BootID
		end()
		m.setDeaf(true, 1)

		a, end = m.start()
		defer end()
		got := a.Status()
		if diff := cmp.Diff([]string{}, got.LoadBalancers[0].Silent); diff != "" {
			t.Error("nobody is silent before he was asked: ", diff)
		}
		got.LoadBalancers[0].Silent = want.LoadBalancers[0].Silent
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if a.Beat().BootID != boot || boot == "" {
			t.Errorf("boot id %q became %q", boot, a.Beat().BootID)
		}
		wantTargets(t, m, 0, 3, 2)
		passRounds(5)
		if diff := cmp.Diff(want, a.Status()); diff != "" {
			t.Error(diff)
		}
		if code, _ := call(t, a, "PUT", vipPath, plug(stamp(1, 1, 0)), nil); code != 409 {
			t.Errorf("a lower stamp after the restart is answered %d", code)
		}
	})
}

func TestEmptyListsAreTheSameAfterARestart(t *testing.T) {
	m := newMachine(t)
	p, r := plug(stamp(1, 1, 1)), register(stamp(1, 1, 1), table(1, 2, 0))
	p.HostRoutes, r.Table.Standbys, r.Table.Earlier = []distributor.HostRoute{}, []int{}, []distributor.Generation{}
	for range 2 {
		a, end := m.start()
		put(t, a, vipPath, p)
		put(t, a, tablePath, r)
		end()
	}
}

func TestWhatIsNotInPlaceIsNotApplied(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		serving(t, a, 1)
		end()
		m.setRefuse("plug", errors.New("no such port"))
		a, end = m.start()
		defer end()
		if s := status(t, a); s.VIPApplied != stamp(0, 0, 0) || s.TableApplied != stamp(0, 0, 0) {
			t.Errorf("a load balancer that is not adopted has %v", s)
		}
		m.setRefuse("plug", nil)
		s := put(t, a, vipPath, plug(stamp(1, 1, 1))) // the same again is enough
		if s.VIPApplied != stamp(1, 1, 1) || s.TableApplied != stamp(1, 1, 1) {
			t.Errorf("after the same again: %v", s)
		}
		m.setRefuse("plug", errors.New("busy"))
		if code, _ := call(t, a, "PUT", vipPath, plug(stamp(2, 1, 1)), nil); code != 500 {
			t.Errorf("answered %d", code)
		}
		m.setDeaf(true, 0)
		passRounds(5)
		wantTargets(t, m, 3, 1, 2) // swaps do not wait for a plug that fails
	})
}

// TestCrashBetweenSwitchAndDisk: the dataplane has the swap, the disk has not.
func TestCrashBetweenSwitchAndDisk(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		serving(t, a, 2)
		file := filepath.Join(m.dir, "loadbalancers", lb1+".json")
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m.setDeaf(true, 1)
		passRounds(5)
		want := status(t, a).Swaps
		end()
		if err := os.WriteFile(file, before, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.dir, "loadbalancers", ".new-123"), before[:len(before)/2], 0o600); err != nil {
			t.Fatal(err)
		}

		a, end = m.start()
		defer end()
		passRounds(5)
		got := status(t, a).Swaps
		if len(got) == 1 {
			got[0].AtUnixMS = want[0].AtUnixMS
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("probes decided otherwise: %s", diff)
		}
		wantTargets(t, m, 0, 3, 2)
		if left, err := filepath.Glob(filepath.Join(m.dir, "loadbalancers", ".*")); err != nil || len(left) > 0 {
			t.Errorf("half a file is left: %v, %v", left, err)
		}
	})
}

func TestUnreadableStateIsSetAside(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		serving(t, a, 1)
		end()
		file := filepath.Join(m.dir, "loadbalancers", lb1+".json")
		if err := os.WriteFile(file, []byte(`{"lb_id": "1`), 0o600); err != nil {
			t.Fatal(err)
		}
		a, end = m.start()
		defer end()
		if _, err := a.LoadBalancer(lb1); err == nil {
			t.Error("a load balancer was made of half a record")
		}
		wantTargets(t, m, 0, 1, 2) // its packets go on
		if _, err := os.Stat(file + ".broken"); err != nil {
			t.Error(err)
		}
		put(t, a, vipPath, plug(stamp(2, 1, 1)))
		put(t, a, tablePath, register(stamp(2, 2, 1), table(2, 3, 1)))
		wantTargets(t, m, 0, 1, 2)
	})
}

func TestTombstonesOutliveTheAgentAndThenGo(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		serving(t, a, 1)
		must(t, a, "DELETE", vipPath+"?epoch=4&revision=1&serial=1", nil)
		end()
		a, end = m.start()
		if code, _ := call(t, a, "PUT", vipPath, plug(stamp(3, 1, 1)), nil); code != 409 {
			t.Errorf("a late plug after the restart is answered %d", code)
		}
		end()
		time.Sleep(25 * time.Hour)
		_, end = m.start()
		end()
		if left, err := os.ReadDir(filepath.Join(m.dir, "loadbalancers")); err != nil || len(left) > 0 {
			t.Errorf("after a day %v, %v", left, err)
		}
	})
}

func TestStateThatCannotBeWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, m *machine) {
		a, end := m.start()
		defer end()
		serving(t, a, 1)
		dir := filepath.Join(m.dir, "loadbalancers")
		if err := os.Rename(dir, dir+"-away"); err != nil {
			t.Fatal(err)
		}
		m.setDeaf(true, 0)
		passRounds(6)
		wantTargets(t, m, 3, 1, 2)
		if s := status(t, a); len(s.Swaps) != 0 {
			t.Errorf("told of a swap that is not on disk: %v", s.Swaps)
		}
		if err := os.Rename(dir+"-away", dir); err != nil {
			t.Fatal(err)
		}
		passRounds(2)
		if s := status(t, a); len(s.Swaps) != 1 {
			t.Errorf("swaps %v once the disk is back", s.Swaps)
		}
	})
}

func TestBootIDIsTheInstances(t *testing.T) {
	a, end := newMachine(t).start()
	defer end()
	b, endB := newMachine(t).start()
	defer endB()
	if x, y := a.Beat().BootID, b.Beat().BootID; x == y || x == "" {
		t.Errorf("two instances have boot ids %q and %q", x, y)
	}
}

// flooded is a wire on which there is always another frame that means nothing.
type flooded struct {
	asked chan struct{}
	ended chan struct{}
	once  sync.Once
}

func (f *flooded) Receive(buf []byte, _ time.Time) (int, error) {
	select {
	case <-f.ended:
		return 0, os.ErrClosed
	default:
		return len(buf), nil
	}
}

func (f *flooded) Send([]byte) error {
	select {
	case f.asked <- struct{}{}:
	default:
	}
	return nil
}

func (f *flooded) Close() error {
	f.once.Do(func() { close(f.ended) })
	return nil
}

func TestFloodDoesNotStopProbing(t *testing.T) {
	m := newMachine(t)
	wire := &flooded{asked: make(chan struct{}), ended: make(chan struct{})}
	a, err := agent.Open(agentconf.Config{Kind: "distributor", ID: "d1", Place: agentconf.Place{Dir: m.dir}}, agent.Parts{
		Ports: memoryPorts{m}, Dataplane: memoryDataplane{m}, Now: time.Now,
		OpenWire: func(distributor.PortConfig) (agent.Wire, error) { return wire, nil },
	}, slog.New(slog.DiscardHandler))
	check(t, err)
	defer a.Close()
	put(t, a, vipPath, plug(stamp(1, 1, 1)))
	put(t, a, tablePath, register(stamp(1, 1, 1), table(1, 3, 1)))
	for round := range 3 {
		select {
		case <-wire.asked:
		case <-time.After(10 * time.Second):
			t.Fatalf("no probe after %d", round)
		}
	}
}
