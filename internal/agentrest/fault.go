package agentrest

import (
	"errors"

	"colonnade/internal/httpstatus"
	"colonnade/internal/lb"
)

// Fault makes the *lb.Fault again that the agent answered with; any other error comes back as it is.
func Fault(err error) error {
	var se *StatusError
	if errors.As(err, &se) {
		if kind, ok := httpstatus.KindOf(se.Status); ok {
			return lb.Faultf(kind, "%s", se.Text)
		}
	}
	return err
}
