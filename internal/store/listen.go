package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"colonnade/internal/queue"
)

const (
	connectTimeout = 5 * time.Second // unless the DSN says otherwise
	// A connection that is silent for this long is asked whether it still lives.
	listenCheck = 30 * time.Second
	// Pauses before connecting again, the first and the longest.
	listenFirst, listenMost = 50 * time.Millisecond, 5 * time.Second
)

// listener rings the bell when another process has committed work, on a PostgreSQL connection of its own. While it has
// none, those who wait for the bell find work by polling.
type listener struct {
	conf *pgx.ConnConfig
	bell *queue.Bell
	log  *slog.Logger
	stop context.CancelFunc
	done chan struct{}
}

func startListener(conf *pgx.ConnConfig, bell *queue.Bell, log *slog.Logger) *listener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &listener{conf: conf, bell: bell, log: log, stop: cancel, done: make(chan struct{})}
	go l.run(ctx)
	return l
}

func (l *listener) close() {
	l.stop()
	<-l.done
}

func (l *listener) run(ctx context.Context) {
	defer close(l.done)
	for pause := listenFirst; ; pause = min(2*pause, listenMost) {
		heard, err := l.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard {
			pause = listenFirst
		}
		l.log.WarnContext(ctx, "listening for work broke off", "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// listen connects and rings until the connection breaks; heard tells that it had one.
func (l *listener) listen(ctx context.Context) (heard bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, l.conf)
	if err != nil {
		return false, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	setup, cancel := context.WithTimeout(ctx, connectTimeout)
	_, err = conn.Exec(setup, "LISTEN "+queue.Channel)
	cancel()
	if err != nil {
		return false, err
	}
	for {
		l.bell.Ring() // also at first: what was committed while nobody listened
		if err := await(ctx, conn); err != nil {
			return true, err
		}
	}
}

// await waits for the next notification, and makes sure that silence is not that of a dead connection.
func await(ctx context.Context, conn *pgx.Conn) error {
	for {
		silence, cancel := context.WithTimeout(ctx, listenCheck)
		_, err := conn.WaitForNotification(silence)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		alive, cancel := context.WithTimeout(ctx, connectTimeout)
		err = conn.Ping(alive)
		cancel()
		if err != nil {
			return err
		}
	}
}
