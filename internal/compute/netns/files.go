package netns

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"colonnade/internal/atomicfile"
	"colonnade/internal/compute"
)

// Files of ours in an instance's directory, beside the agent's.
const (
	recordFile  = "instance.json" // written first: what is being built
	processFile = "process.json"  // written last: it is built, and this process is it
	logFile     = "agent.log"
	portsDir    = "ports" // one file for each port that may be plugged
)

// maxLog is when an agent's log is cut to its newer half.
const maxLog = 4 << 20

// record says what an instance is, for those who find only its directory.
type record struct {
	ID               string       `json:"id"`
	Kind             compute.Kind `json:"kind"`
	ManagementPortID string       `json:"management_port_id"`
}

func (d *Driver) readRecord(id string) (record, error) {
	var r record
	err := readJSON(filepath.Join(d.instancesDir(), id, recordFile), &r)
	if err == nil && (r.ID != id || (r.Kind != compute.KindAmphora && r.Kind != compute.KindDistributor)) {
		err = fmt.Errorf("record of instance %s names %q of kind %q", id, r.ID, r.Kind)
	}
	return r, err
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeJSON(dir, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(dir, name, append(b, '\n'))
}

// writeFile replaces a file in a directory that is made when missing. Only root may look.
func writeFile(dir, name string, content []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(dir, name), content, 0o600)
}

// checkFileName keeps what the caller sends beside the configuration, and off our own files.
func checkFileName(name string) error {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\x00") || name == recordFile || name == processFile ||
		name == logFile || name == portsDir {
		return fmt.Errorf("file name %q is not allowed", name)
	}
	return nil
}

// portFile names a port's file, whatever the port's id looks like.
func portFile(portID string) string {
	sum := sha256.Sum256([]byte(portID))
	return hex.EncodeToString(sum[:16])
}

// trimLog cuts a log that grew too long to its newer half. The agent appends, so it goes on at the new end; what it
// writes in the moment between is lost.
func trimLog(path string) error {
	st, err := os.Stat(path)
	if err != nil || st.Size() <= maxLog {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	tail := make([]byte, maxLog/2)
	n, err := f.ReadAt(tail, st.Size()-int64(len(tail)))
	if n == 0 {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	a, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = a.Write(tail[:n])
	return errors.Join(err, a.Close())
}
