package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"colonnade/internal/compute"
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
	if !conf.IsNoop() {
		if err := needRoot("down"); err != nil {
			return err
		}
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
	return takeAway(ctx, os.Stdout, dir, conf, c.Purge)
}

// takeAway removes what the control plane of dir made on this machine, and says on out what that was. It can be repeated after a failure.
func takeAway(ctx context.Context, out io.Writer, dir stateDir, conf config.Config, purge bool) error {
	d, err := dir.checkDrivers(conf)
	if err != nil {
		return err
	}
	m := machine{dir: dir, conf: conf, log: newLogger(conf.Log)}
	n, err := networkDrivers[conf.Network.Driver](m)
	if err != nil {
		return err
	}
	comp, err := computeDrivers[conf.Compute.Driver](m, n)
	if err != nil {
		return err
	}
	what := standing(ctx, comp, n)
	if err := comp.RemoveAll(ctx); err != nil {
		return fmt.Errorf("remove instances: %w", err)
	}
	if err := n.Remove(ctx); err != nil {
		return fmt.Errorf("remove networks: %w", err)
	}
	kept := fmt.Sprintf("What was configured is kept in %s: `colonnade up` builds it again.", dir)
	if conf.IsNoop() {
		kept = fmt.Sprintf("What was configured is kept in %s, but the no-op drivers start on it only if it has no amphorae: --purge removes it.", dir)
	}
	if purge {
		disclaimed := dir.disclaim(ctx, conf, d)
		if err := os.RemoveAll(string(dir)); err != nil {
			return fmt.Errorf("remove state directory: %w", err)
		}
		kept = fmt.Sprintf("Removed %s with all that was configured.", dir)
		if disclaimed != nil {
			kept += fmt.Sprintf(" The database still belongs to it, as deployment %s: %v.", d.ID, disclaimed)
		}
	}
	_, err = fmt.Fprintf(out, "Removed from this machine: %s.\n%s\n", what, kept)
	return err
}

// standing says what there is to be removed. It is for people only: what cannot be counted is removed all the same.
func standing(ctx context.Context, comp computeDriver, n networkDriver) string {
	counts := map[compute.Kind]int{}
	if all, err := comp.List(ctx); err == nil {
		for _, i := range all {
			counts[i.Kind]++
		}
	}
	var parts []string
	add := func(count int, one, many string) {
		switch {
		case count == 1:
			parts = append(parts, "1 "+one)
		case count > 1:
			parts = append(parts, fmt.Sprint(count, " ", many))
		}
	}
	add(counts[compute.KindAmphora], "amphora", "amphorae")
	add(counts[compute.KindDistributor], "distributor", "distributors")
	if s, err := n.Standing(); err == nil {
		add(s.Networks, "network", "networks")
		add(s.Ports, "port", "ports")
		if s.HostDevice != "" {
			parts = append(parts, "the device "+s.HostDevice+" with its routes")
		}
	}
	if len(parts) == 0 {
		return "nothing, it was clean"
	}
	return strings.Join(parts, ", ")
}
