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
	return ServeLogging(t, holder, routes, slog.New(slog.DiscardHandler))
}

// ServeLogging is Serve of an agent that logs.
func ServeLogging(t testing.TB, holder cert.Identity, routes []agentrest.Route, log *slog.Logger) (client *agentrest.Client, ip string) {
	t.Helper()
	ca, err := cert.OpenAuthority(t.TempDir(), time.Now)
	must(t, err)
	own, err := ca.Issue(holder, nil, time.Hour)
	must(t, err)
	controller, err := ca.Issue(cert.Identity{Role: cert.RoleController, ID: "test"}, nil, time.Hour)
	must(t, err)
	conf := Configure(t, holder, own)
	t.Cleanup(Run(t, agentrest.NewServer(conf, routes, log, time.Now)))
	return agentrest.NewClient(Dial, func() (cert.Bundle, error) { return controller, nil }, time.Now), conf.ManagementIP
}

// Configure gives an agent a directory with its certificate, and an address of this machine that other tests do not use.
func Configure(t testing.TB, holder cert.Identity, own cert.Bundle) agentconf.Config {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string][]byte{agentconf.CAFile: own.CAPEM, agentconf.CertFile: own.CertPEM, agentconf.KeyFile: own.KeyPEM} {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	ip := fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254))
	return agentconf.Config{Kind: string(holder.Role), ID: holder.ID, ManagementIP: ip, Place: agentconf.Place{Dir: dir}}
}

// Run starts a server; the returned function ends it.
func Run(t testing.TB, server *agentrest.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server ended with %v", err)
		}
	}
}

// Dial tries until the server listens, or ctx ends.
func Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, network, addr)
		if err == nil || ctx.Err() != nil {
			return c, err
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
