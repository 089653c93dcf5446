// Command colonnade is the control plane of a load-balancing service and its command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"colonnade/internal/cli"
)

type arguments struct {
	Up   upCommand   `cmd:"" help:"Run the control plane: all roles in one process."`
	Down downCommand `cmd:"" help:"Stop the control plane and remove every trace of it from this machine."`
	Demo demoCommand `cmd:"" help:"Show a load balancer that serves, loses an amphora and heals."`

	API          apiCommand          `cmd:"" name:"api" help:"Run the REST API alone; see worker."`
	Worker       workerCommand       `cmd:"" help:"Run the worker alone: one role of \"up\" as a process of its own, any number of times, on one database ([database] dsn) and one state directory. With the drivers bridge and netns all roles run on the same machine, as root; the database may be anywhere."`
	ACM          acmCommand          `cmd:"" name:"acm" help:"Run the cluster manager alone; see worker."`
	Health       healthCommand       `cmd:"" help:"Run the health role alone, as often as [health] heartbeat_ports has ports; see worker."`
	Housekeeping housekeepingCommand `cmd:"" help:"Run housekeeping alone; see worker."`

	Config configCommands `cmd:"" help:"Check a configuration file, or show what is in effect."`

	Password passwordCommand `cmd:"" help:"Read a password from standard input and print its hash, for identity.users of the configuration."`

	cli.Commands
}

func main() { os.Exit(run()) }

func run() int {
	var args arguments
	k := kong.Parse(&args, kong.Name("colonnade"),
		kong.Description("Load balancing as a service: the Load Balancer v2 API over clusters of active amphorae.\n\n"+cli.ExitHelp),
		kong.ShortUsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	k.BindTo(context.Background(), (*context.Context)(nil))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "colonnade:", err)
		return cli.ExitCode(err)
	}
	return cli.ExitOK
}

// needRoot says why a command cannot run as another user.
func needRoot(command string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return errors.New("colonnade " + command + " needs root: it works on network namespaces and kernel programs")
}
