package cli_test

import (
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"colonnade/internal/cli"
)

// Arguments, one a line: parsed or refused, and headers as they were written.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{
		"listener\nset\nx\n--insert-header\nX-Forwarded-For=true", "listener\ncreate\nlb\n--protocol\nHTTP\n--protocol-port\n80\n--insert-header=a=b;c=d", "listener\nset\nx\n--insert-header==",
		"listener\nset\nx\n--insert-header\na", "member\ncreate\np\n--address=::1\n--protocol-port=99999999999999999999", "loadbalancer\nlist\n-o\nxml", "--timeout=-1h\nloadbalancer\nlist", "", "\x00", "pool\nset\n--\n-x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var root struct{ cli.Commands }
		exited := false
		k, err := kong.New(&root, kong.Name("colonnade"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) { exited = true }))
		if err != nil {
			t.Fatal(err)
		}
		args := strings.Split(s, "\n")
		if _, err := k.Parse(args); err != nil || exited {
			return
		}
		for name, value := range root.Listener.Set.InsertHeader {
			if !strings.Contains(s, name) || !strings.Contains(strings.ReplaceAll(s, `\`, ""), strings.ReplaceAll(value, `\`, "")) {
				t.Errorf("%q: header %q: %q", args, name, value)
			}
		}
	})
}
