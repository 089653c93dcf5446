package netns_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"colonnade/internal/agentconf"
	"colonnade/internal/bpf"
	"colonnade/internal/compute"
	"colonnade/internal/compute/computetest"
	"colonnade/internal/compute/netns"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
	"colonnade/internal/store/storetest"
	"colonnade/internal/testenv"
	"colonnade/internal/testenv/snapshot"
)

func TestMain(m *testing.M) {
	os.Exit(testenv.RunInLab(func() int { return snapshot.RunAlone(m) }))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ctxFor(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// agent stands for colonnade-agent: it says that it started and leaves a detached process behind, as a real one does
// with HAProxy.
const agent = `#!/bin/sh
echo "agent started: $*"
setsid sleep 9001 &
exec sleep 9002
`

type lab struct {
	*netns.Driver
	cfg     netns.Config
	bridge  *bridge.Driver
	network network.Network
	dir     string
	cgroup  string
}

func newLab(t testing.TB) lab {
	t.Helper()
	// A path as awkward as it may be: with a blank and a symbolic link.
	real := filepath.Join(t.TempDir(), "state directory")
	must(t, os.Mkdir(real, 0o700))
	dir := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(real, dir))
	prefix := bridge.PrefixFor(dir)
	b, err := bridge.New(bridge.Config{Prefix: prefix, StateDir: dir, Store: storetest.Open(t, storetest.File(t))})
	must(t, err)
	must(t, b.Ensure(ctxFor(t)))
	n, err := b.CreateNetwork(ctxFor(t), network.Network{Subnets: []network.Subnet{{CIDR: "198.18.1.0/24"}}})
	must(t, err)
	binary := filepath.Join(dir, "agent")
	must(t, os.WriteFile(binary, []byte(agent), 0o755))
	cfg := netns.Config{Prefix: prefix, StateDir: dir, AgentBinary: binary, Network: b}
	d, err := netns.New(cfg)
	must(t, err)
	t.Cleanup(func() {
		d.SetStep(func(string) error { return nil })
		if err := errors.Join(d.RemoveAll(context.Background()), b.Remove(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return lab{d, cfg, b, n, dir, netns.CgroupOf(d)}
}

func (l lab) spec(t testing.TB, kind compute.Kind) compute.Spec {
	t.Helper()
	id := uuid.NewString()
	p, err := l.bridge.EnsurePort(ctxFor(t), network.PortSpec{ID: "mgmt-" + id, Purpose: network.PurposeManagement, OwnerID: id})
	must(t, err)
	return compute.Spec{
		ID: id, Kind: kind, ManagementPortID: p.ID,
		Agent: agentconf.Config{Kind: string(kind), ID: id, ManagementIP: p.Address},
		Files: map[string][]byte{agentconf.CAFile: []byte("ca"), agentconf.KeyFile: []byte("key")},
	}
}

func (l lab) port(t testing.TB) string {
	t.Helper()
	p, err := l.bridge.EnsurePort(ctxFor(t), network.PortSpec{ID: uuid.NewString(), NetworkID: l.network.ID, Purpose: network.PurposeFrontEnd})
	must(t, err)
	return p.ID
}

func (l lab) plugged(t *testing.T, portID string) bool {
	t.Helper()
	on, err := l.bridge.Plugged(portID)
	must(t, err)
	return on
}

// kill ends all processes of an instance and waits until they are gone.
func (l lab) kill(t *testing.T, id string) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(l.cgroup, "*-"+id[:8]))
	must(t, err)
	if len(dirs) != 1 {
		t.Fatalf("cgroups of %s: %v", id, dirs)
	}
	must(t, os.WriteFile(filepath.Join(dirs[0], "cgroup.kill"), []byte("1"), 0))
	eventually(t, "the cgroup is empty", func() bool {
		b, err := os.ReadFile(filepath.Join(dirs[0], "cgroup.events"))
		must(t, err)
		return strings.Contains(string(b), "populated 0")
	})
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestConformance(t *testing.T) {
	computetest.Run(t, func(t *testing.T) computetest.Env {
		l := newLab(t)
		return computetest.Env{
			Driver: l.Driver,
			Spec:   func(t *testing.T, kind compute.Kind) compute.Spec { return l.spec(t, kind) },
			Port:   func(t *testing.T) string { return l.port(t) }, Plugged: l.plugged, Kill: l.kill,
		}
	})
}

func TestInstance(t *testing.T) {
	l := newLab(t)
	ctx := ctxFor(t)
	spec := l.spec(t, compute.KindAmphora)
	i, err := l.Ensure(ctx, spec)
	must(t, err)
	prefix, short, dir := l.cfg.Prefix, spec.ID[:8], filepath.Join(l.dir, "instances", spec.ID)

	t.Run("its configuration says where it lives", func(t *testing.T) {
		got, err := agentconf.Load(filepath.Join(dir, agentconf.FileName))
		must(t, err)
		want := spec.Agent
		want.Place = agentconf.Place{
			Dir: dir, BPFDir: filepath.Join(l.dir, "bpf", "amphora-"+short),
			TenantNamespace: linuxnet.Path(prefix + "-a-" + short + "-t"), Cgroup: filepath.Join(l.cgroup, "amphora-"+short),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if i.ComputeID != prefix+"-a-"+short {
			t.Errorf("compute id %s", i.ComputeID)
		}
		var st unix.Statfs_t
		if err := unix.Statfs(want.Place.BPFDir, &st); err != nil || st.Type != unix.BPF_FS_MAGIC {
			t.Errorf("pins have no bpf file system: %v", err)
		}
	})
	t.Run("what is secret is root's alone", func(t *testing.T) {
		must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		}))
	})
	t.Run("its process runs in namespace and cgroup, in a session of its own", func(t *testing.T) {
		pid := l.pid(t, spec.ID)
		if same, err := linuxnet.SameNamespace(fmt.Sprintf("/proc/%d/ns/net", pid), linuxnet.Path(prefix+"-a-"+short)); !same || err != nil {
			t.Errorf("namespace: %v, %v", same, err)
		}
		cg, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		must(t, err)
		if want := "0::/" + filepath.Base(l.cgroup) + "/amphora-" + short + "\n"; !strings.HasSuffix(string(cg), want) {
			t.Errorf("cgroup %s, want %s", cg, want)
		}
		if sid, err := unix.Getsid(pid); err != nil || sid != pid {
			t.Errorf("session %d of process %d, %v", sid, pid, err)
		}
		eventually(t, "the log says that it started", func() bool {
			b, _ := os.ReadFile(filepath.Join(dir, "agent.log"))
			return string(b) == "agent started: run --config "+dir+"/agent.json\n"
		})
	})
	t.Run("its management port carries frames", func(t *testing.T) {
		ln, err := linuxnet.Listen(ctx, linuxnet.Path(i.ComputeID), "tcp4", spec.Agent.ManagementIP+":9443")
		must(t, err)
		defer ln.Close()
		c, err := l.bridge.DialContext(ctx, "tcp4", spec.Agent.ManagementIP+":9443")
		must(t, err)
		c.Close()
	})
	t.Run("another process of ours adopts it", func(t *testing.T) {
		pid := l.pid(t, spec.ID)
		d, err := netns.New(l.cfg)
		must(t, err)
		again, err := d.Ensure(ctx, spec)
		must(t, err)
		if diff := cmp.Diff(i, again); diff != "" {
			t.Error(diff)
		}
		if now := l.pid(t, spec.ID); now != pid {
			t.Errorf("process %d became %d", pid, now)
		}
	})
	t.Run("a pid that is another's now is not it", func(t *testing.T) {
		file := filepath.Join(dir, "process.json")
		b, err := os.ReadFile(file)
		must(t, err)
		defer os.WriteFile(file, b, 0o600)
		must(t, os.WriteFile(file, []byte(strings.Replace(string(b), `"start_time": `, `"start_time": 9`, 1)), 0o600))
		got, err := l.Ensure(ctx, spec)
		must(t, err)
		if got.State != compute.StateGone {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a port that the agent moved on is left there", func(t *testing.T) {
		port := l.port(t)
		must(t, l.Plug(ctx, spec.ID, port))
		p, err := l.bridge.Port(ctx, port)
		must(t, err)
		mac, _ := net.ParseMAC(p.MAC)
		tenant := i.ComputeID + "-t"
		_, err = linuxnet.EnsureNamespace(tenant)
		must(t, err)
		h, err := linuxnet.Open(linuxnet.Path(i.ComputeID))
		must(t, err)
		defer h.Close()
		dev, err := h.LinkByMAC(mac)
		must(t, err)
		if dev.Up {
			t.Error("a tenant port is up in the management namespace")
		}
		must(t, h.MoveTo(dev.Name, linuxnet.Path(tenant)))
		must(t, l.Plug(ctx, spec.ID, port))
		ht, err := linuxnet.Open(linuxnet.Path(tenant))
		must(t, err)
		defer ht.Close()
		if _, err := ht.LinkByMAC(mac); err != nil {
			t.Error(err)
		}
	})
	t.Run("a log that grew too long is cut to its newer half", func(t *testing.T) {
		log := filepath.Join(dir, "agent.log")
		f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		defer f.Close()
		_, err = f.Write([]byte(strings.Repeat("0123456789abcde\n", 5<<16)))
		must(t, err)
		_, err = l.List(ctx)
		must(t, err)
		_, err = f.Write([]byte("newest\n"))
		must(t, err)
		b, err := os.ReadFile(log)
		must(t, err)
		if len(b) != 2<<20+7 || !strings.HasSuffix(string(b), "abcde\nnewest\n") {
			t.Errorf("%d bytes, ending %q", len(b), b[max(0, len(b)-20):])
		}
	})
	t.Run("deletion ends every process, those that detached themselves too", func(t *testing.T) {
		pids := l.pids(t, spec.ID)
		if len(pids) != 2 {
			t.Errorf("processes %v, want the agent and what it left", pids)
		}
		pins := filepath.Join(l.dir, "bpf", "amphora-"+short)
		must(t, os.MkdirAll(filepath.Join(pins, "deep"), 0o700))
		must(t, os.MkdirAll(filepath.Join(dir, "keys"), 0o700))
		must(t, unix.Mount("tmpfs", filepath.Join(dir, "keys"), "tmpfs", 0, ""))
		must(t, l.Delete(ctx, spec.ID))
		for _, pid := range pids {
			if state := stateOf(pid); state != "" && state != "Z" {
				t.Errorf("process %d is in state %s", pid, state)
			}
		}
		for _, path := range []string{dir, pins, filepath.Join(l.cgroup, "amphora-"+short), linuxnet.Path(i.ComputeID), linuxnet.Path(i.ComputeID + "-t")} {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s stays: %v", path, err)
			}
		}
	})
}

func (l lab) pids(t *testing.T, id string) (pids []int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(l.cgroup, "amphora-"+id[:8], "cgroup.procs"))
	must(t, err)
	for _, f := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(f)
		must(t, err)
		pids = append(pids, pid)
	}
	return pids
}

