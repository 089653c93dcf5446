package snapshot_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"colonnade/internal/linuxnet"
	"colonnade/internal/testenv"
	"colonnade/internal/testenv/snapshot"
)

func TestMain(m *testing.M) {
	os.Exit(testenv.RunInLab(func() int { return snapshot.RunAlone(m) }))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDiffSeesWhatWasLeft(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dir := t.TempDir()
	options := snapshot.Options{Files: []string{dir}, Exclude: []string{filepath.Join(dir, "state")}, Inside: []string{"cnt-"}}
	take := func() snapshot.World {
		t.Helper()
		w, err := snapshot.Take(ctx, options)
		must(t, err)
		return w
	}
	must(t, os.MkdirAll(linuxnet.RunDir, 0o755))
	before := take()
	if diff := snapshot.Diff(before, take()); diff != nil {
		t.Fatalf("two pictures of one world differ: %v", diff)
	}
	h, err := linuxnet.Open("")
	must(t, err)
	defer h.Close()
	for _, c := range []struct {
		name string
		do   func() error
		undo func() error
		want []string
	}{
		{
			"a namespace", func() error { _, err := linuxnet.EnsureNamespace("cnt-left"); return err },
			func() error { return linuxnet.DeleteNamespace("cnt-left") },
			[]string{"+ link cnt-left: lo device  mtu 65536 master - up true alias \"\"", "+ namespace cnt-left mounted: true"},
		},
		{
			"a link with address and route", func() error {
				return first(h.EnsureBridge("left", []byte{2, 0, 0, 0, 0, 1}, 1500), h.EnsureAddress("left", netip.MustParsePrefix("198.18.0.1/32")),
					h.SetRoute(linuxnet.Route{Destination: netip.MustParsePrefix("198.18.1.0/24"), Device: "left"}))
			}, func() error { return h.DeleteLink("left") },
			[]string{
				"+ address host: left 198.18.0.1/32 ", `+ link host: left bridge 02:00:00:00:00:01 mtu 1500 master - up true alias ""`,
				"+ route host: 198.18.1.0/24 dev left proto static scope link linkdown ", "+ route host: local 198.18.0.1 dev left table local proto kernel scope host src 198.18.0.1 ",
			},
		},
		{
			"a sysctl", func() error { return linuxnet.SetSysctl("", "net.ipv4.ip_forward", "1") },
			func() error { return linuxnet.SetSysctl("", "net.ipv4.ip_forward", "0") },
			[]string{
				"+ sysctl host: net.ipv4.conf.all.forwarding 1", "- sysctl host: net.ipv4.conf.all.forwarding 0",
				"+ sysctl host: net.ipv4.conf.default.forwarding 1", "- sysctl host: net.ipv4.conf.default.forwarding 0",
				"+ sysctl host: net.ipv4.ip_forward 1", "- sysctl host: net.ipv4.ip_forward 0",
			},
		},
		{
			"a rule", func() error { return linuxnet.Nft(ctx, "", "table inet left { }") },
			func() error { return linuxnet.Nft(ctx, "", "delete table inet left") },
			[]string{"+ nftables host table inet left {\n}\n"},
		},
		{
			"a file, but not one in the state directory", func() error {
				return first(os.WriteFile(filepath.Join(dir, "left"), nil, 0o600), os.Mkdir(filepath.Join(dir, "state"), 0o700),
					os.WriteFile(filepath.Join(dir, "state", "x"), nil, 0o600))
			}, func() error {
				return first(os.Remove(filepath.Join(dir, "left")), os.RemoveAll(filepath.Join(dir, "state")))
			},
			[]string{"+ file " + dir + "/left -rw-------"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			must(t, c.do())
			got := snapshot.Diff(before, take())
			// IPv6 and mounts come along; what has to be seen is named above.
			var seen []string
			for _, line := range got {
				for _, want := range c.want {
					if line == want {
						seen = append(seen, line)
					}
				}
			}
			if len(seen) != len(c.want) {
				t.Errorf("want %d lines:\n%s\nall that was seen:\n%s", len(c.want), cmp.Diff(c.want, seen), cmp.Diff(nil, got))
			}
			must(t, c.undo())
			if diff := snapshot.Diff(before, take()); diff != nil {
				t.Errorf("after undoing: %v", diff)
			}
		})
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
