package neutron

import (
	"errors"
	"strings"

	"colonnade/internal/lb"
)

// Fault is a fault with the type that clients of Neutron know it by.
type Fault struct {
	Type string
	*lb.Fault
}

// Unwrap gives the fault without its type.
func (f *Fault) Unwrap() error { return f.Fault }

// typed gives an error its type; one that has one, and one that is no fault, stays.
func typed(kind string, err error) error {
	var f *lb.Fault
	var already *Fault
	if err == nil || errors.As(err, &already) || !errors.As(err, &f) {
		return err
	}
	return &Fault{kind, f}
}

// faultf makes a typed fault.
func faultf(kind string, of lb.Kind, format string, args ...any) error {
	var f *lb.Fault
	errors.As(lb.Faultf(of, format, args...), &f)
	return &Fault{kind, f}
}

// Body is the body of an error.
type Body struct {
	NeutronError Detail `json:"NeutronError"`
}

// Detail says what is wrong.
type Detail struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	Detail  string `json:"detail"`
}

// types are what kinds of faults are called that have no better name.
var types = map[lb.Kind]string{
	lb.KindInvalid: "InvalidInput", lb.KindForbidden: "PolicyNotAuthorized", lb.KindNotFound: "HTTPNotFound", lb.KindConflict: "Conflict",
	lb.KindUnsupported: "HTTPNotImplemented", lb.KindUnavailable: "ServiceUnavailable",
}

// BodyOf writes a fault as Neutron does.
func BodyOf(err error) Body {
	var f *lb.Fault
	var named *Fault
	if !errors.As(err, &f) {
		return Body{Detail{Type: "HTTPInternalServerError", Message: "Request failed: internal server error while processing your request."}}
	}
	d := Detail{Type: types[f.Kind], Message: f.Text}
	if errors.As(err, &named) {
		d.Type = named.Type
	}
	if f.Kind == lb.KindInvalid && d.Type == "InvalidInput" {
		d.Message = "Invalid input for operation: " + strings.TrimPrefix(f.Text, "Invalid input for operation: ")
	}
	return Body{d}
}

// hidden is what an object of others is: not there.
func hidden(kind, text, id string) error { return faultf(kind, lb.KindNotFound, text, id) }

// The types of missing objects and their texts.
const (
	networkNotFound, networkMissing   = "NetworkNotFound", "Network %s could not be found."
	subnetNotFound, subnetMissing     = "SubnetNotFound", "Subnet %s could not be found."
	portNotFound, portMissing         = "PortNotFound", "Port %s could not be found."
	floatingNotFound, floatingMissing = "FloatingIPNotFound", "Floating IP %s could not be found"
	groupNotFound, groupMissing       = "SecurityGroupNotFound", "Security group %s does not exist"
	routerNotFound, routerMissing     = "RouterNotFound", "Router %s could not be found"
)

var forbidden = lb.Faultf(lb.KindForbidden, "The request is disallowed by policy.")

// refused answers 501 for the first of what was asked for and is not there.
func refused(asked ...option) error {
	for _, o := range asked {
		if o.given {
			return lb.Faultf(lb.KindUnsupported, "%s is not available in this deployment.", o.what)
		}
	}
	return nil
}

// option is something that a request may ask for and that we do not do.
type option struct {
	what  string
	given bool
}
