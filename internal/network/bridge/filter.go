package bridge

import (
	"fmt"
	"strings"

	"colonnade/internal/network"
)

// switchTable, applied whole, replaces what is there in one transaction. A tenant's own machine may send nothing but
// IPv4 and ARP from its own MAC and address: no probe frames, no one else's address, no VIP. Our own ports (distributor,
// amphorae) send clients' and VIPs' addresses by design and are not looked at.
const switchTable = `
table bridge colonnade
delete table bridge colonnade
table bridge colonnade {
	set tenant { type ifname; }
	set station { type ifname . ether_addr; }
	set source { type ifname . ether_addr . ipv4_addr; }
	chain check {
		iifname . ether saddr != @station counter drop
		ether type ip iifname . ether saddr . ip saddr @source accept
		ether type arp iifname . arp saddr ether . arp saddr ip @source accept
		counter drop
	}
	chain ingress {
		type filter hook prerouting priority -300; policy accept;
		iifname @tenant goto check
	}
}
`

// Uplink begins the names of devices in the gateway namespace that lead outside beside the host: what an operator moves
// there to give tenants' addresses to a real network.
const Uplink = "up-"

// gatewayTable: the host and the outside may open connections into tenant networks; tenants reach neither the host nor
// each other. Who has a floating IP may go outside by it.
var gatewayTable = `
table inet colonnade
delete table inet colonnade
table inet colonnade {
	chain forward {
		type filter hook forward priority 0; policy drop;
		iifname "` + gatewayHostLink + `" accept
		iifname "` + Uplink + `*" accept
		oifname "` + gatewayHostLink + `" ct state established,related accept
		oifname "` + Uplink + `*" ct state established,related accept
		oifname "` + Uplink + `*" meta mark ` + fmt.Sprintf("%#x", floatingMark) + ` accept
	}
	chain input {
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		iifname { "lo", "` + gatewayHostLink + `" } accept
		icmp type echo-request accept
	}
}
`

// filterElements binds tenant ports to their MAC and address.
func filterElements(ports []network.Port) string {
	var b strings.Builder
	for _, p := range ports {
		if p.Purpose == network.PurposeTenant {
			b.WriteString(elements("add", p))
		}
	}
	return b.String()
}

// removeElements also works for what is not there: add first, in the same transaction.
func removeElements(p network.Port) string { return elements("add", p) + elements("delete", p) }

// elements is ordered so that a port is never among the tenants without its own address allowed.
func elements(verb string, p network.Port) string {
	side := portLink(p.ID)
	return fmt.Sprintf("%[1]s element bridge colonnade source { %[2]q . %[3]s . %[4]s }\n"+
		"%[1]s element bridge colonnade station { %[2]q . %[3]s }\n"+
		"%[1]s element bridge colonnade tenant { %[2]q }\n", verb, side, p.MAC, p.Address)
}
