// Command colonnade-agent runs inside an amphora or a distributor. "run" is what starts an instance: the small parent
// that keeps one of the other two going.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"colonnade/internal/agentconf"
	"colonnade/internal/agentrun"
	amphora "colonnade/internal/amphora/agent"
	distributor "colonnade/internal/distributor/agent"
	"colonnade/internal/logging"
)

type arguments struct {
	Amphora     amphoraCommand     `cmd:"" help:"Be an amphora's agent."`
	Distributor distributorCommand `cmd:"" help:"Be a distributor's agent."`
	Run         runCommand         `cmd:"" help:"Keep the agent that the configuration describes running."`
}

// common is what every command takes.
type common struct {
	Config string `required:"" type:"existingfile" placeholder:"FILE" help:"The agent's configuration (agent.json)."`
	Debug  bool   `help:"Log more."`
}

type (
	amphoraCommand     struct{ common }
	distributorCommand struct{ common }
	runCommand         struct{ common }
)

func main() {
	var args arguments
	k := kong.Parse(&args, kong.Name("colonnade-agent"), kong.Description("The agent inside an amphora or a distributor."),
		kong.ShortUsageOnError())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	k.FatalIfErrorf(k.Run())
}

// Run is an amphora's agent.
func (c amphoraCommand) Run(ctx context.Context) error { return c.be(ctx, "amphora", amphora.Run) }

// Run is a distributor's agent.
func (c distributorCommand) Run(ctx context.Context) error {
	return c.be(ctx, "distributor", distributor.Run)
}

// Run is the parent.
func (c runCommand) Run(ctx context.Context) error {
	conf, err := agentconf.Load(c.Config)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	command := []string{program, conf.Kind, "--config", c.Config}
	if c.Debug {
		command = append(command, "--debug")
	}
	return agentrun.Parent{Command: command, Now: time.Now, Log: c.log(conf)}.Run(ctx)
}

func (c common) be(ctx context.Context, kind string, run func(context.Context, agentconf.Config, *slog.Logger) error) error {
	conf, err := agentconf.Load(c.Config)
	if err != nil {
		return err
	}
	if conf.Kind != kind {
		return fmt.Errorf("%s is for the agent of kind %s, not %s", c.Config, conf.Kind, kind)
	}
	log := c.log(conf)
	log.InfoContext(ctx, "agent started", "pid", os.Getpid())
	if err := run(ctx, conf, log); err != nil {
		return err
	}
	log.InfoContext(ctx, "agent ended")
	return nil
}

func (c common) log(conf agentconf.Config) *slog.Logger {
	level := slog.LevelInfo
	if c.Debug {
		level = slog.LevelDebug
	}
	return logging.New(os.Stderr, level, "json").With(conf.Kind+"_id", conf.ID)
}
