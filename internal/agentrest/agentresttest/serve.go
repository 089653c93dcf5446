// Package agentresttest runs an agent's server for tests, with certificates of an authority of its own.
package agentresttest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"colonnade/internal/agentconf"
	"colonnade/internal/agentrest"
	"colonnade/internal/cert"
)

// Serve runs the routes as holder on a loopback address of its own until the test ends, and returns a client that
// reaches it there.
func Serve(t testing.TB, holder cert.Identity, routes []agentrest.Route) (client *agentrest.Client, ip string) {
	t.Helper()
	ca, err := cert.OpenAuthority(t.TempDir(), time.Now)
	must(t, err)
	own, err := ca.Issue(holder, nil, time.Hour)
	must(t, err)
	controller, err := ca.Issue(cert.Identity{Role: cert.RoleController, ID: "test"}, nil, time.Hour)
	must(t, err)
	dir := t.TempDir()
	for name, content := range map[string][]byte{agentconf.CAFile: own.CAPEM, agentconf.CertFile: own.CertPEM, agentconf.KeyFile: own.KeyPEM} {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	ip = fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254))
	conf := agentconf.Config{Kind: string(holder.Role), ID: holder.ID, ManagementIP: ip, Place: agentconf.Place{Dir: dir}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agentrest.NewServer(conf, routes, slog.New(slog.DiscardHandler), time.Now).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server ended with %v", err)
		}
	})
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		for { // until the server listens, or ctx ends
			c, err := d.DialContext(ctx, network, addr)
			if err == nil || ctx.Err() != nil {
				return c, err
			}
		}
	}
	return agentrest.NewClient(dial, func() (cert.Bundle, error) { return controller, nil }, time.Now), ip
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
