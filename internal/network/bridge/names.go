package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"path/filepath"
)

// PrefixFor names everything that belongs to one state directory, so that two may live on one machine.
func PrefixFor(stateDir string) string {
	if abs, err := filepath.Abs(stateDir); err == nil {
		stateDir = abs
	}
	return "cn" + digest(stateDir, 6)
}

// Names of devices; Linux allows 15 characters.
const managementBridge = "br-mgmt"

func bridgeName(networkID string) string {
	if networkID == ManagementNetworkID {
		return managementBridge
	}
	return "br-" + digest(networkID, 11)
}

func portLink(portID string) string             { return "p-" + digest(portID, 11) }
func gatewaySwitchLink(networkID string) string { return "g-" + digest(networkID, 11) }
func gatewayLink(networkID string) string       { return "n-" + digest(networkID, 11) }

// Devices inside our namespaces whose names are fixed.
const (
	managementSwitchLink = "mgmt" // in the switch
	managementLink       = "eth0" // in the management namespace
	gatewayHostLink      = "host" // in the gateway, towards the host
)

func digest(s string, digits int) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:digits]
}

// macOf derives a locally administered unicast address, so that a retry and a rebuilt realization have the same one.
func macOf(kind, id string) net.HardwareAddr {
	sum := sha256.Sum256([]byte(kind + ":" + id))
	mac := net.HardwareAddr(sum[:6:6])
	mac[0] = mac[0]&^0x03 | 0x02
	return mac
}
