package api_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	amphoranoop "colonnade/internal/amphora/noop"
	"colonnade/internal/api"
	networknoop "colonnade/internal/network/noop"
)

const lbs = "/v2.0/lbaas/loadbalancers"

// newNoopLab is the API over drivers that take everything.
func newNoopLab(t *testing.T) *lab {
	l := newLab(t, nil)
	driver := networknoop.New()
	l.with(func(d *api.Deps) {
		d.Networks, d.Provider, d.Operator, d.Ports = driver, amphoranoop.Provider{}, nil, nil
	})
	return l
}

func id(n int) string { return fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n) }

func TestAdditionalVIPs(t *testing.T) {
	l := newNoopLab(t)
	a := l.must(201, "POST", lbs, `{"loadbalancer":{"vip_network_id":"`+id(1)+`","vip_subnet_id":"`+id(2)+`","additional_vips":[
		{"subnet_id":"`+id(3)+`"},{"subnet_id":"`+id(4)+`","ip_address":"2001:db8::5"}],
		"listeners":[{"protocol":"HTTP","protocol_port":80,"allowed_cidrs":["10.0.0.0/8","2001:db8::/32"]}]}}`)
	lbID := a.id(t, "loadbalancer")
	l.settle(lbID)
	a = l.must(200, "GET", lbs+"/"+lbID, "")
	for i, subnet := range []string{id(3), id(4)} {
		at := fmt.Sprint("loadbalancer.additional_vips.", i)
		port, _ := a.get(t, at+".port_id").(string)
		if a.get(t, at+".subnet_id") != subnet || a.get(t, at+".ip_address") == "" || port == "" || port == a.get(t, "loadbalancer.vip_port_id") {
			t.Errorf("%v", a.get(t, at))
		}
		p, err := l.deps.Networks.Port(t.Context(), port)
		if err != nil || p.OwnerID != lbID || p.SubnetID != subnet {
			t.Errorf("%+v %v", p, err)
		}
	}
	if got := a.get(t, "loadbalancer.additional_vips.1.ip_address"); got != "2001:db8::5" {
		t.Errorf("%v", got)
	}
	const base = `{"loadbalancer":{"vip_subnet_id":"`
	for _, c := range []struct{ name, more, text string }{
		{"one subnet twice", `"additional_vips":[{"subnet_id":"` + id(3) + `"},{"subnet_id":"` + id(3) + `"}]`, "Validation failure: Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."},
		{"the VIP's own subnet", `"additional_vips":[{"subnet_id":"` + id(2) + `"}]`, "Validation failure: Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."},
		{"a family that no VIP has", `"listeners":[{"protocol":"HTTP","protocol_port":80,"allowed_cidrs":["2001:db8::/32"]}]`, ""},
	} {
		a := l.must(400, "POST", lbs, base+id(2)+`",`+c.more+`}}`)
		if got := a.get(t, "faultstring"); c.text != "" && got != c.text {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	// A subnet that is known to be of another network.
	l.must(201, "POST", lbs, `{"loadbalancer":{"vip_network_id":"`+id(9)+`","vip_subnet_id":"`+id(8)+`"}}`)
	a = l.must(400, "POST", lbs, base+id(2)+`","additional_vips":[{"subnet_id":"`+id(8)+`"}]}}`)
	if got := a.get(t, "faultstring"); got != "Validation failure: All VIP subnets must belong to the same network." {
		t.Errorf("%q", got)
	}
	t.Run("not by HAProxy, and no port is left", func(t *testing.T) {
		l := newLab(t, nil)
		before := l.counts()
		l.must(400, "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"`+subnetID+`","additional_vips":[{"subnet_id":"`+subnetID+`"}]}}`)
		if after := l.counts(); after["port"] != before["port"] || after["load_balancer"] != 0 {
			t.Errorf("%v, before %v", after, before)
		}
	})
}

func TestQoSPolicyAndSecurityGroups(t *testing.T) {
	l := newNoopLab(t)
	lbID := l.must(201, "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"`+id(2)+`","vip_qos_policy_id":"`+id(5)+`","vip_sg_ids":["`+id(6)+`"]}}`).id(t, "loadbalancer")
	l.settle(lbID)
	shown := func(a answer) []any {
		t.Helper()
		return []any{a.get(t, "loadbalancer.vip_qos_policy_id"), a.get(t, "loadbalancer.vip_sg_ids"), a.get(t, "loadbalancer.vip_vnic_type")}
	}
	if d := cmp.Diff([]any{id(5), []any{id(6)}, "normal"}, shown(l.must(200, "GET", lbs+"/"+lbID, ""))); d != "" {
		t.Error(d)
	}
	if n := len(l.must(200, "GET", lbs+"?vip_qos_policy_id="+id(5), "").get(t, "loadbalancers").([]any)); n != 1 {
		t.Errorf("%d have the policy", n)
	}
	a := l.must(400, "POST", "/v2.0/lbaas/listeners", `{"listener":{"loadbalancer_id":"`+lbID+`","protocol":"TCP","protocol_port":1,"allowed_cidrs":["10.0.0.0/8"]}}`)
	if got := a.get(t, "faultstring"); got != "Validation failure: Allowed CIDRs are not allowed when using custom VIP Security Groups." {
		t.Errorf("%q", got)
	}
	if d := cmp.Diff([]any{nil, []any{}, "normal"}, shown(l.must(200, "PUT", lbs+"/"+lbID, `{"loadbalancer":{"vip_qos_policy_id":null,"vip_sg_ids":null}}`))); d != "" {
		t.Error(d)
	}
	l.settle(lbID)
	l.must(201, "POST", "/v2.0/lbaas/listeners", `{"listener":{"loadbalancer_id":"`+lbID+`","protocol":"TCP","protocol_port":1,"allowed_cidrs":["10.0.0.0/8"]}}`)
	l.settle(lbID)
	l.must(400, "PUT", lbs+"/"+lbID, `{"loadbalancer":{"vip_sg_ids":["`+id(6)+`"]}}`)
}

func TestSRIOV(t *testing.T) {
	l := newNoopLab(t)
	_, plain := l.flavor("plain", "{}")
	_, direct := l.flavor("direct", `{"sriov_vip":true,"allow_member_sriov":true}`)
	const pool = `"pools":[{"name":"p","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN","members":[{"address":"198.18.0.9","protocol_port":1,"request_sriov":true}]}]`
	for _, flavor := range []string{``, `,"flavor_id":"` + plain + `"`} {
		a := l.must(400, "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"`+id(2)+`",`+pool+flavor+`}}`)
		if got := a.get(t, "faultstring"); got != "Validation failure: The load balancer flavor does not allow SR-IOV member ports." {
			t.Errorf("%q", got)
		}
	}
	a := l.must(201, "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"`+id(2)+`",`+pool+`,"flavor_id":"`+direct+`"}}`)
	lbID, poolID := a.id(t, "loadbalancer"), a.id(t, "loadbalancer.pools.0")
	if vip, member := a.get(t, "loadbalancer.vip_vnic_type"), a.get(t, "loadbalancer.pools.0.members.0.vnic_type"); vip != "direct" || member != "direct" {
		t.Error(vip, member)
	}
	l.settle(lbID)
	members := "/v2.0/lbaas/pools/" + poolID + "/members"
	l.must(201, "POST", members, `{"member":{"address":"198.18.0.10","protocol_port":1,"request_sriov":true}}`)
	l.settle(lbID)
	// A batch changes no member's kind of port.
	l.must(202, "PUT", members, `{"members":[{"address":"198.18.0.10","protocol_port":1,"weight":5},{"address":"198.18.0.11","protocol_port":1}]}`)
	l.settle(lbID)
	for address, want := range map[string]string{"198.18.0.10": "direct", "198.18.0.11": "normal"} {
		if got := l.must(200, "GET", members+"?address="+address, "").get(t, "members.0.vnic_type"); got != want {
			t.Errorf("%s is %v", address, got)
		}
	}
	l.must(400, "PUT", lbs+"/"+lbID, `{"loadbalancer":{"vip_sg_ids":["`+id(6)+`"]}}`)
	plainLB := l.must(201, "POST", lbs, `{"loadbalancer":{"vip_subnet_id":"`+id(2)+`","pools":[{"name":"p","protocol":"HTTP","lb_algorithm":"ROUND_ROBIN"}]}}`)
	l.settle(plainLB.id(t, "loadbalancer"))
	l.must(400, "POST", "/v2.0/lbaas/pools/"+plainLB.id(t, "loadbalancer.pools.0")+"/members", `{"member":{"address":"198.18.0.10","protocol_port":1,"request_sriov":true}}`)
}
