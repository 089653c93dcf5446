package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"colonnade/internal/api/wire"
	"colonnade/internal/identity"
	"colonnade/internal/lb"
	"colonnade/internal/store"
)

// maxTag is the length of the longest tag there is.
const maxTag = 255

// paging are the parameters that are no filters.
var paging = []string{"limit", "marker", "page_reverse", "sort", "sort_key", "sort_dir", "fields", "project_id"}

// tagFilters may be repeated; all others may not.
var tagFilters = []string{"tags", "tags-any", "not-tags", "not-tags-any"}

// page is a parsed list request.
type page struct {
	query   store.Query
	reverse bool
	fields  []string
	values  url.Values
}

// scope says who may read a list's objects of all projects, and of one.
type scope struct {
	all func(identity.Principal) bool
	one func(p identity.Principal, projectID string) bool
}

var commonScope = scope{all: identity.Principal.ReadsAll, one: identity.Principal.Reads}

// parsePage reads the list parameters.
func parsePage(c *call) (page, error) {
	values := c.query
	p := page{values: values, fields: values["fields"], query: store.Query{Limit: c.limit, Filters: map[string][]string{}}}
	for name, all := range values {
		if len(all) > 1 && name != "fields" && !slices.Contains(tagFilters, name) {
			return p, lb.InvalidField(name, strings.Join(all, ", "), "Value should be given once")
		}
		if slices.Contains(tagFilters, name) {
			if err := checkTagFilter(name, all); err != nil {
				return p, err
			}
		}
		if !slices.Contains(paging, name) {
			p.query.Filters[name] = all
		}
	}
	if err := p.parseLimit(values.Get("limit")); err != nil {
		return p, err
	}
	p.query.Marker = values.Get("marker")
	if err := p.parseSort(c.sort); err != nil {
		return p, err
	}
	p.query.ProjectID = values.Get("project_id")
	return p, nil
}

// confine leaves of a list the caller's project, unless they may read all. A list of what one object has is not confined:
// whoever asks was allowed to read the object.
func (p *page) confine(ctx context.Context, may scope) error {
	if may.all == nil {
		may = commonScope
	}
	who := principal(ctx)
	if may.all(who) {
		return nil
	}
	if p.query.ProjectID == "" {
		p.query.ProjectID = who.ProjectID
	}
	if !may.one(who, p.query.ProjectID) {
		return errForbidden
	}
	return nil
}

// maxTagFilters is how many tags one filter may name; each is a condition of the query.
const maxTagFilters = 100

func checkTagFilter(name string, values []string) error {
	n := 0
	for _, v := range values {
		for tag := range strings.SplitSeq(v, ",") {
			if n++; n > maxTagFilters {
				return lb.Invalidf("Filter %s names more than %d tags.", name, maxTagFilters)
			}
			if utf8.RuneCountInString(tag) > maxTag {
				return lb.InvalidField(name, tag, fmt.Sprintf("Value should have a maximum character requirement of %d", maxTag))
			}
		}
	}
	return nil
}

func (p *page) parseLimit(s string) error {
	if s == "" || s == "infinite" || s == "None" {
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return &routeFault{http.StatusBadRequest, "Invalid value for limit: '" + s + "'"}
	}
	if n >= 1 {
		p.query.Limit = min(n, p.query.Limit)
	}
	return nil
}

func (p *page) parseSort(otherwise []store.SortKey) error {
	var keys []store.SortKey
	add := func(name, dir string) error {
		if name == "" {
			return nil
		}
		dir = strings.ToLower(dir)
		if dir != "" && dir != "asc" && dir != "desc" {
			return &routeFault{http.StatusBadRequest, "Invalid sort direction '" + dir + "': use asc or desc."}
		}
		keys = append(keys, store.SortKey{Name: name, Desc: dir == "desc"})
		return nil
	}
	for one := range strings.SplitSeq(p.values.Get("sort"), ",") {
		name, dir, _ := strings.Cut(one, ":")
		if err := add(name, dir); err != nil {
			return err
		}
	}
	dirs := strings.Split(p.values.Get("sort_dir"), ",")
	for i, name := range strings.Split(p.values.Get("sort_key"), ",") {
		dir := ""
		if i < len(dirs) {
			dir = dirs[i]
		}
		if err := add(name, dir); err != nil {
			return err
		}
	}
	if len(keys) == 0 {
		keys = slices.Clone(otherwise)
	}
	// A page before the marker is the page after it in the opposite order, turned round again.
	if p.reverse = p.values.Get("page_reverse") == "True" && p.query.Marker != ""; p.reverse {
		for _, name := range []string{"created_at", "id"} {
			if !slices.ContainsFunc(keys, func(k store.SortKey) bool { return k.Name == name }) {
				keys = append(keys, store.SortKey{Name: name})
			}
		}
		for i := range keys {
			keys[i].Desc = !keys[i].Desc
		}
	}
	p.query.Sort = keys
	return nil
}

