package cert

import (
	"errors"
	"os"
	"syscall"
)

// lockFile waits for the exclusive lock; closing the file gives it back.
func lockFile(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
