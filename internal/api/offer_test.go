package api_test

import (
	"strings"
	"testing"

	"colonnade/internal/lb"
	"colonnade/internal/store"
)

const lbaas = "/v2.0/lbaas/"

func create(l *lab, more string) answer {
	return l.do("POST", lbaas+"loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`"`+more+`}}`)
}

// What a flavor says decides how the cluster is made.
func TestFlavorsShapeClusters(t *testing.T) {
	l := newLab(t, nil)
	for _, c := range []struct {
		name, data         string
		topology           lb.Topology
		desired, min, warm int
		affinity, sharing  string
	}{
		{"nothing", `{}`, "ACTIVE_ACTIVE", 3, 1, 1, "source_ip", "project"},
		{"single", `{"loadbalancer_topology":"SINGLE"}`, "SINGLE", 1, 1, 0, "source_ip", "project"},
		{"pair", `{"loadbalancer_topology":"ACTIVE_STANDBY"}`, "ACTIVE_STANDBY", 1, 1, 1, "source_ip", "project"},
		{"platinum", `{"cluster_size":10,"cluster_min_size":4,"cluster_standby_size":2}`, "ACTIVE_ACTIVE", 10, 4, 2, "source_ip", "project"},
		{"larger minimum", `{"cluster_min_size":5}`, "ACTIVE_ACTIVE", 5, 5, 1, "source_ip", "project"},
		{"by connection", `{"distributor_affinity":"source_ip_port","distributor_sharing":"dedicated","cluster_type":"fixed"}`, "ACTIVE_ACTIVE", 3, 1, 1, "source_ip_port", "dedicated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, flavor := l.flavor(c.name, c.data)
			a := create(l, `,"flavor_id":"`+flavor+`"`)
			if a.status != 201 || a.get(t, "loadbalancer.flavor_id") != flavor {
				t.Fatalf("%d %s", a.status, a.body)
			}
			id := a.id(t, "loadbalancer")
			all, err := l.store.Clusters(t.Context(), store.Query{Filters: map[string][]string{"loadbalancer_id": {id}}})
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			got := all[0].Cluster
			if got.DesiredSize != c.desired || got.MinSize != c.min || got.StandbySize != c.warm || got.Affinity != c.affinity || got.Sharing != c.sharing {
				t.Errorf("%+v", got)
			}
			tree, err := l.store.Tree(t.Context(), id)
			if err != nil || tree.LoadBalancer.Topology != c.topology {
				t.Errorf("topology %s, %v", tree.LoadBalancer.Topology, err)
			}
		})
	}
}

// What a profile may not say is refused before it is written.
func TestProfilesAreChecked(t *testing.T) {
	l := newLab(t, nil)
	for _, c := range []struct {
		path, data string
		status     int
		text       string
	}{
		{"flavorprofile", `[]`, 400, "Value should be a JSON object"},
		{"flavorprofile", `{} {}`, 400, "Value should be one JSON object"},
		{"flavorprofile", `null`, 400, "Value should be a JSON object"},
		{"flavorprofile", `{"size":3}`, 501, "size is none of the options in flavor_data"},
		{"flavorprofile", `{"compute_flavor":"m1"}`, 501, "compute_flavor is none of the options"},
		{"flavorprofile", `{"cluster_size":"3"}`, 501, "cluster_size in flavor_data is to be a int, not a string"},
		{"flavorprofile", `{"cluster_size":null}`, 501, "cluster_size null"},
		{"flavorprofile", `{"cluster_size":1}`, 501, "cluster_size 1; it is from 2 to 32"},
		{"flavorprofile", `{"cluster_size":33}`, 501, "it is from 2 to 32"},
		{"flavorprofile", `{"cluster_size":4,"cluster_min_size":5}`, 501, "cluster_min_size 5; it is from 1 to 4"},
		{"flavorprofile", `{"cluster_standby_size":9}`, 501, "it is from 0 to 8"},
		{"flavorprofile", `{"loadbalancer_topology":"TRIPLE"}`, 501, "loadbalancer_topology TRIPLE; it is one of SINGLE"},
		{"flavorprofile", `{"loadbalancer_topology":"SINGLE","cluster_size":4}`, 501, "cluster sizes with loadbalancer_topology SINGLE"},
		{"flavorprofile", `{"distributor_affinity":"x"}`, 501, "distributor_affinity x"},
		{"availability_zone_profile", `{"compute_zone":"nova"}`, 501, "compute_zone is none of the options"},
		{"availability_zone_profile", `{"valid_vip_networks":"n"}`, 501, "valid_vip_networks in availability_zone_data"},
	} {
		field := map[string]string{"flavorprofile": "flavor_data", "availability_zone_profile": "availability_zone_data"}[c.path]
		body := `{"` + c.path + `":{"name":"p","provider_name":"amphora","` + field + `":` + quoted(c.data) + `}}`
		a := l.do("POST", lbaas+strings.ReplaceAll(c.path, "_", "")+"s", body)
		if a.status != c.status || !strings.Contains(a.body, c.text) {
			t.Errorf("%s: %d %s", c.data, a.status, a.body)
		}
	}
	if n := l.counts()["flavor_profile"] + l.counts()["availability_zone_profile"]; n != 0 {
		t.Errorf("%d profiles were written", n)
	}
}

// What is in use stays, what is switched off is for nobody new, and a name is one offer's.
func TestOffersInUse(t *testing.T) {
	l := newLab(t, nil)
	profile, flavor := l.flavor("gold", `{"cluster_size":4}`)
	zoneProfile := l.zone("east", `{"valid_vip_networks":["`+netID+`"]}`)
	elsewhere := l.zone("west", `{"valid_vip_networks":["`+strangerID+`"]}`)
	says := func(a answer, status int, text string) {
		t.Helper()
		if a.status != status || !strings.Contains(a.body, text) {
			t.Errorf("%d, want %d with %q: %s", a.status, status, text, a.body)
		}
	}
	says(l.do("POST", lbaas+"flavors", `{"flavor":{"name":"gold","flavor_profile_id":"`+profile+`"}}`), 409, "A flavor of gold already exists.")
	says(l.do("POST", lbaas+"flavors", `{"flavor":{"name":"x","flavor_profile_id":"`+strangerID+`"}}`), 400, "Flavor profile "+strangerID+" not found.")
	says(l.do("DELETE", lbaas+"flavorprofiles/"+profile, ""), 409, "Flavor profile "+profile+" is in use")
	says(l.do("PUT", lbaas+"flavorprofiles/"+profile, `{"flavorprofile":{"flavor_data":"{}"}}`), 409, "is in use and cannot be modified")
	says(l.do("PUT", lbaas+"flavorprofiles/"+profile, `{"flavorprofile":{"name":"other"}}`), 200, `"other"`)

	says(create(l, `,"availability_zone":"west"`), 400, "none of those that the availability zone allows")
	a := create(l, `,"flavor_id":"`+flavor+`","availability_zone":"east","provider":"octavia"`)
	says(a, 201, `"availability_zone":"east"`)
	id := a.id(t, "loadbalancer")
	says(l.do("GET", lbaas+"loadbalancers?flavor_id="+flavor, ""), 200, id)
	says(l.do("DELETE", lbaas+"flavors/"+flavor, ""), 409, "Flavor "+flavor+" is in use")
	says(l.do("DELETE", lbaas+"availabilityzones/east", ""), 409, "Availability Zone east is in use")

	says(l.do("PUT", lbaas+"flavors/"+flavor, `{"flavor":{"enabled":false}}`), 200, `"enabled":false`)
	says(create(l, `,"flavor_id":"`+flavor+`"`), 400, "not allowed in this deployment")
	says(l.do("DELETE", lbaas+"availabilityzones/west", ""), 204, "")
	says(l.do("DELETE", lbaas+"availabilityzoneprofiles/"+elsewhere, ""), 204, "")
	says(l.do("GET", lbaas+"availabilityzoneprofiles/"+zoneProfile, ""), 200, `"name":"east"`)
	says(l.do("GET", lbaas+"availabilityzones/west", ""), 404, "Availability Zone west not found.")
	says(l.do("GET", lbaas+"providers/f5/flavor_capabilities", ""), 400, "Provider 'f5' is not enabled.")
	says(l.do("GET", lbaas+"providers/octavia/flavor_capabilities?name=cluster_size&fields=name", ""), 200, `{"flavor_capabilities":[{"name":"cluster_size"}]}`)
	says(l.do("GET", lbaas+"providers?nope=1", ""), 400, "Unknown attribute for filter: nope")
}
