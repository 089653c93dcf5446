package agent_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"colonnade/internal/amphora"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/probe"
	"colonnade/internal/lb"
	"colonnade/internal/linuxnet"
)

func TestServing(t *testing.T) {
	w := newWorld(t)
	if s := w.a.Status(); s.HAProxy != "idle" || s.BootID == "" {
		t.Errorf("before the first document %+v", s)
	}
	w.put(document(1))
	_, err := w.a.PutTable(t.Context(), table(1, false))
	must(t, err)

	t.Run("S17 members answer through the VIP", func(t *testing.T) {
		seen := map[string]bool{}
		for range 4 {
			body, err := w.get()
			must(t, err)
			seen[body] = true
		}
		if !seen["1 198.18.1.50"] || !seen["2 198.18.1.50"] || len(seen) != 2 {
			t.Errorf("answers %v", seen)
		}
	})
	t.Run("S16 nobody answers ARP for the VIP", func(t *testing.T) {
		h, err := linuxnet.Open(w.client)
		must(t, err)
		defer h.Close()
		ask := func(addr string) bool {
			a := netip.MustParseAddr(addr)
			must(t, h.DeleteNeighbour("c0", a))
			conn, err := linuxnet.DialContext(t.Context(), w.client, "udp", addr+":9")
			must(t, err)
			_, _ = conn.Write([]byte("x"))
			_ = conn.Close()
			for range 20 {
				known, err := h.Neighbours("c0")
				must(t, err)
				if known[a] != nil {
					return true
				}
				time.Sleep(10 * time.Millisecond)
			}
			return false
		}
		if ask(vip) {
			t.Error("the amphora answered for the VIP")
		}
		if !ask("198.18.1.10") {
			t.Error("the amphora does not answer for its own address")
		}
		front, _ := net.ParseMAC(frontMAC)
		must(t, h.SetNeighbour("c0", netip.MustParseAddr(vip), front))
	})
	t.Run("only listener ports are open", func(t *testing.T) {
		for _, addr := range []string{vip + ":81", "198.18.1.10:80"} {
			d := net.Dialer{Timeout: 300 * time.Millisecond}
			err := linuxnet.In(w.client, func() error {
				conn, err := d.Dial("tcp", addr)
				if err == nil {
					_ = conn.Close()
				}
				return err
			})
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%s: %v, want silence", addr, err)
			}
		}
	})
	t.Run("S32 member states", func(t *testing.T) {
		down := document(2)
		down.Pools[0].Members[1].Port = 8081 // nobody listens
		w.put(down)
		eventually(t, "UP and DOWN", func() bool {
			m := w.a.Status().Members
			return m[memberID(1)] == "UP" && m[memberID(2)] == "DOWN"
		})
		if n := w.a.Status().Reloads; n != 0 {
			t.Errorf("%d reloads for an address", n)
		}
	})
	t.Run("allowed_cidrs", func(t *testing.T) {
		d := document(3)
		d.Listeners[0].AllowedCIDRs = []string{"198.18.77.0/24", "198.18.77.0/25", "2001:db8::/32"}
		w.put(d)
		if body, err := w.get(); err == nil {
			t.Errorf("a stranger got %q", body)
		}
		d = document(4)
		d.Listeners[0].AllowedCIDRs = []string{"198.18.1.0/24"}
		w.put(d)
		_, err := w.get()
		must(t, err)
	})
	t.Run("S60 statistics", func(t *testing.T) {
		eventually(t, "requests counted", func() bool {
			s := w.a.Status()
			return len(s.Listeners) == 1 && s.Listeners[0].TotalConnections >= 5 && s.SecondChance["taken"] > 0
		})
	})
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	first := document(5)
	w.put(first)

	t.Run("lower stamp", func(t *testing.T) {
		_, err := w.a.PutDocument(t.Context(), document(4))
		var stale *distributor.StaleError
		if !errors.As(err, &stale) || stale.Applied != first.Stamp {
			t.Errorf("got %v", err)
		}
	})
	t.Run("equal stamp", func(t *testing.T) {
		s, err := w.a.PutDocument(t.Context(), document(5))
		if err != nil || s.DocumentApplied != first.Stamp {
			t.Errorf("got %+v, %v", s, err)
		}
	})
	t.Run("another load balancer's", func(t *testing.T) {
		d := document(6)
		d.LoadBalancerID = "55555555-0000-4000-8000-000000000009"
		if _, err := w.a.PutDocument(t.Context(), d); lb.KindOf(err) != lb.KindInvalid {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a port that is not plugged", func(t *testing.T) {
		d := document(6)
		d.BackEnds = append(d.BackEnds, amphora.Port{MAC: "02:c0:00:00:00:77", Address: "198.18.3.10", SubnetCIDR: "198.18.3.0/24"})
		if _, err := w.a.PutDocument(t.Context(), d); lb.KindOf(err) != lb.KindUnavailable {
			t.Errorf("got %v", err)
		}
	})
	t.Run("hostile string", func(t *testing.T) {
		d := document(6)
		d.Pools[0].Monitor.URLPath = "/\n    server evil 198.18.9.9:1"
		_, err := w.a.PutDocument(t.Context(), d)
		var refused *amphora.RefusedError
		if !errors.As(err, &refused) || refused.Problems[0].ObjectType != "healthmonitor" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the old document still runs", func(t *testing.T) {
		_, err := w.get()
		must(t, err)
		if s := w.a.Status(); s.DocumentApplied != first.Stamp || s.HAProxy != "up" || s.HAProxyStarts != 1 || s.Reloads != 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("tables have a stamp of their own", func(t *testing.T) {
		_, err := w.a.PutTable(t.Context(), table(3, false))
		must(t, err)
		var stale *distributor.StaleError
		if _, err := w.a.PutTable(t.Context(), table(2, false)); !errors.As(err, &stale) || stale.Applied.Revision != 3 {
			t.Errorf("got %v", err)
		}
	})
}

// TestMembersReplaced has members come back behind another MAC that nobody announces.
func TestMembersReplaced(t *testing.T) {
	w := newWorld(t)
	w.put(document(1))
	_, err := w.a.PutTable(t.Context(), table(1, false))
	must(t, err)
	_, err = w.get()
	must(t, err)
	sw, err := linuxnet.Open(w.sw)
	must(t, err)
	defer sw.Close()
	members, err := linuxnet.Open(w.members)
	must(t, err)
	defer members.Close()
	must(t, sw.DeleteLink("members"))
	must(t, sw.AddVeth(linuxnet.VethEnd{Name: "members"}, linuxnet.VethEnd{Name: "m0", MAC: net.HardwareAddr{2, 0xc0, 0, 0, 0, 0x61}}, w.members))
	must(t, sw.AttachToBridge("members", "br-be", linuxnet.BridgePort{Learning: true, Flood: true}))
	must(t, sw.SetUp("members"))
	for _, a := range []string{"198.18.2.1/24", "198.18.2.2/24"} {
		must(t, members.EnsureAddress("m0", netip.MustParsePrefix(a)))
	}
	must(t, members.SetUp("m0"))
	// By the kernel's defaults it is 20 s and more.
	eventually(t, "members answer at their new MAC", func() bool {
		seen := map[string]bool{}
		for range 4 {
			body, err := w.get()
			seen[body] = err == nil
		}
		return seen["1 198.18.1.50"] && seen["2 198.18.1.50"]
	})
}

func TestPortsComeAndGo(t *testing.T) {
	w := newWorld(t)
	alone := document(1)
	alone.BackEnds = nil
	w.put(alone)
	devices := func(ns string) string {
		h, err := linuxnet.Open(ns)
		must(t, err)
		defer h.Close()
		links, err := h.Links()
		must(t, err)
		var out []string
		for _, l := range links {
			if l.MAC.String() == frontMAC || l.MAC.String() == backMAC {
				out = append(out, l.Name)
			}
		}
		return strings.Join(out, " ")
	}
	if got := devices(w.ten); got != "fe02c00000000a" {
		t.Errorf("ports %q", got)
	}
	t.Run("S25 plugged while running", func(t *testing.T) {
		d := document(2)
		d.BackEnds[0].HostRoutes = []distributor.HostRoute{{Destination: "198.18.9.0/24", NextHop: "198.18.2.1"}}
		w.put(d)
		_, err := w.get()
		must(t, err)
		h, err := linuxnet.Open(w.ten)
		must(t, err)
		defer h.Close()
		routes, err := h.Routes(0)
		must(t, err)
		if !strings.Contains(fmt.Sprint(routes), "198.18.9.0/24 198.18.2.1 be02c00000000b") {
			t.Errorf("D12 no host route in %v", routes)
		}
	})
	t.Run("given back", func(t *testing.T) {
		d := document(3)
		d.BackEnds = nil
		w.put(d)
		if in, out := devices(w.ten), devices(w.home); in != "fe02c00000000a" || out != "be02c00000000b" {
			t.Errorf("inside %q, outside %q", in, out)
		}
		w.put(document(4))
		_, err := w.get()
		must(t, err)
	})
}

func TestAgentRestartDisturbsNothing(t *testing.T) {
	w := newWorld(t)
	w.put(document(1))
	_, err := w.a.PutTable(t.Context(), table(1, false))
	must(t, err)
	boot, pid := w.a.Status().BootID, w.pid()

	var good, bad atomic.Int64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := w.get(); err != nil {
				bad.Add(1)
				t.Log(err)
			} else {
				good.Add(1)
			}
		}
	}()
	eventually(t, "answers", func() bool { return good.Load() > 5 })
	for range 3 {
		w.stop()
		at := good.Load()
		eventually(t, "answers without an agent", func() bool { return good.Load() > at+3 })
		w.start()
	}
	close(done)
	<-ended
	s := w.a.Status()
	if bad.Load() > 0 || w.pid() != pid || s.HAProxyStarts != 0 || s.Reloads != 0 {
		t.Errorf("%d failed, pid %d was %d, %+v", bad.Load(), w.pid(), pid, s)
	}
	if s.BootID != boot || s.DocumentApplied.Revision != 1 || s.TableApplied.Revision != 1 || s.HAProxy != "up" {
		t.Errorf("not as before: %+v", s)
	}
	eventually(t, "statistics go on", func() bool {
		l := w.a.Status().Listeners
		return len(l) == 1 && l[0].TotalConnections >= uint64(good.Load())
	})
}

