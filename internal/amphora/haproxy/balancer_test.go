package haproxy_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"colonnade/internal/amphora"
	"colonnade/internal/amphora/haproxy"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
)

func replaceOnce(t *testing.T, text, from, to string) string {
	t.Helper()
	if !strings.Contains(text, from) {
		t.Fatalf("%q is not in\n%s", from, text)
	}
	return strings.Replace(text, from, to, 1)
}

// eventually polls until ok or the deadline; there is no event to wait for in another process.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// world is a namespace with the VIP, members on its loopback, and an HAProxy.
type world struct {
	t     *testing.T
	ns    string
	place haproxy.Place
	b     *haproxy.Balancer
	ups   chan bool
}

func newWorld(t *testing.T, members int) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root")
	}
	raw := make([]byte, 4)
	_, _ = rand.Read(raw)
	name := "cnt-" + hex.EncodeToString(raw)
	if _, err := linuxnet.EnsureNamespace(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = linuxnet.DeleteNamespace(name) })
	w := &world{t: t, ns: linuxnet.Path(name), ups: make(chan bool, 100)}
	h, err := linuxnet.Open(w.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, a := range []string{"198.18.1.100/32", "198.18.2.1/24"} {
		if err := h.EnsureAddress("lo", netip.MustParsePrefix(a)); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n <= members; n++ {
		if n > 1 {
			if err := h.EnsureAddress("lo", netip.MustParsePrefix(fmt.Sprintf("198.18.2.%d/32", n))); err != nil {
				t.Fatal(err)
			}
		}
		ln, err := linuxnet.Listen(t.Context(), w.ns, "tcp", fmt.Sprintf("198.18.2.%d:8080", n))
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, n) })}
		go func() { _ = srv.Serve(ln) }()
		t.Cleanup(func() { _ = srv.Close() })
	}
	w.place = haproxy.Place{Dir: filepath.Join(t.TempDir(), strings.Repeat("long/", 20), "haproxy"), Namespace: w.ns}
	w.b = w.open()
	t.Cleanup(func() {
		w.b.Close()
		if p := w.pid(); p > 1 {
			_ = syscall.Kill(-p, syscall.SIGKILL)
		}
	})
	return w
}

func (w *world) open() *haproxy.Balancer {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	b, err := haproxy.Open(w.place, settings, log, func(up bool) { w.ups <- up })
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) pid() int {
	raw, _ := os.ReadFile(filepath.Join(w.place.Dir, "haproxy.pid"))
	var pid int
	_, _ = fmt.Sscanf(string(raw), `{"pid":%d`, &pid)
	return pid
}

// ready prepares nothing: the world has all addresses.
func ready() error { return nil }

func (w *world) apply(d amphora.Desired) {
	w.t.Helper()
	if err := w.b.Apply(w.t.Context(), d, ready); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	return linuxnet.DialContext(ctx, w.ns, "tcp", addr)
}

// get asks the VIP once, over a connection of its own.
func (w *world) get() (string, error) {
	client := http.Client{Transport: &http.Transport{DialContext: w.dial, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	res, err := client.Get("http://198.18.1.100/")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode != 200 {
		return "", fmt.Errorf("status %d", res.StatusCode)
	}
	return string(body), err
}

// seen asks often enough to meet every member of a round robin.
func (w *world) seen() map[string]int {
	w.t.Helper()
	seen := map[string]int{}
	for range 12 {
		who, err := w.get()
		if err != nil {
			w.t.Fatal(err)
		}
		seen[who]++
	}
	return seen
}

// load asks without pause until stop is called, which returns how many were answered and the failures.
func (w *world) load() (stop func() (int64, []error)) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var good atomic.Int64
	done := make(chan []error)
	go func() {
		var bad []error
		for ctx.Err() == nil {
			if _, err := w.get(); err != nil {
				bad = append(bad, err)
			} else {
				good.Add(1)
			}
		}
		done <- bad
	}()
	eventually(w.t, "first answers", func() bool { return good.Load() > 5 })
	return func() (int64, []error) {
		cancel()
		return good.Load(), <-done
	}
}

func (w *world) counts(starts, reloads int) {
	w.t.Helper()
	if s, r := w.b.Counts(); s != starts || r != reloads {
		w.t.Errorf("%d starts, %d reloads, want %d and %d", s, r, starts, reloads)
	}
}

func monitored() amphora.Desired {
	return edit(func(d *amphora.Desired) {
		d.Pools[0].Monitor = monitor(lb.MonitorHTTP)
		d.Pools[0].Monitor.Delay, d.Pools[0].Monitor.Timeout = 1, 1
	})
}

func TestMemberChangesNeedNoReload(t *testing.T) {
	for name, base := range map[string]amphora.Desired{
		"round robin": monitored(),
		"cookies": edit(func(d *amphora.Desired) {
			d.Pools[0].SessionPersistence = &lb.SessionPersistence{Type: lb.PersistHTTPCookie}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 4)
			w.apply(base)
			with := func(ms ...amphora.Member) amphora.Desired {
				d := base
				d.Pools = append([]amphora.Pool(nil), base.Pools...)
				d.Pools[0].Members = ms
				return d
			}
			off := member(1)
			off.Enabled = false
			heavy := member(3)
			heavy.Weight = 3
			moved := member(2)
			moved.Address = "198.18.2.4"
			for _, step := range []struct {
				what    string
				members []amphora.Member
				want    string
			}{
				{"added", []amphora.Member{member(1), member(2), member(3)}, "map[1:4 2:4 3:4]"},
				{"disabled", []amphora.Member{off, member(2), member(3)}, "map[2:6 3:6]"},
				{"weighted", []amphora.Member{off, member(2), heavy}, "map[2:3 3:9]"},
				{"moved", []amphora.Member{off, moved, heavy}, "map[3:9 4:3]"},
				{"enabled", []amphora.Member{member(1), moved, heavy}, ""},
				{"removed", []amphora.Member{member(1)}, "map[1:12]"},
			} {
				w.apply(with(step.members...))
				if got := fmt.Sprint(w.seen()); step.want != "" && got != step.want {
					t.Errorf("%s: answers by %s, want %s", step.what, got, step.want)
				}
			}
			if _, reloads := w.b.Counts(); reloads > 1 { // only removing one with pooled connections may need it
				t.Errorf("%d reloads", reloads)
			}
		})
	}
}

