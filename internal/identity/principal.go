package identity

import "slices"

// Principal is who makes a request. Its methods are the rules of Octavia's default policy, under their names there; both
// families of roles count: Keystone's own (admin, member, reader) and Octavia's (load-balancer_…). Where new defaults are
// enforced, the latter are taken away before anybody asks, see NewDefaults.
type Principal struct {
	UserID    string
	ProjectID string // "" for a token without a project
	Roles     []string
	// NoQuota says that no quota holds for what p makes.
	NoQuota bool
}

func (p Principal) has(roles ...string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(p.Roles, r) })
}

func (p Principal) owns(projectID string) bool { return projectID != "" && projectID == p.ProjectID }

// Admin reports whether p may do everything, the operator's calls included: load-balancer:admin.
func (p Principal) Admin() bool { return p.has("admin", "load-balancer_admin") }

// ReadsAll reports whether p may read every project: load-balancer:read-global.
func (p Principal) ReadsAll() bool { return p.Admin() || p.has("load-balancer_global_observer") }

// Reads reports whether p may read objects of this project: load-balancer:read.
func (p Principal) Reads(projectID string) bool {
	return p.ReadsAll() || p.owns(projectID) && p.has("load-balancer_observer", "load-balancer_member", "reader", "member")
}

// ReadsShared reports whether p may read what belongs to no project: flavors, availability zones, providers. The rule is
// load-balancer:read over the caller's own project.
func (p Principal) ReadsShared() bool { return p.Reads(p.ProjectID) }

// ListsMembers reports whether p may list the members of a pool of this project, which services (Aodh) may in all of
// them: load-balancer:read or service.
func (p Principal) ListsMembers(projectID string) bool { return p.Reads(projectID) || p.has("service") }

// Writes reports whether p may change objects of this project: load-balancer:write.
func (p Principal) Writes(projectID string) bool {
	return p.Admin() || p.owns(projectID) && p.has("load-balancer_member", "member")
}

// ReadsQuota reports whether p may read the quota of this project: load-balancer:read-quota.
func (p Principal) ReadsQuota(projectID string) bool { return p.ReadsAllQuotas() || p.Reads(projectID) }

// ReadsAllQuotas reports whether p may read the quotas of every project: load-balancer:read-quota-global.
func (p Principal) ReadsAllQuotas() bool { return p.ReadsAll() || p.WritesQuota() }

// WritesQuota reports whether p may change quotas, of any project: load-balancer:write-quota.
func (p Principal) WritesQuota() bool { return p.Admin() || p.has("load-balancer_quota_admin") }
