// Package httpstatus says which HTTP status each kind of domain error has, for the API and for the agents alike: the domain
// itself does not know HTTP. Every server of ours imports it, and nobody else.
package httpstatus

import (
	"net/http"

	"colonnade/internal/lb"
)

var ofKind = map[lb.Kind]int{
	lb.KindInternal:    http.StatusInternalServerError,
	lb.KindInvalid:     http.StatusBadRequest,
	lb.KindForbidden:   http.StatusForbidden,
	lb.KindNotFound:    http.StatusNotFound,
	lb.KindConflict:    http.StatusConflict,
	lb.KindUnsupported: http.StatusNotImplemented,
	lb.KindUnavailable: http.StatusServiceUnavailable,
}

// Of is the status of a kind; what has none is internal.
func Of(kind lb.Kind) int {
	if status, ok := ofKind[kind]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// KindOf is the way back. What went wrong inside the other side (500) is no fault that its caller could have made, so it has
// no way back; neither has a status that Of never gives.
func KindOf(status int) (kind lb.Kind, ok bool) {
	for kind, s := range ofKind {
		if s == status && kind != lb.KindInternal {
			return kind, true
		}
	}
	return lb.KindInternal, false
}