func TestReloadLosesNothing(t *testing.T) {
	w := newWorld(t, 2)
	d := monitored()
	w.apply(d)
	stop := w.load()
	for i := range 10 {
		next := monitored()
		next.Listeners[0].ConnectionLimit = 1000 + i
		w.apply(next)
	}
	good, bad := stop()
	t.Logf("E21 %d requests over 10 reloads", good)
	if len(bad) > 0 {
		t.Errorf("%d failed, first: %v", len(bad), bad[0])
	}
	w.counts(1, 10)
}

func TestStatesPassAReload(t *testing.T) {
	w := newWorld(t, 1) // member 2 does not exist
	d := monitored()
	d.Pools[0].Monitor.MaxRetriesDown = 1
	w.apply(d)
	states := func() string {
		o, err := w.b.Observe(t.Context())
		if err != nil {
			return err.Error()
		}
		return o.Members[memberID(1)] + " " + o.Members[memberID(2)]
	}
	eventually(t, "S32 member 2 DOWN", func() bool { return states() == "UP DOWN" })
	next := d
	next.Listeners = append([]amphora.Listener(nil), d.Listeners...)
	next.Listeners[0].ConnectionLimit = 77
	w.apply(next)
	if got := states(); got != "UP DOWN" {
		t.Errorf("after the reload %s", got)
	}
}

