// Package agentconf is the configuration file of an agent: who it is and where in the machine it lives. The control
// plane writes the first part, the compute driver the second; both agents read it.
package agentconf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// FileName is the configuration file's name in an instance's directory.
const FileName = "agent.json"

// Names of the files that stand beside the configuration.
const (
	CAFile   = "ca.pem"
	CertFile = "agent.pem"
	KeyFile  = "agent.key"
)

// Port is where agents listen, on their management address.
const Port = 9443

// Config is the whole file.
type Config struct {
	Kind           string    `json:"kind"` // "amphora" or "distributor"
	ID             string    `json:"id"`
	LoadBalancerID string    `json:"load_balancer_id,omitempty"` // amphorae only
	ManagementIP   string    `json:"management_ip"`              // the address to listen on
	Heartbeat      Heartbeat `json:"heartbeat"`
	Place          Place     `json:"place"` // written by the compute driver
}

// Heartbeat says where signs of life go.
type Heartbeat struct {
	Targets    []string `json:"targets"`     // host:port of every health role
	Key        string   `json:"key"`         // 32 bytes in hex, of this instance alone
	IntervalMS int      `json:"interval_ms"` // 1000
}

// Place says where in the machine the agent lives.
type Place struct {
	// Dir holds this file, certificates, and what the agent keeps (documents, HAProxy's files). It survives the agent
	// and goes with the instance.
	Dir string `json:"dir"`
	// BPFDir is a directory on a BPF file system for pins. The agent creates it if missing; it goes with the instance.
	BPFDir string `json:"bpf_dir"`
	// TenantNamespace is the path of the network namespace that the amphora's tenant ports and HAProxy live in; for a
	// distributor the prefix to which "-" and the first 8 hex digits of a load balancer's id are added. The agent
	// creates these namespaces (bind mounts) and moves ports from its own namespace into them.
	TenantNamespace string `json:"tenant_namespace"`
	// Cgroup is the instance's cgroup v2 directory; processes started by the agent are born in it. "" when there is none.
	Cgroup string `json:"cgroup,omitempty"`
}

// Load reads and checks a configuration file; unknown fields are errors.
func Load(path string) (Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read agent configuration: %w", err)
	}
	var c Config
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read agent configuration %s: %w", path, err)
	}
	if c.ID == "" || (c.Kind != "amphora" && c.Kind != "distributor") || c.Place.Dir == "" {
		return Config{}, fmt.Errorf("read agent configuration %s: kind, id and place.dir are mandatory", path)
	}
	return c, nil
}
