package wire

// Event is one line of history: who did what, when, from where, and how it ended.
type Event struct {
	ID             string  `json:"id"`
	At             *string `json:"at"` // ISO 8601 without zone, UTC
	ProjectID      *string `json:"project_id"`
	LoadBalancerID *string `json:"loadbalancer_id"`
	ObjectKind     *string `json:"object_kind"`
	ObjectID       *string `json:"object_id"`
	Action         string  `json:"action"`
	// Actor is a user's id, or the part of the system that did it.
	Actor          string   `json:"actor"`
	ActorProjectID *string  `json:"actor_project_id"`
	ActorRoles     []string `json:"actor_roles"`
	Address        *string  `json:"address"`    // where the request came from
	Operation      *string  `json:"operation"`  // its id in this document
	RequestID      *string  `json:"request_id"` // also of what the system does because of a request
	// Outcome is the HTTP status that the request was answered with; null for what the system does by itself.
	Outcome *int          `json:"outcome"`
	Reason  *string       `json:"reason"`
	Changes []EventChange `json:"changes"`
}

// EventChange is one field that an event changed; from and to are there for plain values.
type EventChange struct {
	Field string `json:"field"`
	From  any    `json:"from,omitempty"`
	To    any    `json:"to,omitempty"`
}
