package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"colonnade/internal/demo"
)

type demoCommand struct {
	Keep bool `help:"Leave everything running until Ctrl-C, and print the VIP to curl."`
}

// Run shows a load balancer that serves, loses an amphora and heals.
func (c *demoCommand) Run(k *kong.Context) error {
	if err := needRoot("demo"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return demo.Run(ctx, demo.Options{Binary: self, Keep: c.Keep, Out: k.Stdout})
}
