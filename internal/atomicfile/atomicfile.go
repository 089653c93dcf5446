// Package atomicfile replaces files whole: a reader sees the old or the new content, never a part.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// TempPrefix begins the names of what a crash may leave beside a file. Such files are never read.
const TempPrefix = ".new-"

// Write makes path appear with its whole content or not at all, also when the machine loses power. It returns when that
// is certain.
func Write(path string, content []byte, mode fs.FileMode) error {
	if err := replace(path, content, mode, (*os.File).Sync); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Replace is Write for what is worth nothing after a loss of power, such as facts about running processes: it waits for
// no disk.
func Replace(path string, content []byte, mode fs.FileMode) error {
	if err := replace(path, content, mode, func(*os.File) error { return nil }); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func replace(path string, content []byte, mode fs.FileMode, sync func(*os.File) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), TempPrefix+"*") // mode 0600 until it is written
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	if _, err = tmp.Write(content); err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = sync(tmp)
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
