package neutron

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"colonnade/internal/lb"
)

// paging are the parameters of lists that are no filters.
var paging = []string{"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"}

// pageLimit bounds what one answer has when the request asks for less than all.
const pageLimit = 1000

// link leads to another page.
type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// object is a view with its fields by name.
type object = map[string]any

// objects are views as objects.
func objects[V any](views []V) ([]object, error) {
	out := make([]object, len(views))
	b, err := json.Marshal(views)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(b, &out)
}

// listed answers a list with those views that the query asks for.
func listed[V any](r Request, plural string, views []V) (any, error) {
	all, err := objects(views)
	if err != nil {
		return nil, err
	}
	known, err := fieldsOf[V]()
	if err != nil {
		return nil, err
	}
	for name, wanted := range r.Query {
		if slices.Contains(paging, name) {
			continue
		}
		if !slices.Contains(known, name) {
			return nil, lb.Faultf(lb.KindInvalid, "['%s'] is invalid attribute for filtering", name)
		}
		all = slices.DeleteFunc(all, func(o object) bool { return !matches(o[name], wanted) })
	}
	if err := sorted(all, r.Query, known); err != nil {
		return nil, err
	}
	page, links, err := paged(all, r)
	if err != nil {
		return nil, err
	}
	for i := range page {
		page[i] = selected(page[i], r.Query["fields"])
	}
	answer := object{plural: page}
	if r.Query.Get("limit") != "" {
		answer[plural+"_links"] = links
	}
	return answer, nil
}

// fieldsOf are the names of the fields of V.
func fieldsOf[V any]() ([]string, error) {
	var zero V
	o, err := objects([]V{zero})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(o[0]))
	for name := range o[0] {
		names = append(names, name)
	}
	return names, nil
}

// matches compares a field with the values a filter allows. A field of objects is compared by "name=value" with theirs.
func matches(v any, wanted []string) bool {
	return slices.ContainsFunc(wanted, func(want string) bool {
		switch v := v.(type) {
		case nil:
			return want == "" || want == "None"
		case bool:
			yes, err := strconv.ParseBool(want)
			return err == nil && yes == v
		case float64:
			return want == strconv.FormatFloat(v, 'f', -1, 64)
		case string:
			return v == want
		case []any:
			return slices.ContainsFunc(v, func(item any) bool {
				o, ok := item.(object)
				if !ok {
					return matches(item, []string{want})
				}
				name, value, _ := strings.Cut(want, "=")
				return matches(o[name], []string{value})
			})
		}
		return false
	})
}

// sorted sorts by sort_key and sort_dir, which come in pairs.
func sorted(all []object, q url.Values, known []string) error {
	keys, dirs := q["sort_key"], q["sort_dir"]
	for i, key := range keys {
		if !slices.Contains(known, key) {
			return lb.Faultf(lb.KindInvalid, "['%s'] is invalid attribute for sort_key", key)
		}
		if i < len(dirs) && dirs[i] != "asc" && dirs[i] != "desc" {
			return lb.Faultf(lb.KindInvalid, "sort_dir %s is neither asc nor desc", dirs[i])
		}
	}
	slices.SortStableFunc(all, func(a, b object) int {
		for i, key := range keys {
			c := cmp.Compare(fmt.Sprint(a[key]), fmt.Sprint(b[key]))
			if i < len(dirs) && dirs[i] == "desc" {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return nil
}

// paged cuts the page out that begins after the marker, or ends before it.
func paged(all []object, r Request) ([]object, []link, error) {
	q, links := r.Query, []link{}
	limit := len(all)
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, nil, lb.Faultf(lb.KindInvalid, "limit %s is not a number of at least 0", s)
		}
		if n > 0 {
			limit = min(n, pageLimit)
		}
	}
	back, _ := strconv.ParseBool(q.Get("page_reverse"))
	if marker := q.Get("marker"); marker != "" {
		i := slices.IndexFunc(all, func(o object) bool { return o["id"] == marker })
		if i < 0 {
			return nil, nil, lb.Faultf(lb.KindInvalid, "marker %s names nothing of the list", marker)
		}
		if back {
			all = all[:i]
		} else {
			all = all[i+1:]
		}
	}
	more := len(all) > limit
	switch {
	case more && back:
		all = all[len(all)-limit:]
	case more:
		all = all[:limit]
	}
	to := func(rel string, at object, reverse bool) {
		v := url.Values{}
		for name, values := range q {
			v[name] = values
		}
		v.Set("marker", fmt.Sprint(at["id"]))
		v.Del("page_reverse")
		if reverse {
			v.Set("page_reverse", "True")
		}
		links = append(links, link{rel, r.URL + "?" + v.Encode()})
	}
	if len(all) > 0 && (more && !back || back) {
		to("next", all[len(all)-1], false)
	}
	if len(all) > 0 && (more && back || !back && q.Get("marker") != "") {
		to("previous", all[0], true)
	}
	return all, links, nil
}

// selected keeps the named fields; naming none keeps all.
func selected(o object, fields []string) object {
	if len(fields) == 0 {
		return o
	}
	out := object{}
	for _, f := range fields {
		if v, ok := o[f]; ok {
			out[f] = v
		}
	}
	return out
}

// one answers a show.
func one[V any](r Request, root string, view V) (any, error) {
	o, err := objects([]V{view})
	if err != nil {
		return nil, err
	}
	return object{root: selected(o[0], r.Query["fields"])}, nil
}

// texts is a list that is [] when empty.
func texts(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
