//go:build crashtest

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	target, last = parse(os.Getenv("COLONNADE_CRASH_AT"))
	hits         atomic.Int64
)

func parse(text string) (point string, nth int64) {
	point, number, ok := strings.Cut(text, ":")
	if !ok {
		return point, 1
	}
	nth, err := strconv.ParseInt(number, 10, 64)
	if err != nil || nth < 1 {
		panic("COLONNADE_CRASH_AT: " + text + ": no number of a hit")
	}
	return point, nth
}

// At is a point within a step, by its whole name.
func At(point string) {
	if point != target || hits.Add(1) != last {
		return
	}
	if file := os.Getenv("COLONNADE_CRASH_FILE"); file != "" {
		if err := os.WriteFile(file, []byte(point), 0o600); err != nil { //nolint:gosec // the test names the file
			panic(err)
		}
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// Of is a point of a role's step.
func Of(role, step string, phase Phase) {
	At(role + "." + strings.ReplaceAll(step, " ", "-") + "." + string(phase))
}
