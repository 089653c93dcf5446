package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// Names within the instance's directory.
const (
	documentFile = "document.json"
	tableFile    = "table.json"
	bootFile     = "boot_id"
	haproxyDir   = "haproxy"
)

// store keeps what the agent was told. A file is replaced whole or not at all, also when the machine loses power.
type store struct {
	dir string
}

// load reads a kept value; found is false when there is none.
func (s store) load(name string, into any) (found bool, err error) {
	raw, err := os.ReadFile(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return false, fmt.Errorf("read kept %s: %w", name, err)
	}
	return true, nil
}

// save keeps a value durably before it returns. Keys are inside: the file is for the owner alone.
func (s store) save(name string, v any) error {
	raw, err := json.Marshal(v)
	if err == nil {
		err = s.write(name, raw)
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

func (s store) write(name string, content []byte) error {
	tmp, err := os.CreateTemp(s.dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	if _, err = tmp.Write(content); err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), filepath.Join(s.dir, name)); err != nil {
		return err
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// bootID names this life of the instance: made anew with its directory and with every boot of its kernel.
func (s store) bootID() (string, error) {
	kernel, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	machine := strings.TrimSpace(string(kernel))
	raw, err := os.ReadFile(filepath.Join(s.dir, bootFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	if f := strings.Fields(string(raw)); len(f) == 2 && f[1] == machine {
		return f[0], nil
	}
	id := uuid.NewString()
	return id, s.write(bootFile, []byte(id+" "+machine+"\n"))
}
