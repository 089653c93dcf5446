package agent_test

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"colonnade/internal/agentconf"
	"colonnade/internal/agentrest"
	"colonnade/internal/cert"
	"colonnade/internal/distributor"
	"colonnade/internal/distributor/agent"
	"colonnade/internal/health/heartbeat"
	"colonnade/internal/lb"
)

// TestRun is the whole agent as its process runs it: certificates and configuration in, calls and heartbeats out.
func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ca, err := cert.OpenAuthority(t.TempDir(), time.Now)
	check(t, err)
	own, err := ca.Issue(cert.Identity{Role: cert.RoleDistributor, ID: "d1"}, nil, time.Hour)
	check(t, err)
	controller, err := ca.Issue(cert.Identity{Role: cert.RoleController, ID: "test"}, nil, time.Hour)
	check(t, err)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, agentconf.CAFile), own.CAPEM, 0o600),
		os.WriteFile(filepath.Join(dir, agentconf.CertFile), own.CertPEM, 0o600),
		os.WriteFile(filepath.Join(dir, agentconf.KeyFile), own.KeyPEM, 0o600))
	health, err := net.ListenPacket("udp", "127.83.2.2:0")
	check(t, err)
	defer health.Close()
	key := make([]byte, 32)
	conf := agentconf.Config{
		Kind: "distributor", ID: "d1", ManagementIP: "127.83.2.1",
		Heartbeat: agentconf.Heartbeat{Targets: []string{health.LocalAddr().String()}, Key: hex.EncodeToString(key), IntervalMS: 1000},
		Place:     agentconf.Place{Dir: dir, BPFDir: filepath.Join(dir, "bpf"), TenantNamespace: "/run/netns/cnt-run"},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx, conf, slog.New(slog.DiscardHandler)) }()

	buf := make([]byte, heartbeat.MaxDatagram)
	check(t, health.SetReadDeadline(time.Now().Add(10*time.Second)))
	n, _, err := health.ReadFrom(buf)
	check(t, err)
	beat, err := heartbeat.Decode(buf[:n], func(string, string) []byte { return key })
	check(t, err)
	if beat.ID != "d1" || beat.BootID == "" || beat.Distributor == nil || beat.Distributor.Dataplane != "ebpf" {
		t.Errorf("heartbeat %+v", beat)
	}

	rest := agentrest.NewClient(func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		for { // until the server listens, or ctx ends
			c, err := d.DialContext(ctx, network, addr)
			if err == nil || ctx.Err() != nil {
				return c, err
			}
		}
	}, func() (cert.Bundle, error) { return controller, nil }, time.Now)
	d := lb.Distributor{ID: "d1", ManagementIP: conf.ManagementIP}
	s, err := distributor.NewClient(rest).Status(ctx, d)
	check(t, err)
	if s.BootID != beat.BootID || s.DistributorID != "d1" {
		t.Errorf("status %+v", s)
	}
	rest.Forget(agentrest.Target{Holder: cert.Identity{Role: cert.RoleDistributor, ID: "d1"}, IP: conf.ManagementIP})

	cancel()
	select {
	case err := <-done:
		check(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("the agent does not end")
	}
}
