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

	"colonnade/internal/atomicfile"
)

// Names within the instance's directory.
const (
	documentFile = "document.json"
	tableFile    = "table.json"
	bootFile     = "boot_id"
	haproxyDir   = "haproxy"
)

// privateMode is that of all files here: keys are inside.
const privateMode = 0o600

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
		err = atomicfile.Write(filepath.Join(s.dir, name), raw, privateMode)
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
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
	return id, atomicfile.Write(filepath.Join(s.dir, bootFile), []byte(id+" "+machine+"\n"), privateMode)
}