// pid is the agent's: the leader of its own session that does not belong to the detached one.
func (l lab) pid(t *testing.T, id string) int {
	t.Helper()
	var agent int
	eventually(t, "the agent runs its last command", func() bool {
		for _, pid := range l.pids(t, id) {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if string(b) == "sleep\x009002\x00" {
				agent = pid
			}
		}
		return agent != 0
	})
	return agent
}

func stateOf(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))[0]
}

func TestRefused(t *testing.T) {
	l := newLab(t)
	ctx := ctxFor(t)
	good := l.spec(t, compute.KindAmphora)
	for _, c := range []struct {
		name   string
		change func(*compute.Spec)
	}{
		{"an id that leaves the directory", func(s *compute.Spec) { s.ID = "../../etc" }},
		{"an id without a short name", func(s *compute.Spec) { s.ID = "amphora-1" }},
		{"an unknown kind", func(s *compute.Spec) { s.Kind = "router" }},
		{"no management port", func(s *compute.Spec) { s.ManagementPortID = "" }},
		{"a file name with a directory", func(s *compute.Spec) { s.Files = map[string][]byte{"../x": nil} }},
		{"a file name of ours", func(s *compute.Spec) { s.Files = map[string][]byte{"process.json": nil} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := good
			c.change(&spec)
			if i, err := l.Ensure(ctx, spec); err == nil {
				t.Errorf("built %+v", i)
			}
			if _, err := os.Stat(filepath.Join(l.dir, "x")); err == nil {
				t.Error("a file was written outside")
			}
		})
	}
	t.Run("two instances of one short name", func(t *testing.T) {
		_, err := l.Ensure(ctx, good)
		must(t, err)
		twin := good
		twin.ID = good.ID[:8] + "-twin"
		if _, err := l.Ensure(ctx, twin); lb.KindOf(err) != lb.KindConflict {
			t.Errorf("got %v", err)
		}
		must(t, l.Delete(ctx, twin.ID))
		if i, err := l.Ensure(ctx, good); err != nil || i.State != compute.StateRunning {
			t.Errorf("deleting the twin hurt the first: %+v, %v", i, err)
		}
	})
}

