// Package config is the control plane's configuration: one TOML file, decoded strictly, over defaults that work on a
// single machine with nothing else. Only cmd imports it; every part gets its own settings from there.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Config is the whole file.
type Config struct {
	API      API      `toml:"api"`
	Cluster  Cluster  `toml:"cluster"`
	Network  Network  `toml:"network"`
	Compute  Compute  `toml:"compute"`
	Database Database `toml:"database"`
	Log      Log      `toml:"log"`
}

// API is where the REST API answers.
type API struct {
	Listen string `toml:"listen"` // address:port
}

// Cluster holds the defaults of new clusters (S7, S44, S70) and how the cluster manager behaves.
type Cluster struct {
	Type         string   `toml:"type"`          // the manager: "fixed"
	DesiredSize  int      `toml:"desired_size"`  // active amphorae
	MinSize      int      `toml:"min_size"`      // below it the cluster is DOWN
	StandbySize  int      `toml:"standby_size"`  // warm spares beyond desired_size
	Cooldown     Duration `toml:"cooldown"`      // between elective changes of one cluster
	DrainTimeout Duration `toml:"drain_timeout"` // how long a hand-over waits for old connections
	// SecondChance lets amphorae pass packets of connections they do not have to earlier owners. Off only to show what
	// it is for.
	SecondChance bool `toml:"second_chance"`
	// DefaultConnectionLimit is what a listener's connection limit of -1 means.
	DefaultConnectionLimit int `toml:"default_connection_limit"`
}

// Network chooses and configures the network driver.
type Network struct {
	Driver         string   `toml:"driver"`          // "bridge"
	ManagementCIDR string   `toml:"management_cidr"` // agents' addresses; never on the host
	HostLinkCIDR   string   `toml:"host_link_cidr"`  // the one routed link between host and gateway
	Networks       []Subnet `toml:"networks"`        // made at start when missing
}

// Subnet declares a network with one subnet.
type Subnet struct {
	Name    string `toml:"name"`
	CIDR    string `toml:"cidr"`
	Gateway string `toml:"gateway"` // "" takes the first address
	Project string `toml:"project"`
}

// Compute chooses and configures the compute driver.
type Compute struct {
	Driver      string `toml:"driver"`       // "netns"
	AgentBinary string `toml:"agent_binary"` // "" looks beside the colonnade binary
}

// Database says where state is kept.
type Database struct {
	DSN string `toml:"dsn"` // "" is SQLite in the state directory
}

// Log says what is logged and how.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn, error
	Format string `toml:"format"` // text, json
}

// Duration is written like "30s" in the file.
type Duration time.Duration

// UnmarshalText reads "30s", "2m".
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Default is the configuration of a file that says nothing.
func Default() Config {
	return Config{
		API: API{Listen: "127.0.0.1:9876"},
		Cluster: Cluster{
			Type: "fixed", DesiredSize: 3, MinSize: 1, StandbySize: 1,
			Cooldown: Duration(30 * time.Second), DrainTimeout: Duration(60 * time.Second),
			SecondChance: true, DefaultConnectionLimit: 2000,
		},
		Network: Network{Driver: "bridge", ManagementCIDR: "198.19.0.0/18", HostLinkCIDR: "198.19.255.252/30"},
		Compute: Compute{Driver: "netns"},
		Log:     Log{Level: "info", Format: "text"},
	}
}

// Load reads path over the defaults; "" is the defaults alone. Unknown keys are errors that name their line.
func Load(path string) (Config, error) {
	c := Default()
	if path == "" {
		return c, nil
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("configuration file %s does not exist", path)
	}
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	dec := toml.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return c, fmt.Errorf("configuration %s: unknown key:\n%s", path, strict.String())
		}
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Most positions a table holds, see distributor.MaxPositions.
const maxSize = 32

// Check finds what cannot work, all of it at once.
func (c Config) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := netip.ParseAddrPort(c.API.Listen); err != nil {
		wrong("api.listen %q: want address:port, like 127.0.0.1:9876", c.API.Listen)
	}
	if c.Cluster.Type != "fixed" {
		wrong("cluster.type %q: only \"fixed\" is built in", c.Cluster.Type)
	}
	if c.Cluster.DesiredSize < 1 || c.Cluster.DesiredSize > maxSize {
		wrong("cluster.desired_size %d: want 1 to %d", c.Cluster.DesiredSize, maxSize)
	}
	if c.Cluster.MinSize < 1 || c.Cluster.MinSize > c.Cluster.DesiredSize {
		wrong("cluster.min_size %d: want 1 to desired_size (%d)", c.Cluster.MinSize, c.Cluster.DesiredSize)
	}
	if c.Cluster.StandbySize < 0 || c.Cluster.StandbySize > maxSize/4 {
		wrong("cluster.standby_size %d: want 0 to %d", c.Cluster.StandbySize, maxSize/4)
	}
	if c.Cluster.DefaultConnectionLimit < 1 {
		wrong("cluster.default_connection_limit %d: want 1 or more", c.Cluster.DefaultConnectionLimit)
	}
	for name, d := range map[string]Duration{
		"cluster.cooldown": c.Cluster.Cooldown, "cluster.drain_timeout": c.Cluster.DrainTimeout,
	} {
		if d < 0 {
			wrong("%s: want a duration that is not negative", name)
		}
	}
	if c.Network.Driver != "bridge" {
		wrong("network.driver %q: only \"bridge\" is built in", c.Network.Driver)
	}
	if c.Compute.Driver != "netns" {
		wrong("compute.driver %q: only \"netns\" is built in", c.Compute.Driver)
	}
	for name, cidr := range map[string]string{
		"network.management_cidr": c.Network.ManagementCIDR, "network.host_link_cidr": c.Network.HostLinkCIDR,
	} {
		if p, err := netip.ParsePrefix(cidr); err != nil || p != p.Masked() || !p.Addr().Is4() {
			wrong("%s %q: want an IPv4 network, like 198.19.0.0/18", name, cidr)
		}
	}
	names := map[string]bool{}
	for _, n := range c.Network.Networks {
		if n.Name == "" || names[n.Name] {
			wrong("network.networks: name %q is missing or given twice", n.Name)
		}
		names[n.Name] = true
		if p, err := netip.ParsePrefix(n.CIDR); err != nil || p != p.Masked() {
			wrong("network.networks %q: cidr %q: want a network, like 198.18.1.0/24", n.Name, n.CIDR)
		}
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		wrong("log.format %q: want text or json", c.Log.Format)
	}
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		wrong("log.level %q: want debug, info, warn or error", c.Log.Level)
	}
	return errors.Join(errs...)
}
