package gophercloud_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/amphorae"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/apiversions"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/flavorprofiles"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/providers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/quotas"
)

func TestVersions(t *testing.T) {
	s := newSuite(t)
	page, err := apiversions.List(s.lb).AllPages(s.Context())
	s.must(err)
	found, err := apiversions.ExtractAPIVersions(page)
	s.must(err)
	if len(found) != 31 || found[30] != (apiversions.APIVersion{ID: "v2.30", Status: "CURRENT"}) {
		t.Errorf("found %+v", found)
	}
}

func TestAmphorae(t *testing.T) {
	s := newSuite(t)
	ctx := s.Context()
	l, err := loadbalancers.Create(ctx, s.lb, loadbalancers.CreateOpts{VipSubnetID: s.subnet}).Extract()
	s.must(err)
	s.active(l.ID)
	found := all(s, amphorae.List(s.lb, amphorae.ListOpts{LoadbalancerID: l.ID, Limit: 1}), amphorae.ExtractAmphorae)
	if len(found) == 0 {
		t.Fatal("no amphora")
	}
	a, err := amphorae.Get(ctx, s.lb, found[0].ID).Extract()
	s.must(err)
	if a.LoadbalancerID != l.ID || a.Status == "" || a.ComputeID == "" || a.CreatedAt.IsZero() {
		t.Errorf("amphora: %+v", a)
	}
	s.until("ALLOCATED", func() bool {
		a, err = amphorae.Get(ctx, s.lb, a.ID).Extract()
		s.must(err)
		return a.Status == "ALLOCATED"
	})
	if a.CertExpiration.IsZero() {
		t.Errorf("amphora: %+v", a)
	}
	s.must(amphorae.Failover(ctx, s.lb, a.ID).ExtractErr())
	s.active(l.ID)
	same(s, "answer to a failover of nothing", status(amphorae.Failover(ctx, s.lb, l.ID).ExtractErr()), 404)
}

func TestQuotas(t *testing.T) {
	s := newSuite(t)
	ctx := s.Context()
	unlimited := quotas.Quota{Loadbalancer: -1, Listener: -1, Member: -1, Pool: -1, Healthmonitor: -1, L7Policy: -1, L7Rule: -1}
	q, err := quotas.Get(ctx, s.lb, "p").Extract()
	s.must(err)
	same(s, "quota at first", *q, unlimited)
	q, err = quotas.Update(ctx, s.lb, "p", quotas.UpdateOpts{
		Loadbalancer: ptr(1), Listener: ptr(2), Member: ptr(3), Pool: ptr(4), Healthmonitor: ptr(5), L7Policy: ptr(6), L7Rule: ptr(7),
	}).Extract()
	s.must(err)
	want := quotas.Quota{Loadbalancer: 1, Listener: 2, Member: 3, Pool: 4, Healthmonitor: 5, L7Policy: 6, L7Rule: 7}
	same(s, "answer", *q, want)
	q, err = quotas.Get(ctx, s.lb, "p").Extract()
	s.must(err)
	same(s, "quota", *q, want)
	make := func() error {
		return loadbalancers.Create(ctx, s.lb, loadbalancers.CreateOpts{VipSubnetID: s.subnet, ProjectID: "p"}).Err
	}
	s.must(make())
	same(s, "answer beyond the quota", status(make()), 403)
	s.must(quotas.Delete(ctx, s.lb, "p").ExtractErr())
	q, err = quotas.Get(ctx, s.lb, "p").Extract()
	s.must(err)
	same(s, "quota in the end", *q, unlimited)
	s.must(make())
}

