package testenv_test

import (
	"net"
	"os"
	"strings"
	"testing"

	"colonnade/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.RunInLab(m.Run)) }

func TestLabIsAMachineOfItsOwn(t *testing.T) {
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Flags&net.FlagUp != 0 && l.Name != "lo" {
			t.Errorf("link %s is up inside the lab", l.Name)
		}
	}
	entries, err := os.ReadDir("/run/netns")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 0 {
		t.Errorf("%d named network namespaces of the host are visible", len(entries))
	}
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "0::/\n") {
		t.Errorf("not at the root of a cgroup namespace: %q", raw)
	}
	if os.Getpid() > 100 {
		t.Errorf("process id %d: not in a process namespace of its own", os.Getpid())
	}
}
