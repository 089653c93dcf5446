package cluster_test

import (
	"testing"

	"colonnade/internal/cluster"
)

func TestStepsSayWhyAPositionMoves(t *testing.T) {
	for _, c := range []struct {
		name   cluster.ActName
		reason string
		cause  string
		is     bool
	}{
		{cluster.ActTakeSwapIn, "the distributor swapped it: silent", "swapped", true},
		{cluster.ActReplace, "two witnesses say that it is dead", "dead", true},
		{cluster.ActVacate, "it says that it is down", "down", true},
		{cluster.ActReplace, "it does not take the table", "refuses", true},
		{cluster.ActReplace, "the distributor swapped it: down", "swapped", true},
		{cluster.ActReplace, "whatever an agent said", "out_of_service", true},
		{cluster.ActHandOver, "planned failover", "planned", true},
		{cluster.ActHandOver, "one witness spoke against it for 10s", "suspect", true},
		{cluster.ActFill, "the position was vacant", "", false},
		{cluster.ActBuild, "", "", false},
	} {
		cause, is := cluster.Step{Act: cluster.Act{Name: c.name}, Reason: c.reason}.Failover()
		if cause != c.cause || is != c.is {
			t.Errorf("%s because %q: %q, %v", c.name, c.reason, cause, is)
		}
	}
}
