package haproxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"colonnade/internal/amphora"
)

// Times of the process's life. Measured starts take 20–60 ms, checks 22 ms; the limits are for a machine out of breath.
const (
	readyTimeout  = 5 * time.Second
	reloadTimeout = 10 * time.Second
	checkTimeout  = 10 * time.Second
	pollEvery     = 5 * time.Millisecond
	shortLife     = time.Second // a process that lived no longer is restarted with a pause
	maxLog        = 1 << 20
)

// Place is where one HAProxy lives.
type Place struct {
	Dir       string // of its own; files and sockets
	Namespace string // path of the network namespace it runs in; "" for the agent's own
	Cgroup    string // cgroup v2 directory it is born in; "" for the agent's own
}

// Balancer supervises one HAProxy: it starts, adopts, changes and restarts it. All methods may be called concurrently.
// Close leaves HAProxy running; that is what makes an agent's restart unnoticed.
type Balancer struct {
	place    Place
	settings Settings
	log      *slog.Logger
	onState  func(up bool)
	ctl      control

	mu        sync.Mutex // held during every change
	running   *process   // nil: none is wanted or none could be started
	wanted    bool
	unwatch   func()
	document  amphora.Desired // what runs
	uncertain bool            // a change broke off: what runs may be another, only a reload makes it sure
	lastStart time.Time
	closed    bool

	starts, reloads atomic.Int64
	totals          totals
}

// Open prepares the directory. onState is told at once when HAProxy is lost and when it serves again; it must not call
// the Balancer.
func Open(place Place, settings Settings, log *slog.Logger, onState func(up bool)) (*Balancer, error) {
	if err := os.MkdirAll(place.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open haproxy directory: %w", err)
	}
	if err := os.MkdirAll(place.Dir+"/"+chrootDir, 0o755); err != nil {
		return nil, fmt.Errorf("open haproxy directory: %w", err)
	}
	dir, err := os.Open(place.Dir)
	if err != nil {
		return nil, fmt.Errorf("open haproxy directory: %w", err)
	}
	b := &Balancer{place: place, settings: settings, log: log, onState: onState, ctl: control{dir}}
	b.totals.load(b.path(totalsFile))
	return b, nil
}

// Close stops supervising.
func (b *Balancer) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.stopWatching()
	_ = b.ctl.dir.Close()
}

// Resume takes over what a former agent left: the kept document is what runs, or is made to run. After an error it is to
// be called again.
func (b *Balancer) Resume(ctx context.Context, kept amphora.Desired) (adopted bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, err := Render(kept, b.settings)
	if err != nil {
		return false, err
	}
	b.document, b.wanted = kept, len(kept.Listeners) > 0
	found := b.running
	if found == nil {
		found = b.find(ctx)
	}
	if !b.wanted {
		if found != nil { // the former agent died while ending it
			_ = syscall.Kill(found.PID, syscall.SIGUSR1)
		}
		return false, nil
	}
	onDisk, _ := os.ReadFile(b.path(configFile)) // a missing one differs
	_, halfway := os.Stat(b.path(halfwayFile))
	agrees := string(onDisk) == text && halfway != nil
	if !agrees {
		if err := b.replace(configFile, []byte(text)); err != nil {
			return false, fmt.Errorf("adopt haproxy: %w", err)
		}
	}
	if found == nil {
		if err := b.start(ctx); err != nil {
			return false, err
		}
		return false, b.done()
	}
	b.running = found
	if !agrees {
		err = b.reload(ctx, kept)
	} else {
		err = b.watchProcess(ctx)
	}
	if err != nil {
		return true, fmt.Errorf("adopt haproxy: %w", err)
	}
	b.onState(true)
	return true, b.done()
}

// Apply takes HAProxy from the document it runs to next. A document that Check or HAProxy refuses is an
// *amphora.RefusedError and changes nothing. prepare runs when nothing speaks against the document any more: it brings
// in the addresses that HAProxy is going to bind.
func (b *Balancer) Apply(ctx context.Context, next amphora.Desired, prepare func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, err := Render(next, b.settings)
	if err != nil {
		return err
	}
	if len(next.Listeners) == 0 {
		if err := prepare(); err != nil {
			return err
		}
		b.stop()
		b.document, b.wanted = next, false
		return nil
	}
	if err := b.putSecrets(next); err != nil {
		return err
	}
	if err := b.applyWith(ctx, next, text, prepare); err != nil {
		// The files are those of what runs again.
		return errors.Join(err, b.putSecrets(b.document))
	}
	return nil
}

