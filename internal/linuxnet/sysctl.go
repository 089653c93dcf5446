package linuxnet

import (
	"os"
	"path/filepath"
	"strings"
)

// SetSysctl writes a net.* setting of the namespace at nsPath, if it is another. Dots part the key; a slash is for
// device names with dots: "net/ipv4/conf/eth0.5/arp_ignore".
func SetSysctl(nsPath, key, value string) error {
	return In(nsPath, func() error {
		path := sysctlPath(key)
		old, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(old)) == value {
			return nil
		}
		if err == nil {
			err = os.WriteFile(path, []byte(value), 0o644)
		}
		return fail("set sysctl", key+"="+value, err)
	})
}

// Sysctl reads a setting of the namespace at nsPath; errors.Is(err, ErrNotFound) when the kernel has none.
func Sysctl(nsPath, key string) (value string, err error) {
	err = In(nsPath, func() error {
		b, err := os.ReadFile(sysctlPath(key))
		value = strings.TrimSpace(string(b))
		return fail("read sysctl", key, err)
	})
	return value, err
}

// sysctlPath: /proc/sys/net shows the namespace of the thread that opens it.
func sysctlPath(key string) string {
	if !strings.Contains(key, "/") {
		key = strings.ReplaceAll(key, ".", "/")
	}
	return filepath.Join("/proc/sys", filepath.Clean("/"+key))
}
