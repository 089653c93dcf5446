// Package agent is the distributor's agent: it owns VIPs as it is told over REST, probes the amphorae of each load
// balancer on their front-end network, swaps a standby in for a silent one at once, and says so in heartbeats.
//
// What it is told and what it decided are kept on disk and in the dataplane's pins, so that forwarding never depends on
// this process: a restarted agent finds everything and goes on. Only cmd/colonnade-agent and tests import it.
package agent