var errCrash = errors.New("crash")

// crashAt makes the next call end before the step.
func (l lab) crashAt(step string) {
	l.SetStep(func(name string) error {
		if name == step {
			return errCrash
		}
		return nil
	})
}

func (l lab) picture(t *testing.T) snapshot.World {
	t.Helper()
	real, err := filepath.EvalSymlinks(l.dir) // files are not looked for through links
	must(t, err)
	w, err := snapshot.Take(ctxFor(t), snapshot.Options{
		Inside: []string{l.cfg.Prefix}, Files: []string{real, "/run"},
		Exclude: []string{filepath.Join(real, "bpf")},
	})
	must(t, err)
	return w
}

// wantPicture waits until what the kernel does by itself after a change is over, that is, until the picture is the wanted one.
func (l lab) wantPicture(t *testing.T, what string, want snapshot.World) {
	t.Helper()
	var diff []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if diff = snapshot.Diff(want, l.picture(t)); diff == nil {
			return
		}
	}
	t.Errorf("%s differs from an undisturbed run:\n%s", what, strings.Join(diff, "\n"))
}

// TestCrash stops building and deleting before each step, and at the marker after the process was started, and compares
// the world after a retry with that of a run without crash.
func TestCrash(t *testing.T) {
	l := newLab(t)
	ctx := ctxFor(t)
	spec := l.spec(t, compute.KindAmphora)
	port := l.port(t)
	tenant := l.cfg.Prefix + "-a-" + spec.ID[:8] + "-t"
	// build is the whole life up to service; the agent's part is the tenant namespace.
	build := func() error {
		i, err := l.Ensure(ctx, spec)
		if err != nil {
			return err
		}
		if i.State != compute.StateRunning {
			return fmt.Errorf("built %+v", i)
		}
		if _, err := linuxnet.EnsureNamespace(tenant); err != nil {
			return err
		}
		l.pid(t, spec.ID) // both processes of the agent are there
		eventually(t, "both processes run", func() bool { return len(l.pids(t, spec.ID)) == 2 })
		return l.Plug(ctx, spec.ID, port)
	}
	must(t, build())
	must(t, l.Delete(ctx, spec.ID))
	empty := l.picture(t)
	must(t, build())
	full := l.picture(t)
	must(t, l.Delete(ctx, spec.ID))
	l.wantPicture(t, "an empty world", empty)

	for _, step := range []string{"directory", "files", "cgroup", "namespace", "port", "bpf", "configuration", "start", "marker", "plug"} {
		t.Run("build stopped before "+step+" is completed", func(t *testing.T) {
			l.crashAt(step)
			if err := build(); !errors.Is(err, errCrash) {
				t.Fatalf("got %v", err)
			}
			l.SetStep(func(string) error { return nil })
			must(t, build())
			l.wantPicture(t, "the world", full)
			must(t, l.Delete(ctx, spec.ID))
			l.wantPicture(t, "the world after deletion", empty)
		})
		t.Run("build stopped before "+step+" is listed and deleted", func(t *testing.T) {
			l.crashAt(step)
			if err := build(); !errors.Is(err, errCrash) {
				t.Fatalf("got %v", err)
			}
			l.SetStep(func(string) error { return nil })
			l.deleteListed(t, step != "directory")
			l.wantPicture(t, "the world after deletion", empty)
		})
	}
	for _, step := range []string{"fence", "ports", "namespaces", "pins", "forget"} {
		t.Run("deletion stopped before "+step+" is completed", func(t *testing.T) {
			must(t, build())
			l.crashAt(step)
			if err := l.Delete(ctx, spec.ID); !errors.Is(err, errCrash) {
				t.Fatalf("got %v", err)
			}
			l.SetStep(func(string) error { return nil })
			l.deleteListed(t, true)
			l.wantPicture(t, "the world after deletion", empty)
			must(t, build())
			l.wantPicture(t, "the world rebuilt", full)
			must(t, l.Delete(ctx, spec.ID))
		})
	}
	t.Run("what lost its directory is listed by its short name and deleted", func(t *testing.T) {
		must(t, build())
		must(t, l.bridge.Unplug(ctx, port)) // nothing tells of ports any more; their devices go with the namespaces
		must(t, os.RemoveAll(filepath.Join(l.dir, "instances", spec.ID)))
		list := l.deleteListed(t, true)
		if len(list) != 1 || list[0].ID != spec.ID[:8] || list[0].State != compute.StateGone {
			t.Errorf("listed %+v", list)
		}
		l.wantPicture(t, "the world after deletion", empty)
	})
	t.Run("a killed process of ours leaves instances that the next one removes, without the rows", func(t *testing.T) {
		must(t, build())
		rowless, err := bridge.New(bridge.Config{Prefix: l.cfg.Prefix, StateDir: l.dir})
		must(t, err)
		cfg := l.cfg
		cfg.Network = rowless
		d, err := netns.New(cfg)
		must(t, err)
		must(t, d.RemoveAll(ctx))
		if list, err := d.List(ctx); err != nil || len(list) != 0 {
			t.Errorf("left: %+v, %v", list, err)
		}
		for _, path := range []string{l.cgroup, filepath.Join(l.dir, "instances"), filepath.Join(l.dir, "bpf")} {
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s stays: %v", path, err)
			}
		}
	})
}

