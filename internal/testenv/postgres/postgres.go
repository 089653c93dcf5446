// Package postgres gives tests a PostgreSQL server of their own, from Debian's package. The server lives in namespaces
// of its own (processes, mounts, IPC) with its data in memory, so the kernel removes all of it when the program that
// started it ends, fails or is killed. Only tests and benchmarks import it.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// home is postgres' home directory from the package; the server's own file system is mounted over it.
	home    = "/var/lib/postgresql"
	install = "/usr/lib/postgresql/*/bin/postgres"
	// A server is there in about a second; this is for a machine that is busy with other things.
	startTimeout = 60 * time.Second
)

// furnish runs in the server's namespaces and becomes the server. $1 is the directory of its programs. What is not
// safe against a crash of the machine (fsync, …) need not be: nothing outlives the server. The time zone is an odd one,
// so that tests see what depends on it.
const furnish = `set -e
mount -t tmpfs -o size=2g,mode=0700,uid="$(id -u postgres)",gid="$(id -g postgres)" colonnade-postgres ` + home + `
cd ` + home + `
as() { exec setpriv --reuid=postgres --regid=postgres --clear-groups --pdeathsig KILL "$@"; }
(as "$1/initdb" --pgdata=data --auth=trust --username=postgres --encoding=UTF8 --locale=C.UTF-8 --no-sync --wal-segsize=4 >&2)
as "$1/postgres" -D data -c listen_addresses= -c unix_socket_directories=` + home + ` -c max_connections=300 \
  -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=32MB -c max_wal_size=64MB -c min_wal_size=8MB \
  -c timezone=Asia/Kathmandu -c log_timezone=UTC -c lc_messages=C -c autovacuum=off -c jit=off
`

// Server is a running server.
type Server struct {
	cmd  *exec.Cmd
	log  *output
	done chan struct{} // closed when the server has ended
}

// Start starts a server, which ends with Stop or with this program. It needs root and Debian's package postgresql.
func Start(ctx context.Context) (*Server, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("start PostgreSQL: this needs root, for the server's namespaces; run it with sudo")
	}
	found, err := filepath.Glob(install)
	if err != nil || len(found) == 0 {
		return nil, errors.New("start PostgreSQL: it is not installed; run tools/install-packages postgresql")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	s := &Server{log: &output{}, done: make(chan struct{})}
	s.cmd = exec.Command("/bin/sh", "-c", furnish, "furnish-postgres", filepath.Dir(newest))
	s.cmd.Dir = "/"
	s.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.WaitDelay = time.Second
	s.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID,
		// Unshared rather than cloned, because then the mounts are made private first.
		Unshareflags: unix.CLONE_NEWNS | unix.CLONE_NEWIPC,
		Pdeathsig:    syscall.SIGKILL,
		Setsid:       true, // an interrupt of the terminal is this program's
	}
	started := make(chan error, 1)
	go s.hold(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := s.await(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start PostgreSQL: %w; it said:\n%s", err, s.log)
	}
	return s, nil
}

// version is the major version in a path of the package.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// hold starts the server and waits for its end on one thread: the kernel kills the server when the thread that
// started it ends, so that thread must be one that lasts.
func (s *Server) hold(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := s.cmd.Start()
	started <- err
	if err == nil {
		_ = s.cmd.Wait()
	}
	close(s.done)
}

// Stop kills the server and waits until it is gone; nothing of it is left.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Ended reports whether the server is gone, and its data with it.
func (s *Server) Ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// await polls until the server takes connections.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.accepts(ctx) {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.done:
			return errors.New("the server ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// accepts asks for a connection as the user postgres: 'R' begins the answer of a server that is ready, 'E' that of one
// that is still starting.
func (s *Server) accepts(ctx context.Context) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(s.socketDir(), ".s.PGSQL.5432"))
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	body := []byte("\x00\x03\x00\x00user\x00postgres\x00\x00") // protocol 3.0
	if _, err := conn.Write(append([]byte{0, 0, 0, byte(len(body) + 4)}, body...)); err != nil {
		return false
	}
	var first [1]byte
	_, err = io.ReadFull(conn, first[:])
	return err == nil && first[0] == 'R'
}

// socketDir reaches into the server's mount namespace.
func (s *Server) socketDir() string { return fmt.Sprintf("/proc/%d/root%s", s.cmd.Process.Pid, home) }

// DSN is how to reach a database of this server ("postgres" is there from the start) as its superuser.
func (s *Server) DSN(database string) string {
	return "postgres://postgres@/" + database + "?host=" + s.socketDir()
}

// output keeps what the server says.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	const enough = 1 << 20
	if o.buf.Len() < enough {
		o.buf.Write(p)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Shared is this program's own server, which is started when it is first asked for and ends with the program.
var Shared = sync.OnceValues(func() (*Server, error) { return Start(context.Background()) })
