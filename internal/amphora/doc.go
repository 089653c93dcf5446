// Package amphora holds what the control plane and the amphora agent agree on: the desired document, its answers, and
// the client. Its agent/ and haproxy/ sub-packages are the other side.
package amphora
