package lb

import (
	"errors"
	"fmt"
)

// Kind classifies an error for whoever has to turn it into an answer: HTTP status, exit code, retry.
type Kind int

// Kinds of errors.
const (
	KindInternal    Kind = iota
	KindInvalid          // the request is wrong: 400
	KindForbidden        // not allowed: 403
	KindNotFound         // no such object: 404
	KindConflict         // the state forbids it now: 409
	KindUnsupported      // understood, but this deployment cannot: 501
	KindUnavailable      // try again later: 503
)

// Fault is an error whose text is meant for the person who made the request.
type Fault struct {
	Kind Kind
	Text string
}

func (f *Fault) Error() string { return f.Text }

// Faultf makes a Fault of the given kind.
func Faultf(kind Kind, format string, args ...any) error {
	return &Fault{Kind: kind, Text: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first Fault in err's chain, else KindInternal.
func KindOf(err error) Kind {
	var f *Fault
	if errors.As(err, &f) {
		return f.Kind
	}
	return KindInternal
}

// ErrFenced is returned by writes whose lease has been superseded by a higher epoch. The holder stops at once.
var ErrFenced = errors.New("fenced: a newer lease on this load balancer exists")

type terminalError struct{ err error }

func (t *terminalError) Error() string { return t.err.Error() }
func (t *terminalError) Unwrap() error { return t.err }

// Terminal marks err as one that no retry can mend: what was asked for ends in ERROR.
func Terminal(err error) error { return &terminalError{err} }

// IsTerminal reports whether err was marked with Terminal. Everything else is tried again.
func IsTerminal(err error) bool {
	var t *terminalError
	return errors.As(err, &t)
}
