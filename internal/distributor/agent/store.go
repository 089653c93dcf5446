package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"colonnade/internal/atomicfile"
	"colonnade/internal/distributor/ledger"
)

// Names within the instance's directory.
const (
	recordsDir = "loadbalancers"
	bootIDFile = "boot_id"
	brokenExt  = ".broken"
)

// privateMode is that of all files here.
const privateMode = 0o600

// tombstoneLife is far longer than any call can be late.
const tombstoneLife = 24 * time.Hour

// Store keeps records on disk, a file each. A file is replaced whole or not at all, also when the machine loses power.
type Store struct {
	dir string
}

// OpenStore opens the directory of an instance, making what is missing.
func OpenStore(dir string) (*Store, error) {
	s := &Store{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, recordsDir), 0o700); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	return s, nil
}

// BootID names the instance: made with its directory, kept over restarts of the agent.
func (s *Store) BootID() (string, error) {
	path := filepath.Join(s.dir, bootIDFile)
	b, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(b)); err == nil && uuid.Validate(id) == nil {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	id := uuid.NewString()
	return id, atomicfile.Write(path, []byte(id+"\n"), privateMode)
}

// Load reads all records. Files that a crash left half written are removed: the renamed one beside them is whole. A
// file that is not readable for another reason is set aside, so that one bad sector does not take the other load
// balancers' state; its load balancer is unknown until it is plugged again, while its dataplane goes on.
func (s *Store) Load(now time.Time) (records []ledger.Record, broken []string, err error) {
	dir := filepath.Join(s.dir, recordsDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("load state: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), atomicfile.TempPrefix):
			if err := os.Remove(path); err != nil {
				return nil, nil, fmt.Errorf("load state: %w", err)
			}
			continue
		case filepath.Ext(e.Name()) != ".json":
			continue
		}
		var r ledger.Record
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil || r.LBID+".json" != e.Name() {
			broken = append(broken, path)
			if err := os.Rename(path, path+brokenExt); err != nil {
				return nil, nil, fmt.Errorf("set unreadable state aside: %w", err)
			}
			continue
		}
		if r.Plug == nil && now.Sub(time.UnixMilli(r.DeletedAtUnixMS)) > tombstoneLife {
			if err := os.Remove(path); err != nil {
				return nil, nil, fmt.Errorf("remove old tombstone: %w", err)
			}
			continue
		}
		records = append(records, r)
	}
	return records, broken, nil
}

// Save writes one record. Keys are inside: the file is for the owner alone.
func (s *Store) Save(r ledger.Record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("save state of %s: %w", r.LBID, err)
	}
	return atomicfile.Write(filepath.Join(s.dir, recordsDir, r.LBID+".json"), b, privateMode)
}
