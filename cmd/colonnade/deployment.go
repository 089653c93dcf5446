package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/uuid"

	"colonnade/internal/atomicfile"
	"colonnade/internal/config"
	"colonnade/internal/store"
)

// deployment is what a state directory is, for good: which database is its own, and which drivers made what stands on the
// machine because of it.
type deployment struct {
	ID      string `json:"id"`
	Network string `json:"network_driver"`
	Compute string `json:"compute_driver"`
}

// deployment reads what the directory is; nil when no control plane has run on it yet.
func (s stateDir) deployment() (*deployment, error) {
	raw, err := os.ReadFile(s.path(deploymentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // it is nothing yet
	}
	var d deployment
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.path(deploymentFile), err)
	}
	return &d, nil
}

// checkDrivers refuses a configuration with other drivers than those that made what stands: these would take nothing of it
// away, and build it a second time.
func (s stateDir) checkDrivers(conf config.Config) (*deployment, error) {
	d, err := s.deployment()
	if err != nil || d == nil {
		return nil, err
	}
	if d.Network != conf.Network.Driver || d.Compute != conf.Compute.Driver {
		return nil, fmt.Errorf("%s was made with network driver %q and compute driver %q, and the configuration says %q and %q: "+
			"give the configuration that it ran with (--config), or use another --state-dir",
			s, d.Network, d.Compute, conf.Network.Driver, conf.Compute.Driver)
	}
	return d, nil
}

// claim makes the directory a deployment when it is none yet, and the database its own. Called under starting's lock.
func (s stateDir) claim(ctx context.Context, conf config.Config, db *store.Store) error {
	d, err := s.deployment()
	if err != nil {
		return err
	}
	if d == nil {
		d = &deployment{ID: uuid.NewString(), Network: conf.Network.Driver, Compute: conf.Compute.Driver}
		raw, err := json.MarshalIndent(d, "", "  ")
		if err == nil {
			err = atomicfile.Write(s.path(deploymentFile), append(raw, '\n'), lockFileMode)
		}
		if err != nil {
			return fmt.Errorf("note what the state directory is: %w", err)
		}
	}
	host, _ := os.Hostname() // for people alone
	err = db.Claim(ctx, d.ID, fmt.Sprintf("state directory %s on %s", s, host))
	var claimed *store.ClaimedError
	if errors.As(err, &claimed) {
		return fmt.Errorf("%w, and %s is deployment %s: each would take the other's instances for gone; use another [database] dsn, "+
			"or, if that state directory is lost for good, write its id into %s", err, s, d.ID, s.path(deploymentFile))
	}
	return err
}

// disclaim lets another deployment have the database. It is asked before the directory goes, and one that cannot be reached
// keeps nobody from going.
func (s stateDir) disclaim(ctx context.Context, conf config.Config, d *deployment) error {
	if d == nil || conf.Database.DSN == "" {
		return nil // the database goes with the directory
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	db, err := store.Open(ctx, conf.Database.DSN)
	if err != nil {
		return err
	}
	return errors.Join(db.Disclaim(ctx, d.ID), db.Close())
}