func TestProviders(t *testing.T) {
	s := newSuite(t)
	ctx := s.Context()
	found := all(s, providers.List(s.lb, nil), providers.ExtractProviders)
	if d := cmp.Diff([]string{"amphora", "octavia"}, ids(found, func(p providers.Provider) string { return p.Name })); d != "" {
		t.Error(d)
	}
	capabilities, err := providers.ListFlavorCapabilities(ctx, s.lb, "amphora", nil).Extract()
	s.must(err)
	has := map[string]bool{}
	for _, c := range capabilities {
		has[c.Name] = c.Description != ""
	}
	for _, name := range []string{"loadbalancer_topology", "compute_flavor", "amp_image_tag"} {
		if !has[name] {
			t.Errorf("no flavor capability %s in %v", name, has)
		}
	}
	zones, err := providers.ListAvailabilityZoneCapabilities(ctx, s.lb, "amphora", providers.ListAvailabilityZoneCapabilitiesOpts{Fields: []string{"name"}}).Extract()
	s.must(err)
	if len(zones) == 0 || zones[0].Name == "" || zones[0].Description != "" {
		t.Errorf("zones: %+v", zones)
	}
}

func TestFlavors(t *testing.T) {
	s := newSuite(t)
	ctx := s.Context()
	profile, err := flavorprofiles.Create(ctx, s.lb, flavorprofiles.CreateOpts{Name: "fp", ProviderName: "amphora", FlavorData: `{"loadbalancer_topology": "ACTIVE_STANDBY"}`}).Extract()
	s.must(err)
	_, err = flavorprofiles.Update(ctx, s.lb, profile.ID, flavorprofiles.UpdateOpts{Name: "profile", ProviderName: "amphora", FlavorData: `{"loadbalancer_topology": "SINGLE"}`}).Extract()
	s.must(err)
	profile, err = flavorprofiles.Get(ctx, s.lb, profile.ID).Extract()
	s.must(err)
	same(s, "data", profile.FlavorData, `{"loadbalancer_topology": "SINGLE"}`)
	same(s, "profiles of that name", len(all(s, flavorprofiles.List(s.lb, flavorprofiles.ListOpts{Name: "profile", ProviderName: "amphora"}), flavorprofiles.ExtractFlavorProfiles)), 1)

	flavor, err := flavors.Create(ctx, s.lb, flavors.CreateOpts{Name: "small", Description: "one", FlavorProfileId: profile.ID, Enabled: true}).Extract()
	s.must(err)
	_, err = flavors.Update(ctx, s.lb, flavor.ID, flavors.UpdateOpts{Name: "tiny", Description: "one amphora", Enabled: true}).Extract()
	s.must(err)
	flavor, err = flavors.Get(ctx, s.lb, flavor.ID).Extract()
	s.must(err)
	same(s, "flavor", *flavor, flavors.Flavor{ID: flavor.ID, Name: "tiny", Description: "one amphora", Enabled: true, FlavorProfileId: profile.ID})
	same(s, "flavors of that profile", len(all(s, flavors.List(s.lb, flavors.ListOpts{FlavorProfileID: profile.ID, Enabled: ptr(true)}), flavors.ExtractFlavors)), 1)

	l, err := loadbalancers.Create(ctx, s.lb, loadbalancers.CreateOpts{VipSubnetID: s.subnet, FlavorID: flavor.ID}).Extract()
	s.must(err)
	same(s, "flavor of the load balancer", l.FlavorID, flavor.ID)
	s.active(l.ID)
	same(s, "answer to the deletion of a profile in use", status(flavorprofiles.Delete(ctx, s.lb, profile.ID).ExtractErr()), 409)
	same(s, "answer to the deletion of a flavor in use", status(flavors.Delete(ctx, s.lb, flavor.ID).ExtractErr()), 409)
	s.must(loadbalancers.Delete(ctx, s.lb, l.ID, nil).ExtractErr())
	s.gone(l.ID)
	s.must(flavors.Delete(ctx, s.lb, flavor.ID).ExtractErr())
	s.must(flavorprofiles.Delete(ctx, s.lb, profile.ID).ExtractErr())
	same(s, "answer to a look at a deleted flavor", status(flavors.Get(ctx, s.lb, flavor.ID).Err), 404)
}
