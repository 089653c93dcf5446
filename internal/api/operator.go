package api

import (
	"context"

	"colonnade/internal/identity"
	"colonnade/internal/lb"
)

// operatorOf returns op, who makes what tenants' load balancers stand on, if the caller may ask and the deployment has one;
// elsewhere is said where it has none.
func operatorOf[O comparable](ctx context.Context, op O, elsewhere string) (O, error) {
	var none O
	if err := mayOperate(ctx); err != nil {
		return none, err
	}
	if op == none {
		return none, lb.Faultf(lb.KindUnsupported, "%s", elsewhere)
	}
	return op, nil
}

// projectFor is whose a new object is: of the project that was named, or of whom else it follows; "" is the default project.
func projectFor(project string) (string, error) {
	if project == "" {
		project = identity.DefaultProject
	}
	if !projectID.MatchString(project) {
		return "", lb.InvalidField("project_id", project, "Value should match the pattern "+projectID.String())
	}
	return project, nil
}
