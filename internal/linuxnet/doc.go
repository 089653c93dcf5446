// Package linuxnet is the one place that speaks to the kernel's networking: network namespaces, links, addresses,
// routes, neighbours, forwarding entries, sysctls, sockets inside namespaces. Nothing else imports netlink or netns.
//
// A namespace is named by a path: Path(name) for one of ours under /run/netns, "/proc/<pid>/ns/net" for a process's, ""
// for the caller's own. Calls are written to be repeated: Ensure… and Set… leave alone what is right already, Delete…
// of what is not there is no error.
//
// A *Handle holds one netlink socket, is safe for concurrent use, and has to be closed by whoever opened it. Sockets
// returned by Dial…, Listen… and OpenPacket belong to the caller and stay in the namespace they were made in.
package linuxnet
