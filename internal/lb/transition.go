package lb

// Settlement is what the worker found when a revision was applied (or could not be).
type Settlement struct {
	// Revision is the one that was applied. When the tree has a higher one by now, only Failed is noted; the rest
	// stays pending for the next round.
	Revision int64
	// Failed maps the ids of children at fault (listener, pool, member, health monitor) to the reason; they become
	// ERROR, everything else ACTIVE.
	Failed map[string]string
	// LoadBalancerFailed is why the load balancer's own create, update or failover cannot be done; it becomes ERROR.
	LoadBalancerFailed string
}

// Settle ends what is pending: created and updated objects become ACTIVE, deleted children are removed (references to
// a removed pool are cleared), children at fault become ERROR with the reason (DESIGN §3.4). A load balancer in
// PENDING_DELETE stays so: its end is the store's FinishDelete.
func (t *Tree) Settle(s Settlement) {}

// Check returns what is wrong with the tree: the invariants that no sequence of changes may break.
func (t *Tree) Check() error { return nil }
