package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"colonnade/internal/config"
)

type configCommands struct {
	Check configCheck `cmd:"" help:"Name every problem of a configuration file; the exit status is 0 when there is none."`
	Show  configShow  `cmd:"" help:"Print every setting as it takes effect, defaults included."`
}

// configFile names the file that a configuration command looks at.
type configFile struct {
	Config string `env:"COLONNADE_CONFIG" type:"path" placeholder:"FILE" help:"Configuration file (TOML); without one the defaults hold."`
}

type (
	configCheck struct{ configFile }
	configShow  struct{ configFile }
)

// Run loads the file as the roles do.
func (c *configCheck) Run(k *kong.Context) error {
	if _, err := config.Load(c.Config); err != nil {
		return err
	}
	what := c.Config
	if what == "" {
		what = "no file named: the defaults"
	}
	_, err := fmt.Fprintf(k.Stdout, "%s: good\n", what)
	return err
}

// Run prints a file that would have the same effect, without the database's password.
func (c *configShow) Run(k *kong.Context) error {
	conf, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	return conf.Write(k.Stdout)
}
