// Package lb holds the domain of the load-balancing service: the objects of the Load Balancer v2 API, clusters,
// amphorae and distributors, their statuses and transitions, the rules that say what is valid, and the kinds of
// errors. It does no input or output, imports only the standard library and may be imported by everybody.
package lb
