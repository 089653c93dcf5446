package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// drainTimeout is how long requests under way may take after a server stopped listening.
const drainTimeout = 5 * time.Second

// serving opens a server's socket; it is served when the runner is run.
func serving(ctx context.Context, what, listen string, srv *http.Server) (r runner, address string, err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return r, "", fmt.Errorf("listen for %s: %w", what, err)
	}
	return runner{closer: ln, run: func(ctx context.Context) error {
		if err := serve(ctx, ln, srv); err != nil {
			return fmt.Errorf("serve %s: %w", what, err)
		}
		return nil
	}}, ln.Addr().String(), nil
}

func serve(ctx context.Context, ln net.Listener, srv *http.Server) error {
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close() // long-running answers are cut off; their clients see it
	}
	<-done
	return nil
}

// reachable is where clients of this machine find a server that listens on an address, which may be every one.
func reachable(listens string) string {
	at, err := netip.ParseAddrPort(listens)
	if err != nil || !at.Addr().IsUnspecified() {
		return listens
	}
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if at.Addr().Is6() && !at.Addr().Is4In6() {
		local = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(local, at.Port()).String()
}
