package lb

import (
	"fmt"
	"reflect"
	"time"
)

// Event is one line of history: who did what, when, why, and how it ended.
type Event struct {
	ID             int64     `bun:"id,pk,autoincrement"`
	At             time.Time `bun:"at"`
	LoadBalancerID string    `bun:"load_balancer_id"` // "" when it is not about one
	ObjectID       string    `bun:"object_id"`
	Actor          string    `bun:"actor"`  // "acm", "worker", "health", or the user
	Action         string    `bun:"action"` // constant, like "amphora replaced"
	Reason         string    `bun:"reason"`

	ProjectID  string `bun:"project_id"`  // whose object it is; "" for what belongs to no project
	ObjectKind string `bun:"object_kind"` // "listener", …; "" when the action says it
	// Of what the API was asked for; the rest is empty for what the system does by itself.
	ActorProjectID string   `bun:"actor_project_id"`
	Roles          []string `bun:"roles,type:text"` // JSON text
	Address        string   `bun:"address"`
	Operation      string   `bun:"operation"`  // id of the call in the OpenAPI document
	RequestID      string   `bun:"request_id"` // also of what the system does because of a request
	Outcome        int      `bun:"outcome"`    // HTTP status, 0 for the system's own
	Changes        []Change `bun:"changes,type:text"`
}

// Change is one field that an event changed. From and To are there for what anybody who sees the object may see of it,
// when it is a plain value.
type Change struct {
	Field string `json:"field"`
	From  any    `json:"from,omitempty"`
	To    any    `json:"to,omitempty"`
}

// maxShown bounds a text in a Change.
const maxShown = 255

// Changed compares two values of one struct type by their bun columns, in order. name says how a column is called and
// whether its values may be shown.
func Changed(before, after any, name func(column string) (field string, shown bool)) (changes []Change) {
	was, is := reflect.ValueOf(before), reflect.ValueOf(after)
	if was.Type() != is.Type() {
		panic(fmt.Sprintf("compare %s with %s", was.Type(), is.Type()))
	}
	for field := range was.Type().Fields() {
		column := columnOf(field)
		if column == "" {
			continue
		}
		from, to := was.FieldByIndex(field.Index).Interface(), is.FieldByIndex(field.Index).Interface()
		if reflect.DeepEqual(from, to) {
			continue
		}
		public, shown := name(column)
		c := Change{Field: public}
		if shown {
			c.From, c.To = plain(from), plain(to)
		}
		changes = append(changes, c)
	}
	return changes
}

// columnOf is the column of a field; "" when it is none.
func columnOf(f reflect.StructField) string {
	tag := f.Tag.Get("bun")
	for i := range tag {
		if tag[i] == ',' {
			tag = tag[:i]
			break
		}
	}
	if tag == "-" || !f.IsExported() {
		return ""
	}
	return tag
}

// plain is a value that an event may show, or nil.
func plain(v any) any {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer:
		if r.IsNil() {
			return nil
		}
		return plain(r.Elem().Interface())
	case reflect.String:
		s := []rune(r.String())
		return string(s[:min(len(s), maxShown)])
	case reflect.Bool:
		return r.Bool()
	case reflect.Int, reflect.Int64:
		return r.Int()
	default:
		return nil
	}
}
