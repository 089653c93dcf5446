package network

import "context"

// QoSPolicies is what a driver does whose ports have a quality of service. A missing policy is an lb.KindNotFound fault.
type QoSPolicies interface {
	QoSPolicy(ctx context.Context, id string) error
}