// distributorEnd plays the distributor on the client's port.
type distributorEnd struct {
	t   *testing.T
	w   *world
	key probe.Key
	in  net.PacketConn
	seq uint64
}

func (d *distributorEnd) ask() {
	d.seq++
	front, _ := net.ParseMAC(frontMAC)
	own, _ := net.ParseMAC(clientMAC)
	f := probe.Frame{Source: [6]byte(own), Destination: [6]byte(front), Type: probe.Ask, Tag: d.key.Tag(lbID), Sequence: d.seq}
	must(d.t, linuxnet.SendFrame(d.w.client, "c0", f.Marshal(d.key)))
}

// hear returns the next frame within 50 ms.
func (d *distributorEnd) hear() (probe.Frame, bool) {
	must(d.t, d.in.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	buf := make([]byte, 128)
	n, _, err := d.in.ReadFrom(buf)
	if err != nil {
		return probe.Frame{}, false
	}
	f, err := probe.Unmarshal(buf[:n], d.key, d.key.Tag(lbID))
	must(d.t, err)
	return f, true
}

func TestProbesFollowHAProxy(t *testing.T) {
	w := newWorld(t)
	w.put(document(1))
	key, err := probe.ParseKey(probeKey)
	must(t, err)
	in, err := linuxnet.OpenPacket(w.client, "c0", probe.EtherType)
	must(t, err)
	defer in.Close()
	d := &distributorEnd{t: t, w: w, key: key, in: in}
	answered := func() bool { d.ask(); f, ok := d.hear(); return ok && f.Type == probe.Answer }
	eventually(t, "S54 a probe is answered", answered)

	t.Run("killed HAProxy says so", func(t *testing.T) {
		// The agent learns who asks from the asks, within its looks around.
		eventually(t, "down is said", func() bool {
			for range 20 {
				d.ask()
				d.hear()
			}
			pid := w.pid()
			if syscall.Kill(pid, syscall.SIGKILL) != nil {
				return false
			}
			for {
				f, ok := d.hear()
				if !ok {
					break
				}
				if f.Type == probe.Down {
					return true
				}
			}
			eventually(t, "restarted", func() bool { return w.pid() != pid && w.a.Status().HAProxy == "up" })
			return false
		})
		eventually(t, "up again", func() bool { return w.a.Status().HAProxy == "up" && answered() })
		if _, err := w.get(); err != nil {
			t.Error(err)
		}
	})
	t.Run("hung HAProxy fails itself", func(t *testing.T) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", w.pid(), w.pid()))
		must(t, err)
		var worker int
		_, err = fmt.Sscan(string(raw), &worker)
		must(t, err)
		must(t, syscall.Kill(worker, syscall.SIGSTOP))
		defer func() { _ = syscall.Kill(worker, syscall.SIGCONT) }()
		eventually(t, "down", func() bool { return w.a.Status().HAProxy == "down" })
		eventually(t, "silence", func() bool { return !answered() })
		must(t, syscall.Kill(worker, syscall.SIGCONT))
		eventually(t, "up", func() bool { return w.a.Status().HAProxy == "up" && answered() })
	})
}

