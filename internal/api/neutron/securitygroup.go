package neutron

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"colonnade/internal/lb"
	"colonnade/internal/network"
)

// defaultGroup is the name of the security group that every project has.
const defaultGroup = "default"

// groups lists the caller's security groups; the default one of the caller's project is made when it is looked for first.
func (a *API) groups(ctx context.Context) ([]network.SecurityGroup, Networks, error) {
	d, err := a.driver()
	if err != nil {
		return nil, nil, err
	}
	who := a.Who(ctx)
	if who.Writes(who.ProjectID) && who.ProjectID != "" {
		if _, err := d.CreateSecurityGroup(ctx, network.SecurityGroup{
			ID: defaultGroupID(who.ProjectID), ProjectID: who.ProjectID, Name: defaultGroup, Description: "Default security group",
		}); err != nil {
			return nil, nil, err
		}
	}
	all, err := d.SecurityGroups(ctx)
	return slices.DeleteFunc(all, func(g network.SecurityGroup) bool { return !who.Reads(g.ProjectID) }), d, err
}

func defaultGroupID(projectID string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("colonnade default security group "+projectID)).String()
}

func (a *API) group(ctx context.Context, id string, to access) (network.SecurityGroup, Networks, error) {
	all, d, err := a.groups(ctx)
	if err != nil {
		return network.SecurityGroup{}, nil, err
	}
	i := slices.IndexFunc(all, func(g network.SecurityGroup) bool { return g.ID == id })
	if i < 0 {
		return network.SecurityGroup{}, nil, hidden(groupNotFound, groupMissing, id)
	}
	if to == write && !a.Who(ctx).Writes(all[i].ProjectID) {
		return all[i], nil, forbidden
	}
	return all[i], d, nil
}

func (a *API) listSecurityGroups(ctx context.Context, r Request) (any, error) {
	all, _, err := a.groups(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]SecurityGroup, len(all))
	for i, g := range all {
		views[i] = groupView(g)
	}
	return listed(r, "security_groups", views)
}

func (a *API) showSecurityGroup(ctx context.Context, r Request) (any, error) {
	g, _, err := a.group(ctx, r.ID, read)
	if err != nil {
		return nil, err
	}
	return one(r, "security_group", groupView(g))
}

func (a *API) createSecurityGroup(ctx context.Context, r Request) (any, error) {
	d, err := a.driver()
	if err != nil {
		return nil, err
	}
	var in SecurityGroupCreate
	if err := a.Decode(r.Body, "security_group", "security_group", &in); err != nil {
		return nil, err
	}
	project, err := a.Project(ctx, in.ProjectID.Or(""), in.TenantID.Or(""))
	if err == nil {
		err = refused(option{"A stateless security group", !in.Stateful.Or(true)})
	}
	if err == nil && in.Name.Or("") == defaultGroup {
		err = faultf("SecurityGroupDefaultAlreadyExists", lb.KindConflict, "Default security group already exists.")
	}
	if err != nil {
		return nil, err
	}
	g, err := d.CreateSecurityGroup(ctx, network.SecurityGroup{
		ID: uuid.NewString(), ProjectID: project, Name: in.Name.Or(""), Description: in.Description.Or(""),
	})
	if err != nil {
		return nil, err
	}
	return one(Request{}, "security_group", groupView(g))
}

func (a *API) updateSecurityGroup(ctx context.Context, r Request) (any, error) {
	g, d, err := a.group(ctx, r.ID, write)
	if err != nil {
		return nil, err
	}
	var in SecurityGroupUpdate
	if err := a.Decode(r.Body, "security_group", "security_group", &in); err != nil {
		return nil, err
	}
	if g.ID == defaultGroupID(g.ProjectID) && in.Name.Or(g.Name) != g.Name {
		return nil, faultf("SecurityGroupCannotUpdateDefault", lb.KindConflict, "Updating default security group not allowed.")
	}
	if err := refused(option{"A stateless security group", !in.Stateful.Or(true)}); err != nil {
		return nil, err
	}
	g, err = d.UpdateSecurityGroup(ctx, r.ID, func(g *network.SecurityGroup) error {
		in.Name.Into(&g.Name, "")
		in.Description.Into(&g.Description, "")
		return nil
	})
	if err != nil {
		return nil, typed(groupNotFound, err)
	}
	return one(Request{}, "security_group", groupView(g))
}

func (a *API) deleteSecurityGroup(ctx context.Context, r Request) (any, error) {
	g, d, err := a.group(ctx, r.ID, write)
	if err == nil && g.ID == defaultGroupID(g.ProjectID) {
		err = faultf("SecurityGroupCannotRemoveDefault", lb.KindConflict, "Removing default security group not allowed.")
	}
	if err == nil {
		err = d.DeleteSecurityGroup(ctx, r.ID)
	}
	return nil, err
}

// refuseRule says no to every rule: one that nothing enforces would be worse than none.
func refuseRule(context.Context, Request) (any, error) {
	return nil, lb.Faultf(lb.KindUnsupported, "Security group rules are not enforced in this deployment, so none can be made; "+
		"a listener's allowed_cidrs say who reaches it.")
}
