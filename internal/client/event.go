package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"colonnade/internal/api/wire"
)

const eventsPath = "/colonnade/events"

// Events returns the newest events that match the filters, at most limit, newest first.
func (c *Client) Events(ctx context.Context, filters url.Values, limit int) ([]wire.Event, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, values := range filters {
		query[name] = values
	}
	var page struct {
		Events []wire.Event `json:"events"`
	}
	err := c.do(ctx, http.MethodGet, eventsPath, query, nil, &page)
	return page.Events, err
}

// Times of following.
const (
	followPause   = 2 * time.Second  // before coming back to a server that let us go
	followSilence = 45 * time.Second // of a server that sends a comment every 15 s
)

// FollowEvents calls f with each event that matches the filters as it happens, and with those after lastID when that is not
// "". It comes back when the connection breaks, and ends when ctx does, when f fails, or when the server refuses.
func (c *Client) FollowEvents(ctx context.Context, filters url.Values, lastID string, f func(wire.Event) error) error {
	for {
		err := c.followOnce(ctx, filters, &lastID, f)
		var refused *Error
		var stopped *stopError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &stopped):
			return stopped.cause
		case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
			return err
		}
		select {
		case <-time.After(followPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stopError is that of whoever takes the events.
type stopError struct{ cause error }

func (e *stopError) Error() string { return e.cause.Error() }

// followOnce follows until the connection ends; *lastID is that of the last event.
func (c *Client) followOnce(ctx context.Context, filters url.Values, lastID *string, f func(wire.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+eventsPath+"/stream?"+filters.Encode(), nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	c.identify(r)
	r.Header.Set("Accept", "text/event-stream")
	if *lastID != "" {
		r.Header.Set("Last-Event-ID", *lastID)
	}
	silence := time.AfterFunc(followSilence, cancel)
	defer silence.Stop()
	endless := http.Client{Transport: c.http.Transport} // without the deadline of other answers
	resp, err := endless.Do(r)
	if err != nil {
		return fmt.Errorf("ask the API: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what there is
		return errorOf(resp, b)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		silence.Reset(followSilence)
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		var e wire.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("read event: %w", err)
		}
		if err := f(e); err != nil {
			return &stopError{err}
		}
		*lastID = e.ID
	}
	return lines.Err()
}
