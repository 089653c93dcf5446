package bridge

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"colonnade/internal/linuxnet"
)

// madeMountFile, in the state directory, remembers that the mount at linuxnet.RunDir is ours, and of which boot.
const madeMountFile = "made-mount"

const bootIDFile = "/proc/sys/kernel/random/boot_id"

func bootID() (string, error) {
	raw, err := os.ReadFile(bootIDFile)
	return strings.TrimSpace(string(raw)), err
}

// shareRunDir makes the directory of namespaces a mount before anything of ours is in it.
func (d *Driver) shareRunDir() error {
	if err := d.ensureDir(linuxnet.RunDir); err != nil {
		return err
	}
	return linuxnet.ShareRunDir(func() error {
		boot, err := bootID()
		if err != nil {
			return err
		}
		return d.note(madeMountFile, boot)
	})
}

// unshareRunDir takes the mount away if it is ours and nobody uses it.
func (d *Driver) unshareRunDir() error {
	file := filepath.Join(d.cfg.StateDir, madeMountFile)
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	if strings.HasSuffix(strings.TrimSpace(string(raw)), boot) {
		if gone, err := linuxnet.UnshareRunDir(); err != nil || !gone {
			return err // kept in mind: a later call may find it unused
		}
	}
	return os.Remove(file)
}
