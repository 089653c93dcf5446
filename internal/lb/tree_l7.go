package lb

import (
	"errors"
	"fmt"
	"slices"
)

// L7Policy returns the policy with this id, to be changed in place, and its listener.
func (t *Tree) L7Policy(id string) (*L7Policy, *Listener, error) {
	for i := range t.Listeners {
		l := &t.Listeners[i]
		for j := range l.L7Policies {
			if l.L7Policies[j].ID == id {
				return &l.L7Policies[j], l, nil
			}
		}
	}
	return nil, nil, notFound("L7 Policy", id)
}

// L7Rule returns a rule of this policy, to be changed in place; one of another policy is not found.
func (t *Tree) L7Rule(policyID, id string) (*L7Rule, error) {
	p, _, err := t.L7Policy(policyID)
	if err != nil {
		return nil, err
	}
	for i := range p.Rules {
		if p.Rules[i].ID == id {
			return &p.Rules[i], nil
		}
	}
	return nil, notFound("L7 Rule", id)
}

// AddL7Policy adds a policy, with the rules it has, to the listener p.ListenerID at p.Position, moving those behind it;
// without a position, or with one beyond the end, it becomes the last.
func (t *Tree) AddL7Policy(p L7Policy) error {
	l, err := t.Listener(p.ListenerID)
	if err != nil {
		return err
	}
	if err := t.preparePolicy(l, &p); err != nil {
		return err
	}
	if err := t.childMutable(); err != nil {
		return err
	}
	if err := changeable("Listener", l.ID, l.ProvisioningStatus); err != nil {
		return err
	}
	l.insertPolicy(p)
	t.touchListener(l)
	return nil
}

// preparePolicy makes a new policy and its rules ready to be inserted.
func (t *Tree) preparePolicy(l *Listener, p *L7Policy) error {
	if err := checkPolicyListener(l); err != nil {
		return err
	}
	if err := t.checkRedirectPool(l, p); err != nil {
		return err
	}
	rules := p.Rules
	p.ListenerID, p.ProjectID, p.Rules = l.ID, t.LoadBalancer.ProjectID, nil
	begin(&p.ProvisioningStatus, &p.OperatingStatus, &p.StatusReason, Offline)
	for _, r := range rules {
		if err := p.addRule(r); err != nil {
			return err
		}
	}
	return nil
}

// insertPolicy puts a policy at its position and numbers all anew.
func (l *Listener) insertPolicy(p L7Policy) {
	at := p.Position - 1
	if at < 0 || at > len(l.L7Policies) {
		at = len(l.L7Policies)
	}
	l.L7Policies = slices.Insert(slices.Clip(l.L7Policies), at, p)
	l.numberPolicies()
}

func (l *Listener) numberPolicies() {
	for i := range l.L7Policies {
		l.L7Policies[i].Position = i + 1
	}
}

// UpdateL7Policy changes a policy; another position moves it there.
func (t *Tree) UpdateL7Policy(id string, change func(*L7Policy) error) error {
	old, l, err := t.L7Policy(id)
	if err != nil {
		return err
	}
	p := *old
	if err := change(&p); err != nil {
		return err
	}
	p.ID, p.ListenerID, p.ProjectID, p.Rules = old.ID, old.ListenerID, old.ProjectID, old.Rules
	if p.RedirectPoolID != old.RedirectPoolID {
		if err := t.checkRedirectPool(l, &p); err != nil {
			return err
		}
	}
	if err := t.childMutable(); err != nil {
		return err
	}
	if err := changeable("L7Policy", id, old.ProvisioningStatus); err != nil {
		return err
	}
	touch(&p.ProvisioningStatus)
	l.L7Policies = slices.DeleteFunc(slices.Clone(l.L7Policies), func(o L7Policy) bool { return o.ID == id })
	l.insertPolicy(p)
	t.touchListener(l)
	return nil
}

// DeleteL7Policy asks for a policy's removal with its rules. It keeps its position until it is gone.
func (t *Tree) DeleteL7Policy(id string) error {
	p, l, err := t.L7Policy(id)
	if err != nil {
		return err
	}
	if err := t.childMutable(); err != nil {
		return err
	}
	p.ProvisioningStatus = PendingDelete
	t.touchListener(l)
	return nil
}

// AddL7Rule adds a rule to the policy r.PolicyID.
func (t *Tree) AddL7Rule(r L7Rule) error {
	p, l, err := t.policyForRules(r.PolicyID)
	if err != nil {
		return err
	}
	if err := p.addRule(r); err != nil {
		return err
	}
	t.touchPolicy(p, l)
	return nil
}

func (p *L7Policy) addRule(r L7Rule) error {
	if len(p.Rules) >= MostL7Rules {
		return Faultf(KindConflict, "Too many rules on L7 policy %s", p.ID)
	}
	r.PolicyID, r.ProjectID = p.ID, p.ProjectID
	begin(&r.ProvisioningStatus, &r.OperatingStatus, &r.StatusReason, Offline)
	p.Rules = append(slices.Clip(p.Rules), r)
	return nil
}

