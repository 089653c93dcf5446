package agentrest

import (
	"errors"

	"colonnade/internal/lb"
)

// kindOf is the way back from statusOf. What went wrong inside the agent stays a StatusError.
var kindOf = func() map[int]lb.Kind {
	back := map[int]lb.Kind{}
	for kind, status := range statusOf {
		if kind != lb.KindInternal {
			back[status] = kind
		}
	}
	return back
}()

// Fault makes the *lb.Fault again that the agent answered with; any other error comes back as it is.
func Fault(err error) error {
	var se *StatusError
	if errors.As(err, &se) {
		if kind, ok := kindOf[se.Status]; ok {
			return lb.Faultf(kind, "%s", se.Text)
		}
	}
	return err
}
