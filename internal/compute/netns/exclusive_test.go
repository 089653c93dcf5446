package netns

import (
	"sync"
	"testing"
)

// TestProcessesWaitForEachOther stands two drivers on one state directory for two processes: neither knows the other's
// memory.
func TestProcessesWaitForEachOther(t *testing.T) {
	dir := t.TempDir()
	process := func() *Driver {
		return &Driver{cfg: Config{StateDir: dir}, busy: map[string]*sync.Mutex{}}
	}
	free := func(d *Driver, id string) bool {
		t.Helper()
		release, ok, err := d.take(id, false)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			release()
		}
		return ok
	}
	const id, other = "0123abcd-rest", "fedc9876-rest"
	one, two := process(), process()
	release, err := one.exclusive(id)
	if err != nil {
		t.Fatal(err)
	}
	if free(one, id) || free(two, id) || !free(two, other) || !free(one, other) {
		t.Error("a held instance is free, or another is not")
	}
	waited := make(chan error, 1)
	go func() {
		release, err := two.exclusive(id)
		if err == nil {
			release()
		}
		waited <- err
	}()
	release()
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if !free(one, id) || !free(two, id) {
		t.Error("an instance that was let go is not free")
	}
	if _, err := one.exclusive("not-hex-"); err == nil {
		t.Error("what is no id was locked")
	}
}
