package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"colonnade/internal/config"
	"colonnade/internal/logging"
)

// process is what every process of the control plane is told.
type process struct {
	StateDir string `default:"/var/lib/colonnade" env:"COLONNADE_STATE_DIR" type:"path" placeholder:"DIR" help:"Where the control plane keeps its database, keys and instances."`
	Config   string `env:"COLONNADE_CONFIG" type:"path" placeholder:"FILE" help:"Configuration file (TOML); without one the defaults hold."`
	// MetricsListen is nil when it is not given.
	MetricsListen *string `placeholder:"ADDRESS:PORT" help:"Where to show metrics; empty is nowhere."`
}

// apiListen is what those are told that serve the API.
type apiListen struct {
	Listen string `placeholder:"ADDRESS:PORT" help:"Where the API listens; overrides the configuration (127.0.0.1:9876)."`
}

type (
	upCommand struct {
		process
		apiListen
	}
	apiCommand struct {
		process
		apiListen
	}
	workerCommand       struct{ process }
	acmCommand          struct{ process }
	healthCommand       struct{ process }
	housekeepingCommand struct{ process }
)

// Run is the control plane: all roles in one process, until it is told to stop. Data planes outlive it.
func (c *upCommand) Run() error { return c.run("up", c.Listen, everyRole...) }

// Run is one role, until it is told to stop.
func (c *apiCommand) Run() error { return c.run("api", c.Listen, roleAPI) }

// Run is one role, until it is told to stop.
func (c *workerCommand) Run() error { return c.run("worker", "", roleWorker) }

// Run is one role, until it is told to stop.
func (c *acmCommand) Run() error { return c.run("acm", "", roleACM) }

// Run is one role, until it is told to stop.
func (c *healthCommand) Run() error { return c.run("health", "", roleHealth) }

// Run is one role, until it is told to stop.
func (c *housekeepingCommand) Run() error { return c.run("housekeeping", "", roleHousekeeping) }

// run plays roles until SIGTERM. "up" is alone on its state directory, single roles share it.
func (c *process) run(name, listen string, roles ...role) error {
	conf, err := c.configuration(name, listen)
	if err != nil {
		return err
	}
	alone := name == "up"
	switch {
	case !conf.IsNoop():
		err = needRoot(name)
	case alone:
		roles = noopRoles(conf.Noop)
	default:
		err = errors.New("the no-op drivers keep everything in the memory of one process: use \"colonnade up\"")
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	dir, err := stateDir(c.StateDir).open()
	if err != nil {
		return err
	}
	unlock, err := dir.lock(name, !alone)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := dir.checkDrivers(conf); err != nil {
		return err
	}
	p, err := newControlPlane(ctx, name, dir, conf, newLogger(conf.Log))
	if err != nil {
		return err
	}
	if alone {
		err = p.releaseLeases(ctx)
	}
	if err == nil {
		err = p.play(ctx, roles)
	}
	return errors.Join(err, p.store.Close())
}

// configuration is the file's with what the command line says.
func (c *process) configuration(name, listen string) (config.Config, error) {
	conf, err := config.Load(c.Config)
	if err != nil {
		return conf, err
	}
	if listen != "" {
		conf.API.Listen = listen
	}
	switch {
	case c.MetricsListen != nil:
		conf.Metrics.Listen = *c.MetricsListen
	case name != "up":
		conf.Metrics.Listen = "" // several roles of one file may share a machine, and would want the same port
	}
	return conf, conf.Check()
}

func newLogger(c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // config.Check has refused anything else
	}
	return logging.New(os.Stderr, level, c.Format)
}
