package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"colonnade/internal/api/wire"
	"colonnade/internal/lb"
	"colonnade/internal/network"
	"colonnade/internal/store"
)

// pathPool reads the pool a member's path names. A missing one is a fault of the path, not of an object.
func (s *server) pathPool(ctx context.Context, c *call) (store.PoolItem, error) {
	p, err := byID(ctx, s.Store.Pools, "Pool", c.pool())
	if lb.KindOf(err) == lb.KindNotFound {
		return p, &routeFault{http.StatusNotFound, err.Error()}
	}
	return p, err
}

func (s *server) listMembers(ctx context.Context, c *call) (any, error) {
	p, err := s.pathPool(ctx, c)
	if err == nil {
		err = allowed(principal(ctx).ListsMembers(p.ProjectID))
	}
	if err != nil {
		return nil, err
	}
	c.narrow = map[string][]string{"pool_id": {p.ID}}
	return listed(ctx, c, "members", s.Store.Members, each(memberView), func(m lb.Member) string { return m.ID })
}

func (s *server) showMember(ctx context.Context, c *call) (any, error) {
	p, err := s.pathPool(ctx, c)
	if err != nil {
		return nil, err
	}
	m, err := byID(ctx, s.Store.Members, "Member", c.id())
	if err == nil && m.PoolID != p.ID {
		err = notFound("Member", c.id())
	}
	if err == nil {
		err = mayRead(ctx, m.ProjectID)
	}
	if err != nil {
		return nil, err
	}
	return one(c, "member", memberView(m))
}

// writableMembers reads the pool of the path, for changing its members.
func (s *server) writableMembers(ctx context.Context, c *call) (store.PoolItem, error) {
	p, err := s.pathPool(ctx, c)
	if err != nil {
		return p, err
	}
	return p, mayWrite(ctx, p.ProjectID)
}

func (s *server) createMember(ctx context.Context, c *call) (any, error) {
	var in wire.MemberCreate
	if err := decodeBody(c.body, "member_", "member", &in); err != nil {
		return nil, err
	}
	p, err := s.writableMembers(ctx, c)
	if err != nil {
		return nil, err
	}
	m, err := newMember(in, p.ProjectID)
	if err == nil {
		err = s.checkMemberSubnet(ctx, m)
	}
	if err == nil {
		err = s.checkSRIOVOf(ctx, p.LoadBalancerID, []lb.Member{m})
	}
	if err != nil {
		return nil, err
	}
	tree, err := s.change(ctx, p.LoadBalancerID, func(t *lb.Tree) error { return t.AddMember(p.ID, m) })
	if err != nil {
		return nil, err
	}
	return memberFrom(&tree, p.ID, m.ID)
}

func memberFrom(t *lb.Tree, poolID, id string) (any, error) {
	m, err := t.Member(poolID, id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"member": memberView(*m)}, nil
}

// newMember makes a member of a request, with an id and every default.
func newMember(in wire.MemberCreate, projectID string) (lb.Member, error) {
	m := lb.Member{
		ID: uuid.NewString(), ProjectID: projectID, Enabled: true, Weight: 1,
		Address: in.Address.V, ProtocolPort: in.ProtocolPort.V, SubnetID: in.SubnetID.Or(""),
	}
	if in.RequestSRIOV.V {
		m.VnicType = lb.VnicDirect
	}
	return m, setMember(&m, in.MemberFields)
}

func setMember(m *lb.Member, in wire.MemberFields) error {
	in.Name.Into(&m.Name, "")
	in.AdminStateUp.Into(&m.Enabled, false)
	in.Weight.Into(&m.Weight, 1)
	in.Backup.Into(&m.Backup, false)
	in.MonitorAddress.Into(&m.MonitorAddress, "")
	in.MonitorPort.Into(&m.MonitorPort, 0)
	in.Tags.Into(&m.Tags, m.Tags) // null leaves them
	return lb.ValidateMember(*m)
}