// deleteListed deletes what List finds, as housekeeping does.
func (l lab) deleteListed(t *testing.T, any bool) []compute.Instance {
	t.Helper()
	list, err := l.List(ctxFor(t))
	must(t, err)
	if (len(list) > 0) != any {
		t.Errorf("listed %+v, want any: %v", list, any)
	}
	for _, i := range list {
		must(t, l.Delete(ctxFor(t), i.ID))
	}
	return list
}

func TestEverythingGoes(t *testing.T) {
	options := snapshot.Options{Files: []string{"/run", "/etc"}}
	before, err := snapshot.Take(ctxFor(t), options)
	must(t, err)
	t.Run("lab", func(t *testing.T) {
		l := newLab(t)
		spec := l.spec(t, compute.KindDistributor)
		_, err := l.Ensure(ctxFor(t), spec)
		must(t, err)
		must(t, l.Plug(ctxFor(t), spec.ID, l.port(t)))
		during, err := snapshot.Take(ctxFor(t), options)
		must(t, err)
		if len(snapshot.Diff(before, during)) < 10 {
			t.Errorf("the picture does not see the lab: %v", snapshot.Diff(before, during))
		}
	})
	after, err := snapshot.Take(ctxFor(t), options)
	must(t, err)
	if diff := snapshot.Diff(before, after); diff != nil {
		t.Errorf("left behind:\n%s", strings.Join(diff, "\n"))
	}
}