// applyWith is Apply for a document with listeners, whose secrets are there.
func (b *Balancer) applyWith(ctx context.Context, next amphora.Desired, text string, prepare func() error) error {
	var change Change
	var err error
	running := b.running != nil && b.wanted
	if running {
		if change, err = Diff(b.document, next, b.settings); err != nil {
			return err
		}
		if b.uncertain {
			change = Change{Class: Reload}
		}
	}
	if !running || change.Class != Nothing {
		if err := b.check(ctx, text); err != nil {
			return err
		}
	}
	if err := prepare(); err != nil {
		return err
	}
	switch {
	case running && change.Class == Nothing:
		b.document = next
		return nil
	case running:
		return b.change(ctx, change, text, next)
	}
	return b.first(ctx, text, next)
}

// first starts HAProxy with its first document, or one that came while it could not be started.
func (b *Balancer) first(ctx context.Context, text string, next amphora.Desired) error {
	if err := b.begin(text); err != nil {
		return err
	}
	former, wasWanted := b.document, b.wanted
	b.document, b.wanted = next, true
	if err := b.start(ctx); err != nil {
		b.document, b.wanted = former, wasWanted
		if back, rErr := Render(former, b.settings); wasWanted && rErr == nil {
			err = errors.Join(err, b.replace(configFile, []byte(back)))
		}
		return err
	}
	return b.done()
}

// change makes a checked change. File and process agree before and after; in between halfwayFile says so.
func (b *Balancer) change(ctx context.Context, change Change, text string, next amphora.Desired) error {
	if err := b.begin(text); err != nil {
		return err
	}
	former := b.document
	b.document = next
	if change.Class == Runtime {
		refused := b.commands(ctx, change.Commands)
		if refused == nil {
			return b.done()
		}
		b.log.InfoContext(ctx, "runtime change refused, reloading", "reason", refused.Error())
	}
	err := b.reload(ctx, next)
	if err == nil {
		b.uncertain = false
		return b.done()
	}
	// The former worker serves on, most likely; let the file say so again.
	b.document, b.uncertain = former, true
	if back, rErr := Render(former, b.settings); rErr == nil {
		err = errors.Join(err, b.replace(configFile, []byte(back)))
	}
	return err
}

func (b *Balancer) commands(ctx context.Context, commands []Command) error {
	for _, c := range commands {
		line := c.Line
		if c.Payload != "" {
			line += " <<\n" + c.Payload // an empty line ends it
		}
		answer, err := b.ctl.ask(ctx, runSocket, line)
		if err != nil {
			return err
		}
		// Even a silent success ends with a line; nothing at all is a worker that died while asked.
		if answer == "" || !c.accepted(answer) {
			return fmt.Errorf("%s: %q", c.Line, answer)
		}
	}
	return nil
}

// check asks HAProxy itself, warnings counting as errors.
func (b *Balancer) check(ctx context.Context, text string) error {
	if err := b.replace(nextFile, []byte(text)); err != nil {
		return fmt.Errorf("check haproxy configuration: %w", err)
	}
	if _, err := os.Stat(b.path(stateFile)); err != nil {
		if err := b.replace(stateFile, []byte(emptyState)); err != nil {
			return fmt.Errorf("check haproxy configuration: %w", err)
		}
	}
	return CheckFile(ctx, b.place.Dir, nextFile, text)
}

// CheckFile runs "haproxy -c" on a file in dir and maps what it says by the file's text.
func CheckFile(ctx context.Context, dir, file, text string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "haproxy", "-c", "-dW", "-f", file)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return &amphora.RefusedError{Problems: problemsOf(string(out), text)}
	}
	if err != nil {
		return fmt.Errorf("check haproxy configuration: %w", err)
	}
	return nil
}

func (b *Balancer) begin(text string) error {
	err := os.WriteFile(b.path(halfwayFile), nil, 0o600)
	if err == nil {
		err = b.replace(configFile, []byte(text))
	}
	if err != nil {
		return fmt.Errorf("write haproxy configuration: %w", err)
	}
	return nil
}

func (b *Balancer) done() error {
	if err := os.Remove(b.path(halfwayFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Renew reloads without a change: the former worker closes connections that are idle, which is how keep-alive clients of
// a draining amphora are sent on, while the new one takes whatever still comes.
func (b *Balancer) Renew(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running == nil {
		return nil
	}
	return b.reload(ctx, b.document)
}

// Answers asks the worker that listens whether it still turns its loop; ctx bounds the wait.
func (b *Balancer) Answers(ctx context.Context) error {
	answer, err := b.ctl.ask(ctx, runSocket, "show version")
	if err == nil && answer == "" {
		err = errors.New("ask haproxy: no answer")
	}
	return err
}

// Counts are the starts and reloads of this agent's time.
func (b *Balancer) Counts() (starts, reloads int) {
	return int(b.starts.Load()), int(b.reloads.Load())
}

// stop ends HAProxy softly: it takes no new connection and ends with its last one.
func (b *Balancer) stop() {
	if b.running == nil {
		return
	}
	b.stopWatching()
	_ = syscall.Kill(b.running.PID, syscall.SIGUSR1)
	go b.running.reap()
	b.running = nil
	_ = os.Remove(b.path(recordFile))
}