// checkMemberSubnet refuses a member on a subnet that is not there, or that cannot reach it.
func (s *server) checkMemberSubnet(ctx context.Context, m lb.Member) error {
	a, err := netip.ParseAddr(m.Address)
	if err != nil {
		return err
	}
	if m.SubnetID == "" {
		return nil
	}
	s.invent("", "", m.SubnetID, m.Address)
	subnet, err := s.tenantSubnet(ctx, m.SubnetID)
	if err != nil {
		return err
	}
	if _, invented := s.Networks.(network.Inventor); invented {
		return nil // what exists by being named is whatever it is named as
	}
	if p, err := netip.ParsePrefix(subnet.CIDR); err == nil && p.Addr().Is4() != a.Is4() {
		return lb.Invalidf("Member address %s and its subnet %s are not the same IP version.", m.Address, m.SubnetID)
	}
	return nil
}

func (s *server) updateMember(ctx context.Context, c *call) (any, error) {
	var in wire.MemberUpdate
	if err := decodeBody(c.body, "member_", "member", &in); err != nil {
		return nil, err
	}
	p, err := s.writableMembers(ctx, c)
	if err != nil {
		return nil, err
	}
	tree, err := s.change(ctx, p.LoadBalancerID, func(t *lb.Tree) error {
		return t.UpdateMember(p.ID, c.id(), func(m *lb.Member) error { return setMember(m, in.MemberFields) })
	})
	if err != nil {
		return nil, err
	}
	return memberFrom(&tree, p.ID, c.id())
}

func (s *server) deleteMember(ctx context.Context, c *call) (any, error) {
	p, err := s.writableMembers(ctx, c)
	if err == nil {
		_, err = s.change(ctx, p.LoadBalancerID, func(t *lb.Tree) error { return t.DeleteMember(p.ID, c.id()) })
	}
	return nil, err
}

// replaceMembers is the batch: the pool's members become those of the request.
func (s *server) replaceMembers(ctx context.Context, c *call) (any, error) {
	var in []wire.MemberCreate
	if err := decodeBody(c.body, "members_", "members", &in); err != nil {
		return nil, err
	}
	additive, ok := parseBool(c.query.Get("additive_only"))
	if given := c.query.Get("additive_only"); given != "" && !ok {
		return nil, lb.InvalidField("additive_only", given, "Value should be a boolean")
	}
	p, err := s.writableMembers(ctx, c)
	if err != nil {
		return nil, err
	}
	want := make([]lb.Member, len(in))
	checked := map[string]bool{} // subnets, once each
	for i := range in {
		if want[i], err = newMember(in[i], p.ProjectID); err != nil {
			return nil, err
		}
		if m := want[i]; m.SubnetID == "" || !checked[m.SubnetID] {
			if err := s.checkMemberSubnet(ctx, m); err != nil {
				return nil, err
			}
			checked[m.SubnetID] = true
		}
	}
	if err := s.checkSRIOVOf(ctx, p.LoadBalancerID, want); err != nil {
		return nil, err
	}
	_, err = s.change(ctx, p.LoadBalancerID, func(t *lb.Tree) error {
		pool, err := t.Pool(p.ID)
		if err != nil {
			return err
		}
		return t.ReplaceMembers(p.ID, keepOmitted(pool, in, want), additive)
	})
	return nil, err
}

// keepOmitted takes over from a pool's members what a batch does not say of them and has no default: name and tags.
func keepOmitted(p *lb.Pool, in []wire.MemberCreate, want []lb.Member) []lb.Member {
	type place struct {
		address string
		port    int
	}
	had := make(map[place]*lb.Member, len(p.Members))
	for i := range p.Members {
		had[place{p.Members[i].Address, p.Members[i].ProtocolPort}] = &p.Members[i]
	}
	want = slices.Clone(want) // the change may be tried again
	for i := range want {
		if old := had[place{want[i].Address, want[i].ProtocolPort}]; old != nil {
			if !in[i].Name.Set {
				want[i].Name = old.Name
			}
			if !in[i].Tags.Given() {
				want[i].Tags = old.Tags
			}
		}
	}
	return want
}
