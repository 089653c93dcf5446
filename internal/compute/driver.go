// Package compute is the border to whatever runs amphorae and distributors. The Driver interface is small and
// declarative: keyed by our ids, every call can be repeated.
package compute

import (
	"context"
	"fmt"
	"time"

	"colonnade/internal/agentconf"
)

// Kind of instance.
type Kind string

// Kinds of instances.
const (
	KindAmphora     Kind = "amphora"
	KindDistributor Kind = "distributor"
)

// Spec is a desired instance.
type Spec struct {
	ID               string // our amphora or distributor id
	Kind             Kind
	ManagementPortID string
	// Agent is the agent's configuration; the driver fills in Agent.Place.
	Agent agentconf.Config
	// Files stand beside the configuration (agentconf.CAFile, CertFile, KeyFile): name without directories -> content.
	// They are secret: mode 0600, never logged.
	Files map[string][]byte
	// Group asks for anti-affinity among instances of equal Group; a wish.
	Group string
}

// State of an instance, as the driver sees it.
type State string

// States of an instance.
const (
	StateRunning State = "running"
	StateGone    State = "gone"  // was built and does not run any more
	StateError   State = "error" // cannot be built
)

// Instance is what exists.
type Instance struct {
	ID        string
	Kind      Kind
	ComputeID string
	State     State
	Reason    string
}

// Driver builds instances.
type Driver interface {
	// Probe says whether this driver can work here; *UnsupportedError names what is missing.
	Probe(ctx context.Context) error
	// Ensure makes the instance exist and run; an existing one is left as it is.
	Ensure(ctx context.Context, spec Spec) (Instance, error)
	// List returns every instance of ours, also half-built ones.
	List(ctx context.Context) ([]Instance, error)
	// Delete fences and removes: when it returns nil, nothing of the instance sends a frame any more. Deleting what is
	// not there is no error.
	Delete(ctx context.Context, id string) error
	// Plug gives the instance the network port; Unplug takes it away. Both can be repeated.
	Plug(ctx context.Context, id, portID string) error
	Unplug(ctx context.Context, id, portID string) error
	// BuildBudget is how long an instance may take from Ensure to its agent's first word, beyond a moment.
	BuildBudget() time.Duration
}

// UnsupportedError says what a driver needs and does not find.
type UnsupportedError struct {
	Driver string
	Needs  string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("driver %s is unsupported here: needs %s", e.Driver, e.Needs)
}