// UpdateL7Rule changes a rule.
func (t *Tree) UpdateL7Rule(policyID, id string, change func(*L7Rule) error) error {
	old, err := t.L7Rule(policyID, id)
	if err != nil {
		return err
	}
	r := *old
	if err := change(&r); err != nil {
		return err
	}
	p, l, err := t.policyForRules(policyID)
	if err != nil {
		return err
	}
	if err := changeable("L7Rule", id, old.ProvisioningStatus); err != nil {
		return err
	}
	r.ID, r.PolicyID, r.ProjectID = old.ID, old.PolicyID, old.ProjectID
	touch(&r.ProvisioningStatus)
	*old = r
	t.touchPolicy(p, l)
	return nil
}

// DeleteL7Rule asks for a rule's removal.
func (t *Tree) DeleteL7Rule(policyID, id string) error {
	r, err := t.L7Rule(policyID, id)
	if err != nil {
		return err
	}
	p, l, err := t.policyForRules(policyID)
	if err != nil {
		return err
	}
	r.ProvisioningStatus = PendingDelete
	t.touchPolicy(p, l)
	return nil
}

// policyForRules is asked before an operation on a policy's rule: load balancer and policy must be settled.
func (t *Tree) policyForRules(id string) (*L7Policy, *Listener, error) {
	p, l, err := t.L7Policy(id)
	if err != nil {
		return nil, nil, err
	}
	if err := t.childMutable(); err != nil {
		return nil, nil, err
	}
	if !t.settled(p.ProvisioningStatus) {
		return nil, nil, immutable("L7Policy", p.ID)
	}
	return p, l, nil
}

// touchListener marks the load balancer and a listener that something below it changes.
func (t *Tree) touchListener(l *Listener) {
	touch(&l.ProvisioningStatus)
	touch(&t.LoadBalancer.ProvisioningStatus)
}

func (t *Tree) touchPolicy(p *L7Policy, l *Listener) {
	touch(&p.ProvisioningStatus)
	t.touchListener(l)
}

func checkPolicyListener(l *Listener) error {
	if l.Protocol == ProtocolPrometheus {
		return Faultf(KindInvalid, "Protocol %s listeners cannot have child objects.", l.Protocol)
	}
	return nil
}

// checkRedirectPool looks a policy's redirect pool up and checks that it fits.
func (t *Tree) checkRedirectPool(l *Listener, p *L7Policy) error {
	if p.RedirectPoolID == "" {
		return nil
	}
	pool, err := t.Pool(p.RedirectPoolID)
	if err != nil {
		return err
	}
	if pool.ProvisioningStatus == PendingDelete {
		return immutable("Pool", pool.ID)
	}
	return CheckListenerPool(l.Protocol, pool.Protocol)
}

// checkUnredirected refuses to delete a pool that a policy names, whatever state the policy is in.
func (t *Tree) checkUnredirected(poolID string) error {
	for i := range t.Listeners {
		for j := range t.Listeners[i].L7Policies {
			if p := &t.Listeners[i].L7Policies[j]; p.RedirectPoolID == poolID {
				return Faultf(KindConflict, "Pool %s is in use by L7 policy %s", poolID, p.ID)
			}
		}
	}
	return nil
}

// checkPolicy returns what is wrong with a policy that stands at the given place of its listener.
func (t *Tree) checkPolicy(l *Listener, p *L7Policy, position int) error {
	var wrong []error
	if p.ListenerID != l.ID {
		wrong = append(wrong, fmt.Errorf("it is of listener %q", p.ListenerID))
	}
	if p.Position != position {
		wrong = append(wrong, fmt.Errorf("position %d at place %d", p.Position, position))
	}
	if len(p.Rules) > MostL7Rules {
		wrong = append(wrong, fmt.Errorf("%d rules", len(p.Rules)))
	}
	for _, target := range []struct{ action, of string }{
		{ActionRedirectPool, p.RedirectPoolID}, {ActionRedirectURL, p.RedirectURL}, {ActionRedirectPrefix, p.RedirectPrefix},
	} {
		if (target.of != "") != (target.action == p.Action) {
			wrong = append(wrong, fmt.Errorf("action %s with %q for %s", p.Action, target.of, target.action))
		}
	}
	wrong = append(wrong, checkPolicyListener(l))
	if p.RedirectPoolID != "" {
		if pool, err := t.Pool(p.RedirectPoolID); err != nil {
			wrong = append(wrong, fmt.Errorf("redirect pool: %w", err))
		} else if err := CheckListenerPool(l.Protocol, pool.Protocol); err != nil {
			wrong = append(wrong, fmt.Errorf("redirect pool %s: %w", pool.ID, err))
		}
	}
	return errors.Join(wrong...)
}
