package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"colonnade/internal/api/wire"
	"colonnade/internal/client"
)

type eventCommands struct {
	Connection
	List eventList `cmd:"" help:"Show who changed what, from where and with which outcome."`
}

type eventList struct {
	LoadBalancer string        `name:"lb" aliases:"loadbalancer" help:"Only those of this load balancer (name or id)."`
	Object       string        `help:"Only those of the object with this id."`
	Kind         string        `help:"Only those of this kind of object, like \"member\"."`
	Actor        string        `help:"Only those of this user, or of this part of the system (acm, worker, …)."`
	Action       string        `help:"Only those with this action, like \"member updated\"."`
	Outcome      int           `help:"Only those that ended with this HTTP status."`
	Since        time.Duration `help:"Only those of the last so long, like 24h."`
	Limit        int           `short:"n" default:"50" help:"At most so many, the newest."`
	Follow       bool          `short:"f" help:"Go on with those that happen from now on, until interrupted."`
}

func (n *eventList) Run(ctx context.Context, c *Connection) error {
	return c.run(func(api *client.Client, p *printer) error {
		if n.Limit < 1 {
			return errors.New("--limit: want 1 or more")
		}
		filters, err := n.filters(ctx, api)
		if err != nil {
			return err
		}
		past := url.Values{}
		for name, values := range filters {
			past[name] = values
		}
		if n.Since > 0 {
			past.Set("since", time.Now().UTC().Add(-n.Since).Format("2006-01-02T15:04:05"))
		}
		events, err := api.Events(ctx, past, n.Limit)
		if err != nil {
			return err
		}
		slices.Reverse(events) // as they happened
		if !n.Follow {
			return p.events(events)
		}
		last := "0"
		for _, e := range events {
			if err := p.event(e); err != nil {
				return err
			}
			last = e.ID
		}
		if last == "0" { // nothing that matches yet: go on after the newest of all
			newest, err := api.Events(ctx, nil, 1)
			if err != nil {
				return err
			}
			if len(newest) > 0 {
				last = newest[0].ID
			}
		}
		err = api.FollowEvents(ctx, filters, last, p.event)
		if errors.Is(err, context.Canceled) {
			return nil // that is how following ends
		}
		return err
	})
}

func (n *eventList) filters(ctx context.Context, api *client.Client) (url.Values, error) {
	filters, err := ofLoadBalancer(ctx, api, n.LoadBalancer)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"object_id": n.Object, "object_kind": n.Kind, "actor": n.Actor, "action": n.Action} {
		if value != "" {
			filters.Set(name, value)
		}
	}
	if n.Outcome != 0 {
		filters.Set("outcome", fmt.Sprint(n.Outcome))
	}
	return filters, nil
}

// events prints a table.
func (p *printer) events(events []wire.Event) error {
	if p.json {
		return p.writeJSON(events)
	}
	rows := [][]string{{"AT", "ACTOR", "ADDRESS", "ACTION", "OBJECT", "OUTCOME", "WHAT"}}
	for _, e := range events {
		rows = append(rows, eventRow(e))
	}
	return p.align(rows)
}

// event prints one line; JSON on one line, too.
func (p *printer) event(e wire.Event) error {
	if p.json {
		b, err := json.Marshal(e)
		if err == nil {
			_, err = fmt.Fprintf(p.out, "%s\n", b)
		}
		return err
	}
	_, err := fmt.Fprintln(p.out, strings.Join(eventRow(e), "  "))
	return err
}

func eventRow(e wire.Event) []string {
	or := func(s *string) string {
		if s == nil {
			return "-"
		}
		return printable(*s)
	}
	at, _, _ := strings.Cut(or(e.At), ".")
	outcome := "-"
	if e.Outcome != nil {
		outcome = fmt.Sprint(*e.Outcome)
	}
	return []string{at, printable(e.Actor), or(e.Address), printable(e.Action), or(e.ObjectID), outcome, printable(what(e))}
}

// what says what an event changed, or why it was.
func what(e wire.Event) string {
	var words []string
	for _, c := range e.Changes {
		if c.From == nil && c.To == nil {
			words = append(words, c.Field)
			continue
		}
		words = append(words, fmt.Sprintf("%s: %s -> %s", c.Field, valueOf(c.From), valueOf(c.To)))
	}
	if e.Reason != nil {
		words = append(words, *e.Reason)
	}
	return strings.Join(words, ", ")
}

func valueOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil || v == nil {
		return "-"
	}
	return string(b)
}

// shownEvents is how much history the show of an object has.
const shownEvents = 10

// history prints what happened to a load balancer lately. Whoever may not see events, or asks a server that has none, sees
// the object alone.
func (p *printer) history(ctx context.Context, api *client.Client, lbID string) error {
	if p.json {
		return nil
	}
	events, err := api.Events(ctx, url.Values{"loadbalancer_id": {lbID}}, shownEvents)
	switch client.StatusOf(err) {
	case http.StatusForbidden, http.StatusNotFound:
		return nil
	}
	if err != nil || len(events) == 0 {
		return err
	}
	slices.Reverse(events)
	if err := p.line("\nhistory"); err != nil {
		return err
	}
	rows := make([][]string, len(events))
	for i, e := range events {
		row := eventRow(e)
		rows[i] = []string{row[0], row[1], row[3], row[5], row[6]}
	}
	return p.align(rows)
}
