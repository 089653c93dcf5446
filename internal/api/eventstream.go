package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// eventStream is the path of the events as they happen.
const eventStream = colonnade + "/events/stream"

// Times of a stream.
const (
	heartbeatEvery = 15 * time.Second
	streamWrite    = 10 * time.Second // may one write take
	// Whoever follows says anew who they are after this time: tokens end, and rights are taken away.
	streamFor   = time.Hour
	retryAfter  = 2 * time.Second // is when a client should come back
	catchUpPage = 500
)

// streamFilters are what a stream may be narrowed by.
var streamFilters = map[string]func(lb.Event) string{
	"loadbalancer_id": func(e lb.Event) string { return e.LoadBalancerID },
	"object_id":       func(e lb.Event) string { return e.ObjectID },
	"object_kind":     func(e lb.Event) string { return e.ObjectKind },
	"actor":           func(e lb.Event) string { return e.Actor },
	"action":          func(e lb.Event) string { return e.Action },
	"operation":       func(e lb.Event) string { return e.Operation },
	"request_id":      func(e lb.Event) string { return e.RequestID },
	"outcome":         func(e lb.Event) string { return strconv.Itoa(e.Outcome) },
	"project_id":      func(e lb.Event) string { return e.ProjectID },
}

// stream is one client's view of the feed.
type stream struct {
	query store.Query // of what was missed
	last  int64       // id of the event that the client has, 0 when it wants none of before
	w     http.ResponseWriter
	out   *http.ResponseController
	view  func(lb.Event) any
}

// followEvents sends events as they happen (server-sent events). A client that comes back with Last-Event-ID gets what it
// missed.
func (s *server) followEvents(w http.ResponseWriter, r *http.Request, c *call) error {
	p, err := parsePage(c)
	if err == nil {
		err = p.confine(r.Context(), c.scope)
	}
	if err != nil {
		return err
	}
	if p.query.ProjectID != "" {
		p.query.Filters["project_id"] = []string{p.query.ProjectID}
	}
	for _, name := range slices.Sorted(maps.Keys(p.query.Filters)) {
		if streamFilters[name] == nil {
			return lb.Faultf(lb.KindInvalid, "Unknown attribute for filter: %s", name)
		}
	}
	who := principal(r.Context())
	show := eventView(who)
	st := &stream{
		query: store.Query{Filters: p.query.Filters, Sort: []store.SortKey{{Name: "id"}}, Limit: catchUpPage},
		w:     w, out: http.NewResponseController(w), view: func(e lb.Event) any { return show(e) },
	}
	if given := r.Header.Get("Last-Event-ID"); given != "" {
		if st.last, err = strconv.ParseInt(given, 10, 64); err != nil || st.last < 0 {
			return &routeFault{http.StatusBadRequest, "Invalid value for Last-Event-ID: '" + given + "'"}
		}
	}
	// The deadline of requests is not this one's; that the client has gone is.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), streamFor)
	defer cancel()
	defer context.AfterFunc(connection(r.Context()), cancel)()
	following, err := s.feed.follow(ctx, who.ProjectID+" "+who.UserID)
	if err != nil {
		return err
	}
	defer s.feed.leave(following)
	s.stream(ctx, st, following)
	return nil
}

// stream writes until the client, the feed or the time ends it. Nothing can be answered any more when it fails.
func (s *server) stream(ctx context.Context, st *stream, following *follower) {
	_ = st.out.SetReadDeadline(time.Time{}) // or the server takes a silent client for one that has gone
	h := st.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	st.w.WriteHeader(http.StatusOK)
	if !st.write(fmt.Sprintf("retry: %d\n\n", retryAfter.Milliseconds())) {
		return
	}
	sent := map[int64]bool{}
	if st.last > 0 {
		if err := st.catchUp(ctx, s.Store, sent); err != nil {
			s.Log.ErrorContext(ctx, "events not read", "error", err)
			return
		}
	}
	beat := time.NewTicker(heartbeatEvery)
	defer beat.Stop()
	for {
		select {
		case e, more := <-following.events:
			if !more {
				return
			}
			if !sent[e.ID] && st.wants(e) && !st.send(e) {
				return
			}
			delete(sent, e.ID)
		case <-beat.C:
			clear(sent) // what is in the feed twice has come by now
			if !st.write(": still here\n\n") {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// catchUp sends what the client has not got of what is in the database.
func (st *stream) catchUp(ctx context.Context, from Store, sent map[int64]bool) error {
	for q := st.query; ; {
		q.AfterID = st.last
		reading, cancel := context.WithTimeout(ctx, requestTimeout)
		events, err := from.ListEvents(reading, q)
		cancel()
		if err != nil {
			return err
		}
		for _, e := range events {
			if !st.send(e) {
				return context.Cause(ctx)
			}
			sent[e.ID], st.last = true, e.ID
		}
		if len(events) < catchUpPage {
			return nil
		}
	}
}

func (st *stream) wants(e lb.Event) bool {
	for name, values := range st.query.Filters {
		if !slices.Contains(values, streamFilters[name](e)) {
			return false
		}
	}
	return true
}

func (st *stream) send(e lb.Event) bool {
	b, err := json.Marshal(st.view(e))
	return err == nil && st.write(fmt.Sprintf("id: %d\ndata: %s\n\n", e.ID, b))
}

// write reports whether the client took it in time.
func (st *stream) write(text string) bool {
	_ = st.out.SetWriteDeadline(time.Now().Add(streamWrite)) // the server's own deadline is for answers that end
	if _, err := st.w.Write([]byte(text)); err != nil {
		return false
	}
	return st.out.Flush() == nil
}
