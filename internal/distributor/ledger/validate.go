package ledger

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/uuid"

	"colonnade/internal/distributor"
	"colonnade/internal/lb"
)

// Limits of a plug.
const (
	minMTU        = 576
	maxMTU        = 65535
	maxHostRoutes = 64
	keyBytes      = 16
)

func invalid(format string, args ...any) error { return lb.Faultf(lb.KindInvalid, format, args...) }

// ValidatePlug checks every field before any of them is used.
func ValidatePlug(pathID string, p distributor.VIPPlug) error {
	if err := checkTarget(pathID, p.LBID, p.Stamp); err != nil {
		return err
	}
	vip, err := netip.ParseAddr(p.VIPAddress)
	switch {
	case err != nil || vip.Zone() != "" || vip.String() != p.VIPAddress:
		return invalid("vip_address %q: not an IP address", p.VIPAddress)
	case !vip.Is4():
		return lb.Faultf(lb.KindUnsupported, "vip_address %q: this distributor's dataplane forwards IPv4 only", p.VIPAddress)
	case !vip.IsGlobalUnicast():
		return invalid("vip_address %q: not a unicast address", p.VIPAddress)
	}
	subnet, err := netip.ParsePrefix(p.SubnetCIDR)
	if err != nil || subnet.Masked() != subnet || subnet.Addr().Is4() != vip.Is4() {
		return invalid("subnet_cidr %q: not a network of the VIP's family", p.SubnetCIDR)
	}
	if p.Gateway != "" {
		if gw, err := netip.ParseAddr(p.Gateway); err != nil || !subnet.Contains(gw) {
			return invalid("gateway %q: not an address of %s", p.Gateway, p.SubnetCIDR)
		}
	}
	if err := checkMAC("mac_address", p.MACAddress); err != nil {
		return err
	}
	if p.MTU != 0 && (p.MTU < minMTU || p.MTU > maxMTU) {
		return invalid("mtu %d: not 0 or between %d and %d", p.MTU, minMTU, maxMTU)
	}
	if len(p.HostRoutes) > maxHostRoutes {
		return invalid("host_routes: %d, at most %d", len(p.HostRoutes), maxHostRoutes)
	}
	for i, r := range p.HostRoutes {
		if dst, err := netip.ParsePrefix(r.Destination); err != nil || dst.Masked() != dst || dst.Addr().Is4() != vip.Is4() {
			return invalid("host_routes[%d].destination %q: not a network of the VIP's family", i, r.Destination)
		}
		if hop, err := netip.ParseAddr(r.NextHop); err != nil || !subnet.Contains(hop) {
			return invalid("host_routes[%d].nexthop %q: not an address of %s", i, r.NextHop, p.SubnetCIDR)
		}
	}
	if p.AlgExtras.Algorithm != "hash" {
		return invalid("alg_extras.algorithm %q: only \"hash\" is known", p.AlgExtras.Algorithm)
	}
	if err := checkAffinity("alg_extras.affinity", p.AlgExtras.Affinity); err != nil {
		return err
	}
	return checkKey("probe_key", p.ProbeKey)
}

// ValidateTable checks every field; what it lets through can be compiled.
func ValidateTable(pathID string, r distributor.Registrations) error {
	if err := checkTarget(pathID, r.LBID, r.Stamp); err != nil {
		return err
	}
	t := r.Table
	if t.Version != r.Revision {
		return invalid("table.version %d: not the stamp's revision %d", t.Version, r.Revision)
	}
	if t.TakenSwap < 0 {
		return invalid("table.taken_swap %d: negative", t.TakenSwap)
	}
	if err := checkKey("table.key", t.Key); err != nil {
		return err
	}
	for i, h := range t.Holders {
		if !isUUID(h.AmphoraID) {
			return invalid("table.holders[%d].amphora_id %q: not a UUID", i, h.AmphoraID)
		}
		if err := checkMAC(fmt.Sprintf("table.holders[%d].mac", i), h.MAC); err != nil {
			return err
		}
	}
	if err := t.Validate(); err != nil {
		return invalid("%v", err)
	}
	return nil
}

func checkTarget(pathID, bodyID string, s lb.Stamp) error {
	if err := CheckLBID(pathID); err != nil {
		return err
	}
	if bodyID != pathID {
		return invalid("lb_id %q: the path names %s", bodyID, pathID)
	}
	return CheckStamp(s)
}

// CheckLBID refuses what is not a UUID in its one canonical form.
func CheckLBID(id string) error {
	if !isUUID(id) {
		return invalid("lb_id %q: not a UUID", id)
	}
	return nil
}

// CheckStamp refuses values that no sender can have.
func CheckStamp(s lb.Stamp) error {
	if s.Epoch < 1 || s.Revision < 0 || s.Serial < 0 {
		return invalid("stamp: epoch %d, revision %d, serial %d: epochs begin at 1, none is negative", s.Epoch, s.Revision, s.Serial)
	}
	return nil
}

// isUUID accepts the one canonical form, so that an id is one file name and one namespace.
func isUUID(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}

func checkMAC(field, s string) error {
	m, err := net.ParseMAC(s)
	if err != nil || len(m) != 6 || m.String() != s || m[0]&1 != 0 || s == "00:00:00:00:00:00" {
		return invalid("%s %q: not a unicast MAC address, lower-case with colons", field, s)
	}
	return nil
}

func checkAffinity(field string, a distributor.Affinity) error {
	if a != distributor.AffinitySourceIP && a != distributor.AffinitySourceIPPort {
		return invalid("%s %q: not %q or %q", field, a, distributor.AffinitySourceIP, distributor.AffinitySourceIPPort)
	}
	return nil
}

// checkKey never shows the key.
func checkKey(field, s string) error {
	if b, err := hex.DecodeString(s); err != nil || len(b) != keyBytes || strings.ToLower(s) != s {
		return invalid("%s: not %d bytes in lower-case hex digits", field, keyBytes)
	}
	return nil
}
