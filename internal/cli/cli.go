// Package cli holds the commands of the command line that speak to the API: kong structs with a Run method each. What
// they print goes through one printer.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"colonnade/internal/client"
	"colonnade/internal/identity"
)

// Commands are all of them, to be embedded into the root of a kong command line. Their Run methods need a
// context.Context to be bound.
type Commands struct {
	LoadBalancer  loadBalancerCommands  `cmd:"" name:"loadbalancer" aliases:"lb" help:"Load balancers."`
	Listener      listenerCommands      `cmd:"" help:"Listeners of load balancers."`
	Pool          poolCommands          `cmd:"" help:"Pools of members."`
	Member        memberCommands        `cmd:"" help:"Members of a pool."`
	HealthMonitor healthMonitorCommands `cmd:"" name:"healthmonitor" help:"Health monitors of pools."`
	Secret        secretCommands        `cmd:"" help:"Certificates and keys, for TLS."`
	Quota         quotaCommands         `cmd:"" help:"Quotas of projects."`
	Flavor        flavorCommands        `cmd:"" help:"Flavors: what kinds of load balancers there are."`
	FlavorProfile flavorProfileCommands `cmd:"" name:"flavorprofile" help:"What flavors mean (operator)."`
	Zone          zoneCommands          `cmd:"" name:"availabilityzone" aliases:"zone" help:"Availability zones: where load balancers are."`
	ZoneProfile   zoneProfileCommands   `cmd:"" name:"availabilityzoneprofile" aliases:"zoneprofile" help:"What availability zones mean (operator)."`
	Provider      providerCommands      `cmd:"" help:"Providers of load balancers."`
	L7Policy      l7PolicyCommands      `cmd:"" name:"l7policy" help:"L7 policies of listeners."`
	L7Rule        l7RuleCommands        `cmd:"" name:"l7rule" help:"Rules of L7 policies."`
	Event         eventCommands         `cmd:"" help:"Who changed what, and what happened by itself."`
	Cluster       clusterCommands       `cmd:"" help:"Clusters of amphorae (operator)."`
	Amphora       amphoraCommands       `cmd:"" help:"Amphorae (operator)."`
	Distributor   distributorCommands   `cmd:"" help:"Distributors (operator)."`
	Network       networkCommands       `cmd:"" help:"Networks (operator)."`
	Port          portCommands          `cmd:"" help:"Ports of tenants' machines (operator)."`
	FloatingIP    floatingIPCommands    `cmd:"" name:"floating-ip" help:"Floating IPs: addresses outside that stand for ports."`
}

// Exit codes of the command line; 2 and above 64 are kong's own.
const (
	ExitOK          = 0
	ExitFailed      = 1 // anything else
	ExitRejected    = 3 // the API finds fault with the request (400, 413, 501)
	ExitNotFound    = 4 // no object of that id or name, or a name that several have
	ExitConflict    = 5 // the object's state, or another object, forbids it (409)
	ExitUnreachable = 6 // no API there, or it does not let us in (401, 403)
	ExitUnsettled   = 7 // --wait: the load balancer ended in ERROR, or the time ran out
)

// ExitHelp says what the exit codes mean, for the help text.
const ExitHelp = `Exit status: 0 done; 1 failed; 3 the API rejects the request; 4 not found, or the name is ambiguous;
5 the object's state, or another object, forbids it; 6 the API cannot be reached or denies access; 7 --wait ended in ERROR or timed out.`

// ExitCode is the status a process ends with after err.
func ExitCode(err error) int {
	var name *nameError
	var failed *client.FailedError
	var op *net.OpError
	switch status := client.StatusOf(err); {
	case err == nil:
		return ExitOK
	case errors.As(err, &failed), errors.Is(err, context.DeadlineExceeded):
		return ExitUnsettled
	case errors.As(err, &name), status == http.StatusNotFound:
		return ExitNotFound
	case status == http.StatusConflict:
		return ExitConflict
	case status == http.StatusUnauthorized, status == http.StatusForbidden, errors.As(err, &op), errors.Is(err, errNoToken):
		return ExitUnreachable
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusNotImplemented:
		return ExitRejected
	}
	return ExitFailed
}

