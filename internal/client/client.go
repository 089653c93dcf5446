// Package client is the Go client of the REST API, for the command line and for tests.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"colonnade/internal/api/wire"
)

// Client speaks to one API.
type Client struct {
	url     string // with version, without trailing slash
	token   string
	project string
	http    *http.Client
}

// New makes a client. base is "http://127.0.0.1:9876", with or without a version path.
func New(base, token, project string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("api address %q is no http or https URL", base)
	}
	path := strings.TrimRight(u.Path, "/")
	if !strings.HasSuffix(path, "/v2.0") && !strings.HasSuffix(path, "/v2") {
		path += "/v2.0"
	}
	u.Path = path
	return &Client{url: u.String(), token: token, project: project, http: &http.Client{Timeout: httpTimeout}}, nil
}

// Error is an answer that is an error.
type Error struct {
	Status    int
	Text      string
	RequestID string
}

func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("the API answered %d %s (%s)", e.Status, http.StatusText(e.Status), e.RequestID)
	}
	return e.Text
}

// StatusOf returns the HTTP status of an answer that is an error, else 0.
func StatusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// maxAnswer bounds an answer; a page of 1000 load balancers is about 1 MB.
const maxAnswer = 64 << 20

// do sends one request; path begins after the version. out nil ignores the body.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	target := path
	if !strings.Contains(path, "://") {
		target = c.url + path
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("write request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	c.identify(r)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("ask the API: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to the end or given up
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the API's answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return errorOf(resp, b)
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read the API's answer: %w", err)
	}
	return nil
}

// identify says who asks, and for which project.
func (c *Client) identify(r *http.Request) {
	r.Header.Set("X-Auth-Token", c.token)
	if c.project != "" {
		r.Header.Set("X-Project-Id", c.project)
	}
}

// errorOf finds the text in any of the four shapes of an error.
func errorOf(resp *http.Response, body []byte) error {
	var shapes struct {
		wire.Fault
		Description string `json:"description"`
		Error       struct {
			Message string `json:"message"`
		} `json:"error"`
		NeutronError struct {
			Message string `json:"message"`
		} `json:"NeutronError"`
	}
	e := &Error{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Openstack-Request-Id")}
	if json.Unmarshal(body, &shapes) == nil {
		for _, text := range []string{shapes.FaultString, shapes.Description, shapes.Error.Message, shapes.NeutronError.Message} {
			if e.Text == "" {
				e.Text = text
			}
		}
	}
	return e
}

// Resource is a collection of objects of type T, made of C and changed by U.
type Resource[T, C, U any] struct {
	c          *Client
	path       string
	root, many string // names of one and of many in bodies
}

// List reads all objects that match the filters, page by page.
func (r Resource[T, C, U]) List(ctx context.Context, filters url.Values) ([]T, error) {
	all := []T{}
	path, query := r.path, filters
	for path != "" {
		var page map[string]json.RawMessage
		if err := r.c.do(ctx, http.MethodGet, path, query, nil, &page); err != nil {
			return nil, err
		}
		var items []T
		var links []wire.Link
		if err := json.Unmarshal(page[r.many], &items); err != nil {
			return nil, fmt.Errorf("read list of %s: %w", r.many, err)
		}
		if l := page[r.many+"_links"]; l != nil {
			if err := json.Unmarshal(l, &links); err != nil {
				return nil, fmt.Errorf("read list of %s: %w", r.many, err)
			}
		}
		all = append(all, items...)
		path = ""
		for _, link := range links {
			if link.Rel != "next" || len(items) == 0 {
				continue
			}
			next, err := url.Parse(link.Href)
			if err != nil {
				return nil, fmt.Errorf("read list of %s: %w", r.many, err)
			}
			// Links do not repeat filters, and may name another host than the one that was asked: only their query counts.
			path, query = r.path, next.Query()
			for name, values := range filters {
				if !query.Has(name) {
					query[name] = values
				}
			}
		}
	}
	return all, nil
}

// Get reads one object.
func (r Resource[T, C, U]) Get(ctx context.Context, id string) (T, error) {
	return r.answer(ctx, http.MethodGet, r.path+"/"+url.PathEscape(id), nil)
}

// Create makes an object.
func (r Resource[T, C, U]) Create(ctx context.Context, in C) (T, error) {
	return r.answer(ctx, http.MethodPost, r.path, map[string]any{r.root: in})
}

// Update changes an object.
func (r Resource[T, C, U]) Update(ctx context.Context, id string, in U) (T, error) {
	return r.answer(ctx, http.MethodPut, r.path+"/"+url.PathEscape(id), map[string]any{r.root: in})
}

// Delete asks for an object's removal.
func (r Resource[T, C, U]) Delete(ctx context.Context, id string) error {
	return r.c.do(ctx, http.MethodDelete, r.path+"/"+url.PathEscape(id), nil, nil, nil)
}

// Failover asks for a planned hand-over of an amphora, or of all of a load balancer's.
func (r Resource[T, C, U]) Failover(ctx context.Context, id string) error {
	return r.c.do(ctx, http.MethodPut, r.path+"/"+url.PathEscape(id)+"/failover", nil, nil, nil)
}

func (r Resource[T, C, U]) answer(ctx context.Context, method, path string, in any) (T, error) {
	var out map[string]T
	err := r.c.do(ctx, method, path, nil, in, &out)
	return out[r.root], err
}

// None stands for a request that does not exist.
type None struct{}
