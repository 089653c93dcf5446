package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"colonnade/internal/amphora"
)

// start launches HAProxy with the file on disk; mu is held.
func (b *Balancer) start(ctx context.Context) error {
	// States of a former process are older than the first check.
	if err := b.replace(stateFile, []byte(emptyState)); err != nil {
		return fmt.Errorf("start haproxy: %w", err)
	}
	p, err := b.launch(ctx)
	if err != nil {
		return err
	}
	b.running, b.lastStart, b.uncertain = p, time.Now(), false
	b.starts.Add(1)
	if err := b.watchProcess(ctx); err != nil {
		p.kill()
		b.running = nil
		return err
	}
	b.onState(true)
	return nil
}

// reload makes a new worker with the file on disk; listening sockets pass over, the former worker finishes. mu is held.
func (b *Balancer) reload(ctx context.Context, next amphora.Desired) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	shown, err := b.ctl.ask(ctx, runSocket, "show servers state")
	if err != nil {
		shown = "" // health starts anew, that is all
	}
	if err := b.replace(stateFile, []byte(serverState(shown, next))); err != nil {
		return fmt.Errorf("reload haproxy: %w", err)
	}
	before, err := b.ctl.processes(ctx)
	if err != nil {
		return fmt.Errorf("reload haproxy: %w", err)
	}
	// From here the former worker may end, rightly.
	b.stopWatching()
	defer func() { _ = b.replace(stateFile, []byte(emptyState)) }() // old news for whoever starts next
	_, err = b.ctl.ask(ctx, masterSocket, "reload")
	for err == nil || ctx.Err() == nil {
		var now processes
		if now, err = b.ctl.processes(ctx); err == nil && now.reloads > before.reloads && now.current != 0 {
			if now.failed {
				err = fmt.Errorf("%s", b.lastWords())
				break
			}
			if now.current != before.current {
				b.reloads.Add(1)
				return b.watchOrRevive(ctx)
			}
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(pollEvery):
		}
	}
	// Still alive or not, somebody has to look.
	return errors.Join(fmt.Errorf("reload haproxy: %w", err), b.watchOrRevive(context.WithoutCancel(ctx)))
}

// watchOrRevive counts a process that cannot be watched as lost.
func (b *Balancer) watchOrRevive(ctx context.Context) error {
	err := b.watchProcess(ctx)
	if err != nil {
		go b.lost(b.running)
	}
	return err
}

// watchProcess waits, beside, for the end of the master or of the worker that listens. mu is held.
func (b *Balancer) watchProcess(ctx context.Context) error {
	b.stopWatching()
	ps, err := b.ctl.processes(ctx)
	if err != nil {
		return err
	}
	p := b.running
	master, stopMaster, err := watch(p.PID)
	if err != nil {
		return err
	}
	worker, stopWorker, err := watch(ps.current)
	if err != nil {
		stopMaster()
		return err
	}
	ended := make(chan struct{})
	b.unwatch = func() {
		close(ended)
		stopMaster()
		stopWorker()
	}
	go func() {
		select {
		case <-ended:
			return
		case <-master:
		case <-worker:
		}
		b.lost(p)
	}()
	return nil
}

func (b *Balancer) stopWatching() {
	if b.unwatch != nil {
		b.unwatch()
		b.unwatch = nil
	}
}

// lost tells, cleans up and restarts until HAProxy serves again. A master whose worker was killed would end by itself;
// its other workers with it.
func (b *Balancer) lost(p *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.running != p {
		return
	}
	b.onState(false)
	b.stopWatching()
	p.kill()
	b.running = nil
	b.log.Error("haproxy lost", "pid", p.PID, "reason", b.lastWords())
	b.revive()
}

// revive starts HAProxy until it runs, is not wanted any more or somebody else has started it. mu is held, and let go of
// in pauses.
func (b *Balancer) revive() {
	pause := time.Duration(0)
	if time.Since(b.lastStart) < shortLife {
		pause = 100 * time.Millisecond
	}
	for {
		if pause > 0 {
			b.mu.Unlock()
			time.Sleep(pause)
			b.mu.Lock()
		}
		if b.closed || !b.wanted || b.running != nil {
			return
		}
		err := b.start(context.Background())
		if err == nil {
			b.log.Info("haproxy restarted", "pid", b.running.PID)
			return
		}
		b.log.Error("haproxy not restarted", "error", err)
		pause = min(max(2*pause, 100*time.Millisecond), time.Second)
	}
}

// trimLog keeps HAProxy's words bounded; it appends, so an emptied file goes on from its beginning.
func (b *Balancer) trimLog() {
	if info, err := os.Stat(b.path(logFile)); err == nil && info.Size() > maxLog {
		_ = os.Truncate(b.path(logFile), 0)
	}
}