// TestDeadHAProxyRefusesNobody connects all the time while HAProxy dies and comes back: a SYN that finds nobody listening
// is sent again, and is not answered by a reset.
func TestDeadHAProxyRefusesNobody(t *testing.T) {
	w := newWorld(t)
	w.put(document(1))
	eventually(t, "an answer", func() bool { _, err := w.get(); return err == nil })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	died := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for after := 0; after < 20 && ctx.Err() == nil; {
				select {
				case <-died:
					after++
				default:
				}
				conn, err := w.dial(ctx, "tcp", vip+":80")
				if errors.Is(err, unix.ECONNREFUSED) {
					t.Errorf("refused: %v", err)
					return
				}
				if err == nil {
					_ = conn.Close()
				}
			}
		})
	}
	must(t, unix.Kill(w.pid(), unix.SIGKILL))
	close(died)
	wg.Wait()
	eventually(t, "an answer", func() bool { _, err := w.get(); return err == nil })
}

func TestDraining(t *testing.T) {
	w := newWorld(t)
	w.put(document(1))
	_, err := w.a.PutTable(t.Context(), table(1, false))
	must(t, err)
	conn, err := w.dial(t.Context(), "tcp", vip+":80")
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	must(t, err)
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	eventually(t, "one connection, ours", func() bool { s := w.a.Status(); return s.Connections == 1 && s.HeldElsewhere == 0 })

	_, err = w.a.PutTable(t.Context(), table(2, true))
	must(t, err)
	eventually(t, "S36 held for another", func() bool { return w.a.Status().HeldElsewhere == 1 })
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("S36 the idle connection: %v, want an orderly end", err)
	}
	eventually(t, "S36 nothing held", func() bool { return w.a.Status().HeldElsewhere == 0 })
	if _, err := os.Stat(filepath.Join(w.conf.Place.Dir, "table.json")); err != nil {
		t.Error(err)
	}
}
