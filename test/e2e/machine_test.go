package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"colonnade/internal/stage"
)

// machine is how busy the machine has been since a moment. Failures are noticed within 300 ms; on a machine that gives HAProxy
// no processor for so long, amphorae fail that nobody hurt, and connections break that have to. A test about connections
// then has nothing to say.
type machine struct {
	stage  *stage.Stage
	since  time.Time
	waited time.Duration
	logged int // bytes of the control plane's log until then
}

func watchMachine(s *stage.Stage) machine {
	log, _ := os.ReadFile(s.LogFile())
	return machine{stage: s, since: time.Now(), waited: waited(), logged: len(log)}
}

// waited is for how long, so far, somebody on this machine could have run and had no processor; 0 where the kernel does not
// say.
func waited() time.Duration {
	raw, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0
	}
	var us int64
	line, _, _ := strings.Cut(string(raw), "\n")
	_, total, _ := strings.Cut(line, "total=")
	_, _ = fmt.Sscan(total, &us)
	return time.Duration(us) * time.Microsecond
}

// tooBusy is nearly all the time; a machine that only works hard is below it.
const tooBusy = 0.9

// judge skips the test if the machine was too busy and let an amphora fail by its own word, which no test does that has
// connections open.
func (m machine) judge(t *testing.T) {
	t.Helper()
	busy := float64(waited()-m.waited) / float64(time.Since(m.since))
	if busy < tooBusy {
		return
	}
	log, err := os.ReadFile(m.stage.LogFile())
	must(t, err)
	for line := range strings.Lines(string(log[m.logged:])) {
		_, id, ok := strings.Cut(line, "kind=amphora instance_id=")
		id, _, _ = strings.Cut(id, " ")
		if ok && strings.Contains(line, "state=down") {
			t.Skipf("the machine was short of processors for %.0f %% of the time, and amphora %s failed by that: its connections break", 100*busy, id)
		}
	}
}