// listed answers a list: fetch reads the rows, view shows one, id names it for the links.
func listed[T, V any](ctx context.Context, c *call, root string, fetch func(context.Context, store.Query) ([]T, error), view func([]T) ([]V, error), id func(T) string) (any, error) {
	p, err := parsePage(c)
	if err != nil {
		return nil, err
	}
	if c.narrow != nil {
		maps.Copy(p.query.Filters, c.narrow)
	} else if err := p.confine(ctx, c.scope); err != nil {
		return nil, err
	}
	rows, err := fetch(ctx, p.query)
	if err != nil {
		return nil, err
	}
	if p.reverse {
		slices.Reverse(rows)
	}
	shown, err := view(rows)
	if err != nil {
		return nil, err
	}
	links := []wire.Link{}
	if len(rows) > 0 {
		if p.query.Marker != "" {
			links = append(links, p.link(c.url, "previous", id(rows[0])))
		}
		if len(rows) == p.query.Limit || p.reverse { // after a page before a marker there is the marker
			links = append(links, p.link(c.url, "next", id(rows[len(rows)-1])))
		}
	}
	var items any = shown
	if shown == nil {
		items = []V{}
	}
	if len(p.fields) > 0 {
		if items, err = selectFields(shown, p.fields); err != nil {
			return nil, err
		}
	}
	return map[string]any{root: items, linksKey(root): links}, nil
}

// linksKey is what clients know a list's links by: those of profiles by the singular.
func linksKey(root string) string {
	switch root {
	case "flavorprofiles":
		return "flavorprofile_links"
	case "availability_zone_profiles":
		return "availability_zone_profile_links"
	}
	return root + "_links"
}

func (p *page) link(href, rel, marker string) wire.Link {
	v := url.Values{"limit": {strconv.Itoa(p.query.Limit)}, "marker": {marker}}
	for _, name := range []string{"sort", "sort_key", "sort_dir"} {
		if s := p.values.Get(name); s != "" {
			v.Set(name, s)
		}
	}
	if rel == "previous" {
		v.Set("page_reverse", "True")
	}
	return wire.Link{Rel: rel, Href: href + "?" + v.Encode()}
}

// selectFields keeps the named fields of each item; unknown names are ignored.
func selectFields[V any](items []V, fields []string) ([]map[string]json.RawMessage, error) {
	out := make([]map[string]json.RawMessage, len(items))
	for i := range items {
		b, err := json.Marshal(items[i])
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &out[i]); err != nil {
			return nil, err
		}
		maps.DeleteFunc(out[i], func(name string, _ json.RawMessage) bool { return !slices.Contains(fields, name) })
	}
	return out, nil
}

// one answers a show: {root: view}, with the wanted fields.
func one[V any](c *call, root string, view V) (any, error) {
	if len(c.query["fields"]) == 0 {
		return map[string]any{root: view}, nil
	}
	some, err := selectFields([]V{view}, c.query["fields"])
	if err != nil {
		return nil, err
	}
	return map[string]any{root: some[0]}, nil
}

// each makes a view of one row a view of all.
func each[T, V any](view func(T) V) func([]T) ([]V, error) {
	return func(rows []T) ([]V, error) { return views(rows, view), nil }
}

// views are all of a list as they are shown.
func views[T, V any](all []T, view func(T) V) []V {
	out := make([]V, len(all))
	for i, one := range all {
		out[i] = view(one)
	}
	return out
}

// byID reads the one row with this id.
func byID[T any](ctx context.Context, fetch func(context.Context, store.Query) ([]T, error), kind, id string) (T, error) {
	rows, err := fetch(ctx, store.Query{Filters: map[string][]string{"id": {id}}, Limit: 1})
	if err != nil || len(rows) == 0 {
		var none T
		if err == nil {
			err = notFound(kind, id)
		}
		return none, err
	}
	return rows[0], nil
}
