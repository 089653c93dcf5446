package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"colonnade/internal/atomicfile"
)

func TestReplacing(t *testing.T) {
	for name, write := range map[string]func(string, []byte, fs.FileMode) error{"durably": atomicfile.Write, "quickly": atomicfile.Replace} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "state")
			for _, c := range []struct {
				content string
				mode    fs.FileMode
			}{{"first, and longer", 0o600}, {"second", 0o644}} {
				if err := write(path, []byte(c.content), c.mode); err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(path)
				if err != nil || string(got) != c.content {
					t.Errorf("%q, %v, want %q", got, err, c.content)
				}
				if st, err := os.Stat(path); err != nil || st.Mode().Perm() != c.mode {
					t.Errorf("mode %v, %v, want %v", st.Mode(), err, c.mode)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("left beside it: %v, %v", left, err)
			}
		})
		t.Run(name+", not possible: the old one stays and nothing is left beside it", func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "state") // a directory cannot be replaced by a file
			if err := os.MkdirAll(filepath.Join(path, "inside"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := write(path, []byte("x"), 0o600); err == nil {
				t.Error("no error")
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("left beside it: %v, %v", left, err)
			}
		})
	}
}
