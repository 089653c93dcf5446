package store

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"colonnade/internal/lb"
)

// object is one child of a tree as a row.
type object struct {
	kind    string // as events and messages name it
	id      string
	status  lb.ProvisioningStatus
	row     any // *listenerRow, …: what is stored, in its canonical form
	content any // the row's value without what the system itself writes: what a user changed
	created *time.Time
	updated *time.Time
}

// canonical makes an empty list nil, so that there is one form of each value.
func canonical[E any](s []E) []E {
	if len(s) == 0 {
		return nil
	}
	return s
}

func listenerObject(l lb.Listener) object {
	l.Tags, l.AllowedCIDRs, l.L7Policies = canonical(l.Tags), canonical(l.AllowedCIDRs), nil
	if len(l.InsertHeaders) == 0 {
		l.InsertHeaders = nil
	}
	l.SNIContainerRefs, l.TLSVersions, l.ALPNProtocols = canonical(l.SNIContainerRefs), canonical(l.TLSVersions), canonical(l.ALPNProtocols)
	row := &listenerRow{Listener: l}
	l.ProvisioningStatus, l.OperatingStatus, l.StatusReason, l.UpdatedAt = "", "", "", time.Time{}
	return object{"listener", l.ID, row.ProvisioningStatus, row, l, &row.CreatedAt, &row.UpdatedAt}
}

func policyObject(p lb.L7Policy) object {
	p.Rules, p.Tags = nil, canonical(p.Tags)
	row := &l7PolicyRow{L7Policy: p}
	p.ProvisioningStatus, p.OperatingStatus, p.StatusReason, p.UpdatedAt = "", "", "", time.Time{}
	return object{"l7policy", p.ID, row.ProvisioningStatus, row, p, &row.CreatedAt, &row.UpdatedAt}
}

func ruleObject(r lb.L7Rule) object {
	r.Tags = canonical(r.Tags)
	row := &l7RuleRow{L7Rule: r}
	r.ProvisioningStatus, r.OperatingStatus, r.StatusReason, r.UpdatedAt = "", "", "", time.Time{}
	return object{"l7rule", r.ID, row.ProvisioningStatus, row, r, &row.CreatedAt, &row.UpdatedAt}
}

func poolObject(p lb.Pool) object {
	p.Members, p.HealthMonitor, p.Tags = nil, nil, canonical(p.Tags)
	p.TLSVersions, p.ALPNProtocols = canonical(p.TLSVersions), canonical(p.ALPNProtocols)
	row := &poolRow{Pool: p}
	p.ProvisioningStatus, p.OperatingStatus, p.StatusReason, p.UpdatedAt, p.LastServerID = "", "", "", time.Time{}, 0
	return object{"pool", p.ID, row.ProvisioningStatus, row, p, &row.CreatedAt, &row.UpdatedAt}
}

func memberObject(m lb.Member) object {
	m.Tags = canonical(m.Tags)
	row := &memberRow{Member: m}
	m.ProvisioningStatus, m.OperatingStatus, m.StatusReason, m.UpdatedAt = "", "", "", time.Time{}
	return object{"member", m.ID, row.ProvisioningStatus, row, m, &row.CreatedAt, &row.UpdatedAt}
}

func healthMonitorObject(h lb.HealthMonitor) object {
	h.Tags = canonical(h.Tags)
	row := &healthMonitorRow{HealthMonitor: h}
	h.ProvisioningStatus, h.OperatingStatus, h.StatusReason, h.UpdatedAt = "", "", "", time.Time{}
	return object{"health monitor", h.ID, row.ProvisioningStatus, row, h, &row.CreatedAt, &row.UpdatedAt}
}

func loadBalancerObject(l lb.LoadBalancer) object {
	l.Tags, l.VIPSecurityGroups, l.AdditionalVIPs = canonical(l.Tags), canonical(l.VIPSecurityGroups), canonical(l.AdditionalVIPs)
	row := &loadBalancerRow{LoadBalancer: l}
	l.ProvisioningStatus, l.OperatingStatus, l.StatusReason, l.UpdatedAt = "", "", "", time.Time{}
	l.Revision, l.Epoch, l.PendingSince = 0, 0, time.Time{}
	return object{"load balancer", l.ID, row.ProvisioningStatus, row, l, &row.CreatedAt, &row.UpdatedAt}
}

