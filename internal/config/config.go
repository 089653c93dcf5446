// Package config is the control plane's configuration: one TOML file, decoded strictly, over defaults that work on a
// single machine with nothing else. Only cmd (and stage) imports it; every part gets its own settings from there.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"colonnade/internal/compute/noop"
	"colonnade/internal/lb"
)

// Config is the whole file.
type Config struct {
	API          API           `toml:"api"`
	Identity     Identity      `toml:"identity"`
	Rules        Rules         `toml:"rules"`
	Cluster      Cluster       `toml:"cluster"`
	Quotas       Quotas        `toml:"quotas"`
	Network      Network       `toml:"network"`
	Compute      Compute       `toml:"compute"`
	Noop         noop.Settings `toml:"noop"` // of the no-op drivers
	Database     Database      `toml:"database"`
	Health       Health        `toml:"health"`
	Housekeeping Housekeeping  `toml:"housekeeping"`
	KeyManager   KeyManager    `toml:"key_manager"`
	Metrics      Metrics       `toml:"metrics"`
	Log          Log           `toml:"log"`
}

// API is where the REST API answers.
type API struct {
	Listen      string `toml:"listen"`      // address:port
	Healthcheck bool   `toml:"healthcheck"` // answer GET /healthcheck, to anybody
	// AcceptWhilePending lets changes of a load balancer in PENDING_* join the one under way instead of answering 409.
	AcceptWhilePending bool `toml:"accept_while_pending"`
	// BaseURI stands before paths in answers; "" is what the client asked.
	BaseURI string `toml:"base_uri"`
	// TrustedProxies are addresses and ranges of who may say for whom they ask.
	TrustedProxies []string `toml:"trusted_proxies"`
	// PaginationMaxLimit is the most rows one answer to a list has.
	PaginationMaxLimit int `toml:"pagination_max_limit"`
}

// Cluster holds the defaults of new clusters (S7, S44, S70) and how the cluster manager behaves.
type Cluster struct {
	Type         string   `toml:"type"`          // the manager: "fixed"
	Topology     string   `toml:"topology"`      // SINGLE, ACTIVE_STANDBY or ACTIVE_ACTIVE; the sizes below are of the last
	DesiredSize  int      `toml:"desired_size"`  // active amphorae
	MinSize      int      `toml:"min_size"`      // below it the cluster is DOWN
	StandbySize  int      `toml:"standby_size"`  // warm spares beyond desired_size
	Cooldown     Duration `toml:"cooldown"`      // between elective changes of one cluster
	DrainTimeout Duration `toml:"drain_timeout"` // how long a hand-over waits for old connections
	// CertificateValidity is the life of an agent's certificate, which is renewed at two thirds of it.
	CertificateValidity Duration `toml:"certificate_validity"`
	// SecondChance lets amphorae pass packets of connections they do not have to earlier owners. Off only to show what
	// it is for.
	SecondChance bool `toml:"second_chance"`
	// DefaultConnectionLimit is what a listener's connection limit of -1 means.
	DefaultConnectionLimit int `toml:"default_connection_limit"`
}

// Network chooses and configures the network driver.
type Network struct {
	Driver         string   `toml:"driver"`          // "bridge", or Noop
	ManagementCIDR string   `toml:"management_cidr"` // agents' addresses; never on the host
	HostLinkCIDR   string   `toml:"host_link_cidr"`  // the one routed link between host and gateway
	Networks       []Subnet `toml:"networks"`        // made at start when missing
	// TenantCIDRs are where subnets may lie that projects make for themselves. All networks share one gateway, so these must
	// not be addresses of clients.
	TenantCIDRs []string `toml:"tenant_cidrs"`
}

