package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"colonnade/internal/config"
)

type downCommand struct {
	StateDir string `default:"/var/lib/colonnade" env:"COLONNADE_STATE_DIR" type:"path" placeholder:"DIR" help:"The state directory of the control plane to take away."`
	Config   string `env:"COLONNADE_CONFIG" type:"path" placeholder:"FILE" help:"The configuration it ran with."`
	Purge    bool   `help:"Remove the state directory too: load balancers, certificates and token are gone for good."`
}

// Run stops the control plane and removes every amphora, distributor, network and host link of the state directory. What
// users saved stays in the database, and a later "up" builds it all again, unless --purge.
func (c *downCommand) Run(ctx context.Context) error {
	conf, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	if err := needRoot("down"); err != nil {
		return err
	}
	if _, err := os.Stat(c.StateDir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist: nothing runs from there", c.StateDir)
	}
	dir, err := stateDir(c.StateDir).open()
	if err != nil {
		return err
	}
	unlock, err := dir.takeOver(ctx, "down")
	if err != nil {
		return err
	}
	defer unlock()
	return takeAway(ctx, dir, conf, c.Purge)
}

// takeAway removes what the control plane of dir made on this machine. It can be repeated after a failure.
func takeAway(ctx context.Context, dir stateDir, conf config.Config, purge bool) error {
	m := machine{dir: dir, conf: conf, log: newLogger(conf.Log)}
	n, err := networkDrivers[conf.Network.Driver](m)
	if err != nil {
		return err
	}
	comp, err := computeDrivers[conf.Compute.Driver](m, n)
	if err != nil {
		return err
	}
	if err := comp.RemoveAll(ctx); err != nil {
		return fmt.Errorf("remove instances: %w", err)
	}
	if err := n.Remove(ctx); err != nil {
		return fmt.Errorf("remove networks: %w", err)
	}
	if purge {
		if err := os.RemoveAll(string(dir)); err != nil {
			return fmt.Errorf("remove state directory: %w", err)
		}
	}
	return nil
}
