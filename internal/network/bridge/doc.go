// Package bridge is the embedded network driver: Linux bridges in a namespace of their own, veth pairs, own address
// management (docs/ARCHITECTURE.md, parts and processes). Everything it makes carries the state directory's prefix:
//
//	<prefix>-switch   all bridges and the bridge side of every port; no address, no forwarding
//	<prefix>-gateway  the gateway address of every subnet, joined to the host by one routed link
//	<prefix>-mgmt     the control plane's end of the management network: it dials and listens here
//	<prefix>          the host's end of that one link, with one route for each tenant subnet
//
// Nothing else of the host is touched. Rows are in the Store; the kernel is made to match them, and every call can be
// repeated after a crash at any point.
package bridge
