package lb

import "errors"

var errUnbuilt = errors.New("not built yet")

// NewTree makes the tree of a new load balancer: everything PENDING_CREATE and OFFLINE (members without monitor
// NO_MONITOR), references and uniqueness checked, server ids given. Pools carry members and monitor.
func NewTree(l LoadBalancer, listeners []Listener, pools []Pool) (Tree, error) {
	return Tree{}, errUnbuilt
}

// UpdateLoadBalancer changes the load balancer's own fields.
func (t *Tree) UpdateLoadBalancer(change func(*LoadBalancer) error) error { return errUnbuilt }

// DeleteLoadBalancer asks for the load balancer's removal; without cascade it must have no children (400).
func (t *Tree) DeleteLoadBalancer(cascade bool) error { return errUnbuilt }

// RequestFailover sets the load balancer PENDING_UPDATE for a planned failover: ACTIVE or ERROR only.
func (t *Tree) RequestFailover() error { return errUnbuilt }

// AddListener adds a listener.
func (t *Tree) AddListener(l Listener) error { return errUnbuilt }

// UpdateListener changes a listener; the default pool may be changed or cleared.
func (t *Tree) UpdateListener(id string, change func(*Listener) error) error { return errUnbuilt }

// DeleteListener asks for a listener's removal.
func (t *Tree) DeleteListener(id string) error { return errUnbuilt }

// AddPool adds a pool (its Members and HealthMonitor must be empty); with listenerID != "" it becomes that listener's
// default pool, which must have none yet (409).
func (t *Tree) AddPool(p Pool, listenerID string) error { return errUnbuilt }

// UpdatePool changes a pool's own fields.
func (t *Tree) UpdatePool(id string, change func(*Pool) error) error { return errUnbuilt }

// DeletePool asks for a pool's removal with its members and monitor.
func (t *Tree) DeletePool(id string) error { return errUnbuilt }

// AddMember adds a member to a pool.
func (t *Tree) AddMember(poolID string, m Member) error { return errUnbuilt }

// UpdateMember changes a member.
func (t *Tree) UpdateMember(poolID, id string, change func(*Member) error) error { return errUnbuilt }

// DeleteMember asks for a member's removal.
func (t *Tree) DeleteMember(poolID, id string) error { return errUnbuilt }

// ReplaceMembers makes the pool's members those wanted, matched by address and port (the ids in want serve new ones
// only); with additive none is removed. A batch that changes nothing leaves the tree untouched.
func (t *Tree) ReplaceMembers(poolID string, want []Member, additive bool) error { return errUnbuilt }

// AddHealthMonitor gives the pool h.PoolID its monitor.
func (t *Tree) AddHealthMonitor(h HealthMonitor) error { return errUnbuilt }

// UpdateHealthMonitor changes a monitor.
func (t *Tree) UpdateHealthMonitor(id string, change func(*HealthMonitor) error) error {
	return errUnbuilt
}

// DeleteHealthMonitor asks for a monitor's removal.
func (t *Tree) DeleteHealthMonitor(id string) error { return errUnbuilt }