// children are a tree's children by kind.
type children struct{ listeners, policies, rules, pools, members, monitors []object }

func childrenOf(t lb.Tree) (c children) {
	for _, l := range t.Listeners {
		c.listeners = append(c.listeners, listenerObject(l))
		for _, p := range l.L7Policies {
			c.policies = append(c.policies, policyObject(p))
			for _, r := range p.Rules {
				c.rules = append(c.rules, ruleObject(r))
			}
		}
	}
	for _, p := range t.Pools {
		c.pools = append(c.pools, poolObject(p))
		for _, m := range p.Members {
			c.members = append(c.members, memberObject(m))
		}
		if p.HealthMonitor != nil {
			c.monitors = append(c.monitors, healthMonitorObject(*p.HealthMonitor))
		}
	}
	return c
}

// objects are all of a tree: the load balancer, then its children.
func objects(t lb.Tree) []object {
	c := childrenOf(t)
	return slices.Concat([]object{loadBalancerObject(t.LoadBalancer)}, c.listeners, c.policies, c.rules, c.pools, c.members, c.monitors)
}

// difference is what turns the objects of before into those of after.
type difference struct{ remove, put []object }

func differ(before, after []object) (d difference, existed map[string]object) {
	existed = make(map[string]object, len(before))
	for _, o := range before {
		existed[o.id] = o
	}
	kept := make(map[string]bool, len(after))
	for _, o := range after {
		kept[o.id] = true
		if was, ok := existed[o.id]; !ok || !reflect.DeepEqual(was.row, o.row) {
			d.put = append(d.put, o)
		}
	}
	for _, o := range before {
		if !kept[o.id] {
			d.remove = append(d.remove, o)
		}
	}
	return d, existed
}

func sameTree(before, after lb.Tree) bool {
	if !reflect.DeepEqual(loadBalancerObject(before.LoadBalancer).row, loadBalancerObject(after.LoadBalancer).row) {
		return false
	}
	d, _ := differ(objects(before)[1:], objects(after)[1:])
	return len(d.put)+len(d.remove) == 0
}

// writeTree writes what differs, the load balancer's row included, and returns what is stored then.
func (tx *transaction) writeTree(ctx context.Context, before, after lb.Tree) (stored lb.Tree, err error) {
	was, is := loadBalancerObject(before.LoadBalancer), loadBalancerObject(after.LoadBalancer)
	if !reflect.DeepEqual(was.row, is.row) {
		*is.updated = tx.now
		if err := updateRows(ctx, tx.Tx, []change{{was.row, is.row}}); err != nil {
			return stored, fmt.Errorf("write load balancer: %w", err)
		}
	}
	now := childrenOf(after)
	if err := tx.writeObjects(ctx, childrenOf(before), now); err != nil {
		return stored, err
	}
	stored = after
	stored.LoadBalancer = is.row.(*loadBalancerRow).LoadBalancer
	now.rows().plant(&stored)
	return stored, nil
}

// rows are the objects' rows as they would be read.
func (c children) rows() *treeRows {
	r := &treeRows{
		listeners: rowsOf[listenerRow](c.listeners), policies: rowsOf[l7PolicyRow](c.policies), rules: rowsOf[l7RuleRow](c.rules),
		pools: rowsOf[poolRow](c.pools), members: rowsOf[memberRow](c.members), monitors: rowsOf[healthMonitorRow](c.monitors),
	}
	slices.SortFunc(r.policies, func(a, b l7PolicyRow) int { return cmp.Or(a.Position-b.Position, strings.Compare(a.ID, b.ID)) })
	slices.SortFunc(r.members, func(a, b memberRow) int { return cmp.Or(a.ServerID-b.ServerID, strings.Compare(a.ID, b.ID)) })
	return r
}

