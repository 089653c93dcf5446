// Package cluster is the amphora cluster manager (ACM): it keeps each load balancer's cluster at its desired size,
// decides roles, positions and cluster status, and builds, hands over, drains and replaces amphorae and distributors.
// It decides purely (plan.go) and acts apart (actor.go), and sees the store, drivers and agents as interfaces only.
package cluster