// BenchmarkInstance is the driver's part of building, plugging and deleting an amphora (T8).
func BenchmarkInstance(b *testing.B) {
	l := newLab(b)
	var build, plug, remove time.Duration
	for range b.N {
		spec, port := l.spec(b, compute.KindAmphora), l.port(b)
		t0 := time.Now()
		_, err := l.Ensure(b.Context(), spec)
		must(b, err)
		t1 := time.Now()
		must(b, l.Plug(b.Context(), spec.ID, port))
		t2 := time.Now()
		must(b, l.Delete(b.Context(), spec.ID))
		build, plug, remove = build+t1.Sub(t0), plug+t2.Sub(t1), remove+time.Since(t2)
	}
	for what, d := range map[string]time.Duration{"build": build, "plug": plug, "delete": remove} {
		b.ReportMetric(float64(d.Microseconds())/1000/float64(b.N), what+"-ms")
	}
}

func TestProbeNamesWhatTheKernelLacks(t *testing.T) {
	l := newLab(t)
	must(t, l.Probe(ctxFor(t)))
	l.SetAttachable(func() error {
		return &bpf.UnsupportedError{Needs: "a kernel with TCX (6.6 or later)", Err: errors.New("operation not supported")}
	})
	var unsupported *compute.UnsupportedError
	err := l.Probe(ctxFor(t))
	if !errors.As(err, &unsupported) || unsupported.Needs != "a kernel with TCX (6.6 or later) (operation not supported)" {
		t.Errorf("got %v", err)
	}
}
