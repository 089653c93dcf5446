package cluster

import "strings"

// Failover says whether the step gives a position to another amphora, or takes it from one without a successor, and why
// in one word of few: what metrics count by.
func (s Step) Failover() (cause string, ok bool) {
	switch s.Name {
	case ActTakeSwapIn:
		return "swapped", true
	case ActHandOver:
		switch {
		case s.Reason == reasonPlanned:
			return "planned", true
		case strings.HasPrefix(s.Reason, reasonWitness):
			return "suspect", true
		}
		return "elective", true
	case ActReplace, ActVacate:
		switch {
		case s.Reason == reasonDead:
			return "dead", true
		case s.Reason == reasonDown:
			return "down", true
		case s.Reason == reasonRefuses:
			return "refuses", true
		case strings.HasPrefix(s.Reason, reasonSwapped):
			return "swapped", true
		}
		return "out_of_service", true
	}
	return "", false
}

// Reasons of failovers, as people read them.
const (
	reasonPlanned = "planned failover"
	reasonWitness = "one witness spoke against it for "
	reasonDead    = "two witnesses say that it is dead"
	reasonDown    = "it says that it is down"
	reasonRefuses = "it does not take the table"
	reasonSwapped = "the distributor swapped it: "
)
