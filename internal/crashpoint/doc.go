// Package crashpoint names the moments at which a control plane may die. Each step of every plan passes three of them:
// before it acts, between acting and recording, and after. In a normal build the calls are compiled to nothing; in one
// with the build tag crashtest the process kills itself at the moment that the environment names:
//
//	COLONNADE_CRASH_AT=acm.build.acted:2   at the second time that this point is passed; without a number at the first
//	COLONNADE_CRASH_FILE=/some/file        is given the point's name just before, so that a test knows it was reached
//
// docs/reference/crash-points.txt lists all points; a test of this package reads them from the sources.
package crashpoint

// Phase is where in a step a point lies.
type Phase string

// Phases of a step. One that only changes rows acts inside its transaction and has recorded when that is committed.
const (
	Before   Phase = "before"
	Acted    Phase = "acted"
	Recorded Phase = "recorded"
)
