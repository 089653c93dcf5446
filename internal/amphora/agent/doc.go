// Package agent is what runs inside an amphora, in its management namespace: it takes documents and tables from
// controllers, keeps the tenant namespace and HAProxy as they say, answers for HAProxy's life, and tells how things are.
// It imports nothing of the control plane. cmd/colonnade-agent and the OpenAPI generator import it.
package agent
