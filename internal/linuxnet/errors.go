package linuxnet

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kinds of failures, for errors.Is. Everything else is the kernel's errno, wrapped.
var (
	ErrNotFound    = errors.New("not found")
	ErrExists      = errors.New("exists already")
	ErrNoNamespace = errors.New("no such network namespace")
)

// Error says which operation failed on what.
type Error struct {
	Op     string // "add link", "set sysctl"
	Object string // the link's, namespace's or address's name
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Object, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// Is maps what the kernel says to the kinds above.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return isGone(e.Err)
	case ErrExists:
		return errors.Is(e.Err, unix.EEXIST)
	}
	return false
}

// fail wraps err, nil stays nil.
func fail(op, object string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Object: object, Err: err}
}

// isGone recognises every way in which "it is not there" is said.
func isGone(err error) bool {
	var noLink netlink.LinkNotFoundError
	return errors.As(err, &noLink) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoNamespace) ||
		errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) ||
		errors.Is(err, unix.ENXIO) || errors.Is(err, fs.ErrNotExist)
}
