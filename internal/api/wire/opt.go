// Package wire holds what goes over the wire of the REST API: request and reply objects of each resource, with their
// bounds as struct tags. Both the server and its clients use it, so it imports nothing of ours.
//
// Tags of request fields: json (without omitzero the field is mandatory), minimum, maximum, maxLength, enum, format
// (uuid, ip, cidr) say what a value may be; items… say the same of the elements of a list. The server decodes by them
// and the OpenAPI document is generated from them.
package wire

import (
	"bytes"
	"encoding/json"
)

// Opt is a field with three states: absent, null, or a value.
type Opt[T any] struct {
	Set  bool // the field was there, as null or as a value
	Null bool
	V    T
}

// Some is a field with this value.
func Some[T any](v T) Opt[T] { return Opt[T]{Set: true, V: v} }

// Null is a field that is explicitly null.
func Null[T any]() Opt[T] { return Opt[T]{Set: true, Null: true} }

// IsZero reports an absent field; encoding/json leaves it out by omitzero.
func (o Opt[T]) IsZero() bool { return !o.Set }

// Or returns the value, or def when the field is absent or null.
func (o Opt[T]) Or(def T) T {
	if !o.Set || o.Null {
		return def
	}
	return o.V
}

// Given reports whether there is a value.
func (o Opt[T]) Given() bool { return o.Set && !o.Null }

// Into changes *to when the field is there: to the value, or to def when it is null.
func (o Opt[T]) Into(to *T, def T) {
	if o.Set {
		*to = o.Or(def)
	}
}

// MarshalJSON writes null or the value.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if !o.Set || o.Null {
		return []byte("null"), nil
	}
	return json.Marshal(o.V)
}

// UnmarshalJSON reads null or a value.
func (o *Opt[T]) UnmarshalJSON(b []byte) error {
	o.Set = true
	if bytes.Equal(b, []byte("null")) {
		o.Null = true
		return nil
	}
	return json.Unmarshal(b, &o.V)
}