// Connection says which API to speak to and how to print.
type Connection struct {
	URL      string        `env:"COLONNADE_URL" default:"http://127.0.0.1:9876" help:"Address of the API (${env})."`
	StateDir string        `env:"COLONNADE_STATE_DIR" default:"/var/lib/colonnade" help:"Directory with the API token (${env})."`
	Token    string        `env:"COLONNADE_TOKEN" help:"API token, instead of the state directory's (${env})."`
	Cloud    string        `name:"os-cloud" env:"OS_CLOUD" help:"Cloud of clouds.yaml to log in to (${env}); OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME and so on do without a file. The catalog says where the API is."`
	Project  string        `env:"COLONNADE_PROJECT" help:"Project to act for; a name when logging in (${env})."`
	Output   string        `short:"o" enum:"table,json" default:"table" help:"How to print: table or json."`
	Timeout  time.Duration `default:"2m" help:"How long --wait waits."`

	stdout, stderr io.Writer
	loggedIn       bool // with credentials, not with a token of the state directory
}

// AfterApply makes the connection available to the command's Run.
func (c *Connection) AfterApply(k *kong.Context) error {
	c.stdout, c.stderr = k.Stdout, k.Stderr
	k.Bind(c)
	return nil
}

var errNoToken = errors.New("no API token")

// credentials are what to log in with; false when there are none, or a token is there in their place.
func (c *Connection) credentials() (cred client.Credentials, found bool, err error) {
	if c.Token != "" {
		return cred, false, nil
	}
	if c.Cloud != "" {
		cred, err = client.Cloud(c.Cloud, os.Getenv)
		found = true
	} else {
		cred, found = client.Environment(os.Getenv)
	}
	if c.Project != "" {
		cred.ProjectID, cred.ProjectName = "", c.Project
	}
	return cred, found, err
}

// open speaks to the API as whoever the options, the environment or else the state directory say.
func (c *Connection) open() (*client.Client, error) {
	if cred, found, err := c.credentials(); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoToken, err)
	} else if found {
		c.loggedIn = true
		return client.Login(context.Background(), cred)
	}
	token := c.Token
	if token == "" {
		var err error
		if token, err = identity.ReadToken(c.StateDir); err != nil {
			hint := "name the directory `colonnade up` uses by --state-dir, or give --token"
			if errors.Is(err, fs.ErrPermission) {
				hint = "run as the user `colonnade up` runs as, or give --token"
			}
			return nil, fmt.Errorf("%w: %w; %s", errNoToken, err, hint)
		}
	}
	return client.New(c.URL, token, c.Project)
}

func (c *Connection) printer() *printer { return &printer{out: c.stdout, json: c.Output == "json"} }

// explain adds to an error what the person can do about it.
func (c *Connection) explain(err error) error {
	var op *net.OpError
	switch status := client.StatusOf(err); {
	case err == nil:
		return nil
	case c.loggedIn && (errors.As(err, &op) || status == http.StatusUnauthorized):
		return fmt.Errorf("%w\nThe login is that of OS_CLOUD or OS_AUTH_URL and the other variables OS_…; unset them to use the state directory's token", err)
	case errors.As(err, &op):
		return fmt.Errorf("%w\nIs `colonnade up` running? --url or COLONNADE_URL names another address than %s", err, c.URL)
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%w\nThe token is not this API's: --state-dir or COLONNADE_STATE_DIR names the directory it is in, --token the token itself", err)
	case status == http.StatusConflict && (strings.Contains(err.Error(), "immutable") || strings.Contains(err.Error(), "Invalid state")):
		return fmt.Errorf("%w\nA load balancer takes one change at a time: give --wait to the change before, or try again", err)
	}
	return err
}

// run opens the connection for f and explains its error.
func (c *Connection) run(f func(api *client.Client, p *printer) error) error {
	api, err := c.open()
	if err != nil {
		return c.explain(err)
	}
	return c.explain(f(api, c.printer()))
}