// rowsOf are the rows of one kind's objects, by creation.
func rowsOf[R any](objects []object) []R {
	objects = slices.Clone(objects)
	slices.SortFunc(objects, func(a, b object) int { return cmp.Or(a.created.Compare(*b.created), strings.Compare(a.id, b.id)) })
	rows := make([]R, 0, len(objects))
	for _, o := range objects {
		rows = append(rows, *o.row.(*R))
	}
	return rows
}

func (tx *transaction) writeChildren(ctx context.Context, before, after lb.Tree) error {
	return tx.writeObjects(ctx, childrenOf(before), childrenOf(after))
}

// writeObjects writes what differs, kind by kind, in the order that references and unique indexes ask for: a pool stands
// before what names it and goes after it, and a name is free before it is taken again.
func (tx *transaction) writeObjects(ctx context.Context, was, is children) error {
	listeners, oldListeners := differ(was.listeners, is.listeners)
	policies, oldPolicies := differ(was.policies, is.policies)
	rules, oldRules := differ(was.rules, is.rules)
	pools, oldPools := differ(was.pools, is.pools)
	members, oldMembers := differ(was.members, is.members)
	monitors, oldMonitors := differ(was.monitors, is.monitors)
	steps := []func() error{
		func() error { return tx.remove(ctx, monitors.remove) },
		func() error { return tx.remove(ctx, members.remove) },
		func() error { return tx.remove(ctx, rules.remove) },
		func() error { return tx.remove(ctx, policies.remove) },
		func() error { return tx.remove(ctx, listeners.remove) },
		func() error { return tx.put(ctx, pools.put, oldPools) },
		func() error { return tx.put(ctx, listeners.put, oldListeners) },
		func() error { return tx.put(ctx, policies.put, oldPolicies) },
		func() error { return tx.put(ctx, rules.put, oldRules) },
		func() error { return tx.remove(ctx, pools.remove) },
		func() error { return tx.put(ctx, members.put, oldMembers) },
		func() error { return tx.put(ctx, monitors.put, oldMonitors) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (tx *transaction) remove(ctx context.Context, gone []object) error {
	rows := make([]any, 0, len(gone))
	for _, o := range gone {
		rows = append(rows, o.row)
	}
	if err := deleteRows(ctx, tx.Tx, rows); err != nil {
		return fmt.Errorf("remove %s %s: %w", gone[0].kind, gone[0].id, err)
	}
	return nil
}

// put writes those of one kind that changed, then those that are new.
func (tx *transaction) put(ctx context.Context, changed []object, existed map[string]object) error {
	var changes []change
	var fresh []any
	for _, o := range changed {
		if was, ok := existed[o.id]; ok {
			*o.updated = tx.now
			changes = append(changes, change{was.row, o.row})
		} else {
			*o.created = tx.orNow(*o.created)
			fresh = append(fresh, o.row)
		}
	}
	err := updateRows(ctx, tx.Tx, changes)
	if err == nil {
		err = insertRows(ctx, tx.Tx, fresh)
	}
	if err != nil {
		return fmt.Errorf("write %s %s and %d more: %w", changed[0].kind, changed[0].id, len(changed)-1, err)
	}
	return nil
}

// treeEvents tells of the objects that a change was about, not of those that only wait for it.
func treeEvents(before, after lb.Tree, actor string) []lb.Event {
	was := map[string]object{}
	for _, o := range objects(before) {
		was[o.id] = o
	}
	var events []lb.Event
	for _, o := range objects(after) {
		old, existed := was[o.id]
		var action string
		var changes []lb.Change
		switch {
		case !existed:
			action = o.kind + " created"
		case o.status == lb.PendingDelete && old.status != lb.PendingDelete:
			action = o.kind + " deletion requested"
		case !reflect.DeepEqual(old.content, o.content):
			action, changes = o.kind+" updated", changesOf(old, o)
		default:
			continue
		}
		events = append(events, lb.Event{
			LoadBalancerID: after.LoadBalancer.ID, ProjectID: after.LoadBalancer.ProjectID, ObjectKind: o.kind, ObjectID: o.id,
			Actor: actor, Action: action, Changes: changes,
		})
	}
	return events
}
