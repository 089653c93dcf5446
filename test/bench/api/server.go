package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"colonnade/internal/api"
	"colonnade/internal/identity"
	"colonnade/internal/network"
	"colonnade/internal/network/bridge"
	"colonnade/internal/store"
)

const (
	token     = "bench"
	networkID = "11111111-1111-4111-8111-111111111111"
	subnetID  = "22222222-2222-4222-8222-222222222222"
)

// serve is the API over a new database, until standard input ends. The bridge driver manages addresses only: without
// an Ensure it makes no device.
func serve(dir, profile string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(dir, "colonnade.db"))
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	driver, err := bridge.New(bridge.Config{Prefix: "cnt-bench", StateDir: dir, RunDir: dir, Store: s})
	if err != nil {
		return err
	}
	subnet := network.Subnet{
		ID: subnetID, NetworkID: networkID, Name: "bench", CIDR: "198.18.0.0/16", GatewayIP: "198.18.0.1",
		AllocationStart: "198.18.0.2", AllocationEnd: "198.18.255.254",
	}
	n := network.Network{ID: networkID, Name: "bench", ProjectID: identity.DefaultProject, MTU: 1500, Subnets: []network.Subnet{subnet}}
	if err := s.CreateNetwork(ctx, n, func([]network.Subnet) error { return nil }); err != nil {
		return err
	}
	who, err := identity.NewToken(token)
	if err != nil {
		return err
	}
	settings := api.DefaultSettings()
	settings.AcceptWhilePending = true
	h, err := api.New(api.Deps{
		Store: s, Networks: driver, Identity: who, Settings: settings,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	server := api.NewServer(h)
	go func() { _ = server.Serve(listener) }() // ends with Shutdown
	fmt.Println(listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
