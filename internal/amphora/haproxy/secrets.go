package haproxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"colonnade/internal/amphora"
	"colonnade/internal/atomicfile"
)

// secretsDir is a file system in memory inside the instance's directory: what is in it is on no disk, stays while agent
// or HAProxy restart, and goes with the instance or the machine.
const secretsDir = "secrets"

// putSecrets writes a document's secrets beside those that are there.
func (b *Balancer) putSecrets(d amphora.Desired) error {
	if len(d.Secrets) == 0 {
		return nil
	}
	if err := b.mountSecrets(); err != nil {
		return fmt.Errorf("keep secrets: %w", err)
	}
	for name, text := range secretFiles(d) {
		if !secretGrammar.MatchString(name) {
			continue // named by nobody: Check refuses that
		}
		if err := atomicfile.Replace(b.path(secretPath(name)), []byte(text), 0o600); err != nil {
			return fmt.Errorf("keep secrets: %w", err)
		}
	}
	return nil
}

func (b *Balancer) mountSecrets() error {
	dir := b.path(secretsDir)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return err
	}
	if s.Type == unix.TMPFS_MAGIC {
		return nil
	}
	// noswap, which would keep them from a swap device too, is for kernels from 6.4 on.
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "mode=0700,size=64m,noswap"); err == nil {
		return nil
	}
	return unix.Mount("tmpfs", dir, "tmpfs", flags, "mode=0700,size=64m")
}

// Prune removes secrets that the document does not name. It is for when nobody goes back to a former one any more.
func (b *Balancer) Prune(d amphora.Desired) error {
	entries, err := os.ReadDir(b.path(secretsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	files := secretFiles(d)
	for _, e := range entries {
		if _, named := files[e.Name()]; !named {
			err = errors.Join(err, os.Remove(b.path(secretPath(e.Name()))))
		}
	}
	return err
}

// KeptSecrets reads what a former agent kept in an instance's directory.
func KeptSecrets(dir string) (map[string]string, error) {
	dir = filepath.Join(dir, secretsDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read kept secrets: %w", err)
	}
	out := map[string]string{}
	for _, e := range entries {
		if !secretGrammar.MatchString(e.Name()) || strings.HasSuffix(e.Name(), listSuffix) {
			continue // one that was being written, or a list
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read kept secrets: %w", err)
		}
		out[e.Name()] = string(text)
	}
	return out, nil
}
