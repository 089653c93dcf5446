package linuxnet_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"colonnade/internal/linuxnet"
)

// asOnAHost puts RunDir back to what it is on a machine without any namespace: a directory of /run that is no mount. On
// a machine with systemd every mount is shared, else none.
func asOnAHost(t *testing.T, shared bool) {
	t.Helper()
	must(t, unix.Unmount(linuxnet.RunDir, unix.MNT_DETACH)) // the lab's
	must(t, unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"))
	if shared {
		must(t, unix.Mount("", "/run", "none", unix.MS_SHARED, ""))
	}
	must(t, os.Mkdir(linuxnet.RunDir, 0o755))
	t.Cleanup(func() {
		must(t, unix.Unmount("/run", unix.MNT_DETACH))
		must(t, unix.Mount("tmpfs", linuxnet.RunDir, "tmpfs", 0, "mode=755"))
	})
}

// ip runs iproute2.
func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// layers counts the mounts at a path.
func layers(t *testing.T, path string) int {
	t.Helper()
	data, err := os.ReadFile("/proc/thread-self/mountinfo")
	must(t, err)
	return bytes.Count(data, []byte(" "+path+" "))
}

func ensure(t *testing.T, name string) {
	t.Helper()
	created, err := linuxnet.EnsureNamespace(name)
	must(t, err)
	if !created {
		t.Fatalf("namespace %s was there", name)
	}
}

// share shares RunDir and says whether it was mounted for that.
func share(t *testing.T) (made bool) {
	t.Helper()
	must(t, linuxnet.ShareRunDir(func() error { made = true; return nil }))
	return made
}

func wantNames(t *testing.T, want ...string) {
	t.Helper()
	got, err := linuxnet.Namespaces("")
	must(t, err)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("names:\n%s", diff)
	}
}

// TestBesideIproute2 has us and `ip netns` make, use and delete each other's namespaces in either order.
func TestBesideIproute2(t *testing.T) {
	for _, host := range []struct {
		name   string
		shared bool
	}{{"private", false}, {"shared", true}} {
		t.Run(host.name+" mounts: we come first", func(t *testing.T) {
			asOnAHost(t, host.shared)
			if !share(t) || share(t) {
				t.Error("the first call alone makes the mount")
			}
			ensure(t, "cnt-one")
			ensure(t, "cnt-two")
			ip(t, "netns", "add", "cnt-other")
			if n := layers(t, linuxnet.RunDir); n != 1 {
				t.Errorf("%d mounts at %s, want ours alone", n, linuxnet.RunDir)
			}
			if got := ip(t, "netns", "exec", "cnt-one", "ip", "-br", "link"); !strings.HasPrefix(got, "lo ") {
				t.Errorf("inside: %s", got)
			}
			ip(t, "netns", "del", "cnt-two")
			must(t, linuxnet.DeleteNamespace("cnt-one"))
			wantNames(t, "cnt-other")
			if gone, err := linuxnet.UnshareRunDir(); gone || err != nil {
				t.Errorf("with another's namespace in it: gone %v, %v", gone, err)
			}
			ip(t, "netns", "exec", "cnt-other", "true")
			must(t, linuxnet.DeleteNamespace("cnt-other"))
			for range 2 {
				if gone, err := linuxnet.UnshareRunDir(); !gone || err != nil {
					t.Errorf("with nothing in it: gone %v, %v", gone, err)
				}
			}
			if n := layers(t, linuxnet.RunDir); n != 0 {
				t.Errorf("%d mounts at %s are left", n, linuxnet.RunDir)
			}
		})
		t.Run(host.name+" mounts: iproute2 comes first", func(t *testing.T) {
			asOnAHost(t, host.shared)
			ip(t, "netns", "add", "cnt-other")
			if share(t) {
				t.Error("the mount is iproute2's")
			}
			ensure(t, "cnt-one")
			ip(t, "netns", "add", "cnt-third")
			ip(t, "netns", "exec", "cnt-one", "true")
			ip(t, "netns", "del", "cnt-other")
			must(t, linuxnet.DeleteNamespace("cnt-third"))
			must(t, linuxnet.DeleteNamespace("cnt-one"))
			wantNames(t)
		})
		t.Run(host.name+" mounts: iproute2 comes in between and nobody has shared the directory", func(t *testing.T) {
			asOnAHost(t, host.shared)
			ensure(t, "cnt-one")
			ensure(t, "cnt-two")
			ip(t, "netns", "add", "cnt-other")
			wantNames(t, "cnt-one", "cnt-other", "cnt-two")
			must(t, linuxnet.DeleteNamespace("cnt-one"))
			wantNames(t, "cnt-other", "cnt-two")
			if n := layers(t, linuxnet.Path("cnt-one")); n != 0 {
				t.Errorf("%d mounts of it are left", n)
			}
			ip(t, "netns", "exec", "cnt-two", "true")
			ip(t, "netns", "exec", "cnt-other", "true")
			must(t, linuxnet.DeleteNamespace("cnt-two"))
		})
	}
	t.Run("a name that is reachable only underneath goes too", func(t *testing.T) {
		asOnAHost(t, false)
		ensure(t, "cnt-one")
		ensure(t, "cnt-two")
		ip(t, "netns", "del", "cnt-two")
		must(t, unix.Mount("tmpfs", linuxnet.RunDir, "tmpfs", 0, ""))
		must(t, unix.Mount("tmpfs", linuxnet.RunDir, "tmpfs", 0, ""))
		ensure(t, "cnt-top")
		wantNames(t, "cnt-one", "cnt-top")
		for range 2 {
			must(t, linuxnet.DeleteNamespace("cnt-one"))
		}
		wantNames(t, "cnt-top")
		if gone, err := linuxnet.UnshareRunDir(); gone || err != nil {
			t.Errorf("others' mounts: gone %v, %v", gone, err)
		}
		must(t, linuxnet.DeleteNamespace("cnt-top"))
		for range 2 {
			must(t, unix.Unmount(linuxnet.RunDir, 0))
		}
		if entries, err := os.ReadDir(linuxnet.RunDir); err != nil || len(entries) != 0 {
			t.Errorf("underneath: %v, %v", entries, err)
		}
	})
	t.Run("what an older version left without a mount of its own is taken over", func(t *testing.T) {
		asOnAHost(t, false)
		ensure(t, "cnt-one")
		if !share(t) {
			t.Error("no mount was made")
		}
		ip(t, "netns", "exec", "cnt-one", "true")
		must(t, linuxnet.DeleteNamespace("cnt-one"))
		if gone, err := linuxnet.UnshareRunDir(); !gone || err != nil {
			t.Errorf("gone %v, %v", gone, err)
		}
		wantNames(t)
	})
}
