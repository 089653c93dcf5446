package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/identity"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// eventView shows an event to who. From where others of another project, as operators, made their request is not theirs
// to know.
func eventView(who identity.Principal) func(lb.Event) wire.Event {
	return func(e lb.Event) wire.Event {
		v := wire.Event{
			ID: strconv.FormatInt(e.ID, 10), At: stamp(e.At), ProjectID: orNull(e.ProjectID), LoadBalancerID: orNull(e.LoadBalancerID),
			ObjectKind: orNull(e.ObjectKind), ObjectID: orNull(e.ObjectID), Action: e.Action, Actor: e.Actor,
			ActorProjectID: orNull(e.ActorProjectID), ActorRoles: list(e.Roles), Address: orNull(e.Address), Operation: orNull(e.Operation),
			RequestID: orNull(e.RequestID), Outcome: orNull(e.Outcome), Reason: orNull(e.Reason), Changes: []wire.EventChange{},
		}
		if !who.ReadsAll() && e.ActorProjectID != who.ProjectID {
			v.Address, v.ActorRoles = nil, []string{}
		}
		for _, c := range e.Changes {
			v.Changes = append(v.Changes, wire.EventChange(c))
		}
		return v
	}
}

// newestFirst is the order of events unless another is asked for.
var newestFirst = []store.SortKey{{Name: "id", Desc: true}}

func (s *server) listEvents(ctx context.Context, c *call) (any, error) {
	since, err := c.takeTime("since")
	if err != nil {
		return nil, err
	}
	until, err := c.takeTime("until")
	if err != nil {
		return nil, err
	}
	if marker := c.query.Get("marker"); marker != "" {
		if _, err := strconv.ParseInt(marker, 10, 64); err != nil {
			return nil, lb.InvalidField("marker", marker, "It names no row.")
		}
	}
	c.sort = newestFirst
	fetch := func(ctx context.Context, q store.Query) ([]lb.Event, error) {
		q.Since, q.Until = since, until
		return s.Store.ListEvents(ctx, q)
	}
	return listed(ctx, c, "events", fetch, each(eventView(principal(ctx))), func(e lb.Event) string { return strconv.FormatInt(e.ID, 10) })
}

// takeTime takes a time out of the query, so that it is no filter.
func (c *call) takeTime(name string) (t time.Time, err error) {
	values := c.query[name]
	delete(c.query, name)
	if len(values) == 0 {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", time.RFC3339, "2006-01-02"} { // fractions are understood
		if t, err = time.Parse(layout, values[0]); err == nil && len(values) == 1 && t.Year() > 0 {
			return t.UTC(), nil
		}
	}
	return t, &routeFault{http.StatusBadRequest, "Invalid value for " + name + ": '" + values[0] + "'; a time is wanted, like 2026-01-31T12:00:00"}
}
