package traffic_test

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"colonnade/internal/linuxnet"
	"colonnade/internal/testenv"
	"colonnade/internal/traffic"
)

func TestMain(m *testing.M) { os.Exit(testenv.RunInLab(m.Run)) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func dial(ctx context.Context, source netip.Addr, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: source.AsSlice()}}
	return d.DialContext(ctx, "tcp", addr)
}

var source = netip.MustParseAddr("127.0.0.9")

func TestFlowStaysAlive(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ln := listen(t)
	go func() { _ = traffic.ServeEcho(ctx, ln) }()
	f, err := traffic.OpenFlow(ctx, dial, source, ln.Addr().String(), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if f.Via != source || f.Local.Addr() != source {
		t.Errorf("via %s, local %s, want both %s", f.Via, f.Local, source)
	}
	flowCtx, stop := context.WithTimeout(ctx, 100*time.Millisecond)
	defer stop()
	if end := f.Run(flowCtx); end.Reason != traffic.FlowAlive || end.Echoed == 0 {
		t.Errorf("got %+v", end)
	}
	cancel()
}

// TestFlowEnds lets a server that says hello end the flow in each way there is.
func TestFlowEnds(t *testing.T) {
	for _, c := range []struct {
		want string
		end  func(net.Conn)
	}{
		{traffic.FlowReset, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }},
		{traffic.FlowClosed, func(c net.Conn) { _ = c.Close() }},
		{traffic.FlowMixedUp, func(c net.Conn) { _, _ = c.Write([]byte("another\n")) }},
	} {
		t.Run(c.want, func(t *testing.T) {
			ln := listen(t)
			go func() {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				r := bufio.NewReader(conn)
				_, _ = r.ReadString('\n')
				_, _ = conn.Write([]byte("127.0.0.1:1\n"))
				_, _ = r.ReadString('\n')
				c.end(conn)
			}()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			f, err := traffic.OpenFlow(ctx, dial, source, ln.Addr().String(), time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if end := f.Run(ctx); end.Reason != c.want {
				t.Errorf("ended %q, want %q", end.Reason, c.want)
			}
		})
	}
}

func TestStreamNamesFailures(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ln, gone := listen(t), listen(t)
	_ = gone.Close()
	go func() { _ = traffic.ServeWeb(ctx, ln, "web1") }()
	defer cancel()
	if r := traffic.Get(ctx, dial, source, "http://"+gone.Addr().String()+"/"); r.Failure != "refused" {
		t.Errorf("closed port: %q", r.Failure)
	}
	var mu sync.Mutex
	count := 0
	streamCtx, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	traffic.Stream(streamCtx, dial, []netip.Addr{source}, "http://"+ln.Addr().String()+"/", 5*time.Millisecond, func(r traffic.Request) {
		mu.Lock()
		defer mu.Unlock()
		count++
		if r.Failure != "" || r.Answer.Member != "web1" {
			t.Errorf("got %+v", r)
		}
	})
	if count == 0 {
		t.Error("no request was made")
	}
}

func TestCaptureCountsByDirection(t *testing.T) {
	for _, ns := range []string{"left", "right"} {
		if _, err := linuxnet.EnsureNamespace(ns); err != nil {
			t.Fatal(err)
		}
	}
	left, err := linuxnet.Open(linuxnet.Path("left"))
	if err != nil {
		t.Fatal(err)
	}
	defer left.Close()
	mac := func(s string) net.HardwareAddr { m, _ := net.ParseMAC(s); return m }
	if err := left.AddVeth(linuxnet.VethEnd{Name: "l0", MAC: mac("02:00:00:00:00:01")},
		linuxnet.VethEnd{Name: "r0", MAC: mac("02:00:00:00:00:02")}, linuxnet.Path("right")); err != nil {
		t.Fatal(err)
	}
	right, err := linuxnet.Open(linuxnet.Path("right"))
	if err != nil {
		t.Fatal(err)
	}
	defer right.Close()
	for h, dev := range map[*linuxnet.Handle]string{left: "l0", right: "r0"} {
		if err := h.SetUp(dev); err != nil {
			t.Fatal(err)
		}
	}
	if err := left.EnsureAddress("l0", netip.MustParsePrefix("198.18.0.1/30")); err != nil {
		t.Fatal(err)
	}
	capture, err := traffic.StartCapture(linuxnet.Path("right"))
	if err != nil {
		t.Fatal(err)
	}
	if err := linuxnet.GratuitousARP(linuxnet.Path("left"), "l0", netip.MustParseAddr("198.18.0.1"), mac("02:00:00:00:00:01")); err != nil {
		t.Fatal(err)
	}
	counts, err := capture.Stop()
	if err != nil {
		t.Fatal(err)
	}
	want := traffic.FrameKey{
		Device: "r0", Source: "02:00:00:00:00:01", Target: "ff:ff:ff:ff:ff:ff", EtherType: 0x0806,
		SourceIP: netip.MustParseAddr("198.18.0.1"), TargetIP: netip.MustParseAddr("198.18.0.1"),
	}
	if counts[want] != 1 {
		t.Errorf("%d of the announced frame in %v", counts[want], counts)
	}
}
