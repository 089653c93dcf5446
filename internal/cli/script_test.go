package cli_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"

	"colonnade/internal/amphora"
	"colonnade/internal/api"
	"colonnade/internal/cli"
	"colonnade/internal/identity"
	v3 "colonnade/internal/identity/v3"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
	"colonnade/internal/secret"
	"colonnade/internal/store"
)

// TestMain makes this binary the command line, so that scripts run it as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"colonnade": func() {
		var root struct{ cli.Commands }
		k := kong.Parse(&root, kong.Name("colonnade"), kong.BindTo(context.Background(), (*context.Context)(nil)))
		if err := k.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "colonnade:", err)
			os.Exit(cli.ExitCode(err))
		}
	}})
}

type rows struct{ *store.Store }

func (r rows) CreateNetwork(ctx context.Context, n network.Network) (network.Network, error) {
	s := &n.Subnets[0]
	s.GatewayIP, s.AllocationStart, s.AllocationEnd = "198.18.10.1", "198.18.10.2", "198.18.10.254"
	return n, r.Store.CreateNetwork(ctx, n, func([]network.Subnet) error { return nil })
}

// worker makes everything that is pending ACTIVE, or gone, as the worker role would.
func worker(ctx context.Context, s *store.Store) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		lbs, err := s.LoadBalancers(ctx, store.Query{})
		if err != nil {
			return err
		}
		for _, l := range lbs {
			if !l.ProvisioningStatus.Pending() {
				continue
			}
			lease := lb.Lease{Kind: lb.WorkWorker, Key: l.ID, Epoch: l.Epoch}
			if l.ProvisioningStatus == lb.PendingDelete {
				err = errors.Join(s.DeletePort(ctx, l.VIPPortID), s.FinishDelete(ctx, lease))
			} else {
				err = s.UpdateTree(ctx, lease, func(t *lb.Tree) (lb.Outcome, error) {
					t.Settle(lb.Settlement{Revision: t.LoadBalancer.Revision})
					return lb.Outcome{}, nil
				})
			}
			if err != nil {
				return err
			}
		}
	}
}

const adminPassword = "secret"

// accounts know an administrator and alice, who is one in no project.
func accounts(s *store.Store, apiToken string) (*identity.Embedded, error) {
	token, err := identity.NewToken(apiToken)
	if err != nil {
		return nil, err
	}
	hash, err := identity.HashPassword("alices")
	if err != nil {
		return nil, err
	}
	directory, err := identity.NewDirectory([]identity.Project{{Name: "shop"}}, []identity.User{
		{Name: "alice", PasswordHash: hash, Roles: map[string][]string{"shop": {"member"}, "default": {"reader"}}},
	})
	if err == nil {
		directory, err = directory.WithAdmin(adminPassword)
	}
	if err != nil {
		return nil, err
	}
	return identity.NewEmbedded(identity.Options{Directory: directory, Storage: s, APIToken: token, Validity: time.Hour, Now: time.Now})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			state := env.WorkDir + "/state"
			if err := os.Mkdir(state, 0o700); err != nil {
				return err
			}
			token, err := identity.EnsureToken(state)
			if err != nil {
				return err
			}
			s, err := store.Open(context.Background(), state+"/colonnade.db")
			if err != nil {
				return err
			}
			who, err := accounts(s, token)
			if err != nil {
				return err
			}
			driver, err := bridge.New(bridge.Config{Prefix: "cnt-cli", StateDir: state, RunDir: state, Store: s})
			if err != nil {
				return err
			}
			vault := &secret.Vault{Store: s, Key: secret.NewKey([32]byte{1}), Now: time.Now}
			h, err := api.New(api.Deps{
				Store: s, Networks: driver, Operator: rows{s}, Ports: driver, Provider: amphora.HAProxy{}, Certificates: vault, Vault: vault, Identity: who, Settings: api.DefaultSettings(),
				Accounts: &v3.Options{Accounts: who, Region: "R", Services: []v3.Service{{Type: "load-balancer", Name: "octavia", Path: "/load-balancer"}}},
				Log:      slog.New(slog.DiscardHandler),
			})
			if err != nil {
				return err
			}
			server := httptest.NewServer(h)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- worker(ctx, s) }()
			env.Defer(func() {
				cancel()
				if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("worker: %v", err)
				}
				server.Close()
				_ = s.Close()
			})
			cloud := identity.Cloud{AuthURL: server.URL + v3.Prefix, Username: "admin", Password: adminPassword, Project: "default", Region: "R"}
			if err := identity.WriteClouds(state+"/clouds.yaml", cloud); err != nil {
				return err
			}
			env.Setenv("AUTH_URL", server.URL+v3.Prefix)
			env.Setenv("COLONNADE_URL", server.URL)
			env.Setenv("COLONNADE_STATE_DIR", state)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": exitStatus},
	})
}

// exitStatus is "status N command…": the command ends with exit status N.
func exitStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit interface{ ExitCode() int }
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}