// TenantRanges are TenantCIDRs, which have been checked.
func (n Network) TenantRanges() (all []netip.Prefix) {
	for _, s := range n.TenantCIDRs {
		if p, err := netip.ParsePrefix(s); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// Noop is the name of the network driver and of the compute driver that do nothing.
const Noop = "noop"

// IsNoop says that the drivers do nothing. They are both so, or none is.
func (c Config) IsNoop() bool { return c.Network.Driver == Noop }

// Subnet declares a network with one subnet.
type Subnet struct {
	Name    string `toml:"name"`
	CIDR    string `toml:"cidr"`
	Gateway string `toml:"gateway"` // "" takes the first address
	Project string `toml:"project"`
	// External networks have the addresses of floating IPs; shared ones are for all projects.
	External bool `toml:"external"`
	Shared   bool `toml:"shared"`
	// AmphoraPool are ranges that amphorae's own addresses come from.
	AmphoraPool []string `toml:"amphora_address_pool"`
}

// Compute chooses and configures the compute driver.
type Compute struct {
	Driver      string `toml:"driver"`       // "netns", or Noop
	AgentBinary string `toml:"agent_binary"` // "" looks beside the colonnade binary
}

// Database says where state is kept.
type Database struct {
	DSN string `toml:"dsn"` // "" is SQLite in the state directory
}

// Health is the health roles.
type Health struct {
	// HeartbeatPorts are where health roles listen on the management network, one for each that may run at a time.
	// Agents send to all of them; one that was built before a port was added does not know it.
	HeartbeatPorts []int `toml:"heartbeat_ports"`
}

// Housekeeping is how long things stay that nobody needs.
type Housekeeping struct {
	Every  Duration `toml:"every"`   // between two looks at what is there
	MinAge Duration `toml:"min_age"` // how long an instance or port must have been without a row before it is removed
	// KeepDeleted is how long what was deleted can be looked up by an operator, with its history.
	KeepDeleted Duration `toml:"keep_deleted"`
}

// KeyManager is where tenants keep certificates and their keys.
type KeyManager struct {
	// KeyFile holds the key that secrets are sealed with, 64 hexadecimal digits; "" is one in the state directory, made at the
	// first start. All processes over one database need the same.
	KeyFile string `toml:"key_file"`
}

// Metrics says where "colonnade up" shows its metrics. Single roles are told by --metrics-listen, because several of them
// may share a machine.
type Metrics struct {
	Listen string `toml:"listen"` // address:port; "" is nowhere
	// Profile also shows where the process spends its time (/debug/pprof/), which tells of what it works on.
	Profile bool `toml:"profile"`
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
		API:      API{Listen: "127.0.0.1:9876", PaginationMaxLimit: 1000},
		Identity: defaultIdentity(),
		Rules:    defaultRules(),
		Cluster: Cluster{
			Type: lb.ClusterFixed, Topology: string(lb.TopologyActiveActive), DesiredSize: 3, MinSize: 1, StandbySize: 1,
			Cooldown: Duration(30 * time.Second), DrainTimeout: Duration(60 * time.Second),
			CertificateValidity: Duration(30 * 24 * time.Hour),
			SecondChance:        true, DefaultConnectionLimit: 2000,
		},
		Quotas: Quotas{-1, -1, -1, -1, -1, -1, -1},
		Network: Network{Driver: "bridge", ManagementCIDR: "198.19.0.0/18", HostLinkCIDR: "198.19.255.252/30", TenantCIDRs: []string{
			"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15",
		}},
		Compute: Compute{Driver: "netns"},
		Health:  Health{HeartbeatPorts: []int{9444}},
		Housekeeping: Housekeeping{
			Every: Duration(30 * time.Second), MinAge: Duration(2 * time.Minute), KeepDeleted: Duration(7 * 24 * time.Hour),
		},
		Metrics: Metrics{Listen: "127.0.0.1:9877"},
		Log:     Log{Level: "info", Format: "text"},
	}
}

// Load reads path over the defaults; "" is the defaults alone. The error names every problem of the file, not the first
// alone; only a file that is no TOML, or has a value of the wrong type, is not looked at further.
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
	var problems []error
	if err := dec.Decode(&c); err != nil {
		var strict *toml.StrictMissingError
		if !errors.As(err, &strict) {
			return c, fmt.Errorf("configuration %s: %w", path, placed(err))
		}
		for _, unknown := range strict.Errors {
			line, _ := unknown.Position()
			problems = append(problems, fmt.Errorf("line %d: unknown key %s", line, strings.Join(unknown.Key(), ".")))
		}
		// A strict decoder has read what it knows as well.
	}
	if err := c.Check(); err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return c, fmt.Errorf("configuration %s:\n%w", path, errors.Join(problems...))
	}
	return c, nil
}

// placed says on which line a file cannot be read.
func placed(err error) error {
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return err
	}
	line, column := at.Position()
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}

// hidden stands for a password.
const hidden = "xxxxx"

// Write writes the effective values as a file that Load reads; passwords and their hashes are left out.
func (c Config) Write(w io.Writer) error {
	c.Database.DSN = withoutPassword(c.Database.DSN)
	c.Identity = c.Identity.withoutSecrets()
	if err := toml.NewEncoder(w).Encode(c); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// passwordWord finds the password in "host=… password=…".
var passwordWord = regexp.MustCompile(`(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'|\S+)`)

func withoutPassword(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return passwordWord.ReplaceAllString(dsn, "${1}"+hidden)
	}
	q := u.Query()
	if q.Has("password") {
		q.Set("password", hidden)
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}
