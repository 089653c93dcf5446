// Command colonnade is the control plane of a load-balancing service and its command line.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"colonnade/internal/cli"
)

type arguments struct {
	Up   upCommand   `cmd:"" help:"Run the control plane: all roles in one process."`
	Down downCommand `cmd:"" help:"Stop the control plane and remove every trace of it from this machine."`
	Demo demoCommand `cmd:"" help:"Show a load balancer that serves, loses an amphora and heals."`

	cli.Commands
}

func main() {
	var args arguments
	k := kong.Parse(&args, kong.Name("colonnade"),
		kong.Description("Load balancing as a service: the Load Balancer v2 API over clusters of active amphorae.\n\n"+cli.ExitHelp),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	k.BindTo(context.Background(), (*context.Context)(nil))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "colonnade:", err)
		os.Exit(cli.ExitCode(err))
	}
}
