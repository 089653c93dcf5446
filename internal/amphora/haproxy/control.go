package haproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// control asks the sockets in one directory. They are reached through the directory's descriptor, so that a long path
// does not meet the 108 bytes of a socket's address.
type control struct {
	dir *os.File
}

// askTimeout bounds one question when the caller's context does not.
const askTimeout = 2 * time.Second

// ask sends one line (commands may be joined by ";") and returns everything that is answered.
func (c control) ask(ctx context.Context, socket, line string) (string, error) {
	deadline := time.Now().Add(askTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	d := net.Dialer{Deadline: deadline}
	conn, err := d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", c.dir.Fd(), socket))
	if err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	// The master's socket stays open for more questions until its asker is done.
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	return string(answer), nil
}

// processes is the master's view of itself.
type processes struct {
	reloads int
	failed  bool  // the last reload failed; the former worker goes on
	current int   // pid of the worker that listens; 0 when there is none
	former  []int // workers that finish their connections
}

func (c control) processes(ctx context.Context) (processes, error) {
	shown, err := c.ask(ctx, masterSocket, "show proc")
	if err != nil {
		return processes{}, err
	}
	return parseProcesses(shown), nil
}

// parseProcesses reads "show proc". A worker forked by the latest successful load has been through 0 reloads; after
// a failed one the counts of all have gone up, and the least is the listener's.
func parseProcesses(shown string) processes {
	var p processes
	least := -1
	var workers [][2]int
	for _, line := range strings.Split(shown, "\n") {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		if err != nil {
			continue
		}
		reloads, err := strconv.Atoi(f[2])
		if err != nil {
			continue
		}
		switch f[1] {
		case "master":
			p.reloads = reloads
			p.failed = len(f) > 4 && f[3] == "[failed:" && f[4] != "0]"
		case "worker":
			workers = append(workers, [2]int{pid, reloads})
			if least < 0 || reloads < least {
				least = reloads
			}
		}
	}
	for _, w := range workers {
		if w[1] == least && p.current == 0 {
			p.current = w[0]
		} else {
			p.former = append(p.former, w[0])
		}
	}
	return p
}