func TestKilledHAProxyIsRestarted(t *testing.T) {
	for _, victim := range []string{"master", "worker"} {
		t.Run(victim, func(t *testing.T) {
			w := newWorld(t, 2)
			w.apply(document())
			if up := <-w.ups; !up {
				t.Fatal("not up")
			}
			w.seen()
			before, err := w.b.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pid := w.pid()
			if victim == "worker" {
				raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := fmt.Sscan(string(raw), &pid); err != nil {
					t.Fatal(err)
				}
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if up := <-w.ups; up {
				t.Fatal("down was not told")
			}
			if up := <-w.ups; !up {
				t.Fatal("up was not told")
			}
			w.seen()
			after, err := w.b.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b, a := before.Listeners[0].TotalConnections, after.Listeners[0].TotalConnections
			if b != 12 || a != 24 {
				t.Errorf("connections counted %d before, %d after", b, a)
			}
			w.counts(2, 0)
		})
	}
}

func TestAdoption(t *testing.T) {
	w := newWorld(t, 2)
	w.apply(document())
	pid := w.pid()
	w.b.Close()
	w.b = w.open()
	adopted, err := w.b.Resume(t.Context(), document())
	if err != nil || !adopted || w.pid() != pid {
		t.Fatalf("adopted %v, %v; pid %d, was %d", adopted, err, w.pid(), pid)
	}
	w.counts(0, 0)

	t.Run("a change that was cut off is finished", func(t *testing.T) {
		w.b.Close()
		if err := os.WriteFile(filepath.Join(w.place.Dir, "halfway"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.b = w.open()
		if adopted, err := w.b.Resume(t.Context(), document()); err != nil || !adopted || w.pid() != pid {
			t.Fatalf("adopted %v, %v", adopted, err)
		}
		w.counts(0, 1)
		w.seen()
	})
	t.Run("an adopted one is watched", func(t *testing.T) {
		for len(w.ups) > 0 {
			<-w.ups
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if <-w.ups || !<-w.ups {
			t.Fatal("not told down and up")
		}
		w.seen()
	})
	t.Run("another process of that number is left alone", func(t *testing.T) {
		w.b.Close()
		pid := w.pid()
		if err := os.WriteFile(filepath.Join(w.place.Dir, "haproxy.pid"), []byte(fmt.Sprintf(`{"pid":%d,"start":1}`, os.Getpid())), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		w.b = w.open()
		if adopted, err := w.b.Resume(t.Context(), document()); err != nil || adopted {
			t.Fatalf("adopted %v, %v", adopted, err)
		}
		w.counts(1, 0)
	})
}

func TestRefusedDocumentLeavesTheOldOne(t *testing.T) {
	w := newWorld(t, 2)
	w.apply(document())
	bad := document()
	bad.Pools = append([]amphora.Pool(nil), bad.Pools...)
	bad.Pools[0].Algorithm = "FASTEST"
	var refused *amphora.RefusedError
	if err := w.b.Apply(t.Context(), bad, ready); !errors.As(err, &refused) || refused.Problems[0].ObjectID != poolA {
		t.Fatalf("got %v", err)
	}
	w.seen()
	w.counts(1, 0)
}

func TestIdleUntilThereIsAListener(t *testing.T) {
	w := newWorld(t, 2)
	none := edit(func(d *amphora.Desired) { d.Listeners = nil })
	w.apply(none)
	w.counts(0, 0)
	w.apply(document())
	w.seen()
	w.apply(none)
	eventually(t, "nobody listens", func() bool { _, err := w.get(); return errors.Is(err, syscall.ECONNREFUSED) })
	w.apply(document())
	w.seen()
	w.counts(2, 0)
}

func TestRenewClosesIdleConnections(t *testing.T) {
	w := newWorld(t, 1)
	w.apply(document())
	conn, err := w.dial(t.Context(), "tcp", "198.18.1.100:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err := w.b.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("S36 the idle connection: %v, want an orderly end", err)
	}
	w.seen()
}

// cgroup2 is where the unified hierarchy is mounted.
func cgroup2(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		if before, after, _ := strings.Cut(line, " - "); strings.HasPrefix(after, "cgroup2 ") {
			return strings.Fields(before)[4]
		}
	}
	t.Skip("no cgroup v2 is mounted here")
	return ""
}

func TestBornInTheInstancesCgroup(t *testing.T) {
	w := newWorld(t, 1)
	group := filepath.Join(cgroup2(t), filepath.Base(w.ns))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eventually(t, "cgroup removed", func() bool { return os.Remove(group) == nil }) })
	t.Cleanup(func() { _ = os.WriteFile(filepath.Join(group, "cgroup.kill"), []byte("1"), 0o600) })
	w.b.Close()
	w.place.Cgroup = group
	w.b = w.open()
	t.Cleanup(w.b.Close)
	w.apply(document())
	raw, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(string(raw))); n != 2 {
		t.Errorf("%d processes in the cgroup, want master and worker", n)
	}
}

func TestAChangeThatBrokeOffIsMadeSure(t *testing.T) {
	w := newWorld(t, 2)
	w.apply(document())
	next := document()
	next.Listeners[0].ConnectionLimit = 7
	ctx, cancel := context.WithCancel(t.Context())
	// The sender goes away between the check and the reload.
	err := w.b.Apply(ctx, next, func() error { cancel(); return nil })
	if err == nil {
		t.Fatal("a cancelled change succeeded")
	}
	w.apply(document())
	if _, reloads := w.b.Counts(); reloads == 0 {
		t.Error("the former document was taken to run, unseen")
	}
	w.seen()
}

func TestMemberChangesLoseNothing(t *testing.T) {
	w := newWorld(t, 2)
	w.apply(monitored())
	stop := w.load()
	for i := range 20 {
		next := monitored()
		if i%2 == 0 {
			next.Pools[0].Members = next.Pools[0].Members[:1]
		}
		w.apply(next)
	}
	good, bad := stop()
	_, reloads := w.b.Counts()
	t.Logf("%d requests over 20 changes of members, %d of them reloads", good, reloads)
	if len(bad) > 0 {
		t.Errorf("E21 %d failed, first: %v", len(bad), bad[0])
	}
}

func TestConnectionsOutliveReloads(t *testing.T) {
	w := newWorld(t, 2)
	tcp := func(limit int) amphora.Desired {
		return edit(func(d *amphora.Desired) {
			d.Listeners[0].Protocol, d.Listeners[0].ConnectionLimit = lb.ProtocolTCP, limit
			d.Pools[0].Protocol, d.Pools[0].Algorithm = lb.ProtocolTCP, lb.SourceIP
		})
	}
	w.apply(tcp(100))
	conn, err := w.dial(t.Context(), "tcp", "198.18.1.100:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for i := range 4 {
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("E21 after %d reloads: %v", i, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		w.apply(tcp(101 + i))
	}
	o, err := w.b.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l := o.Listeners[0]; l.ActiveConnections != 1 || o.Newest != 0 {
		t.Errorf("S40 a former worker's connection is not counted: %+v, newest %d", l, o.Newest)
	}
}
