// Package distributor holds what the control plane and the agents agree on about distribution: the forwarding table
// (pure), the wire types of the distributor's REST API, its client, and the Dataplane interface behind which a
// mechanism (eBPF, OVS, nftables) forwards. It may be imported by the cluster manager and by both agents.
package distributor
