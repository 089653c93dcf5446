// Package keystone_test asks a real Keystone, Debian's, who makes requests: the driver "keystone" in front of the API.
package keystone_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"colonnade/test/conformance/server"
)

func TestMain(m *testing.M) { os.Exit(server.Main(m)) }

const adminPassword = "of the administrator"

// tokenLife is short, so that the test sees tokens expire; our own is renewed before.
const tokenLife = time.Minute

// keystone is a running one, over SQLite in a directory of the test.
type keystone struct {
	t     testing.TB
	url   string // with /v3
	admin string // a token, got at
	since time.Time
	port  string
	conf  string
	cmd   *exec.Cmd
	stop  func()
}

func startKeystone(t testing.TB) *keystone {
	t.Helper()
	dir := t.TempDir()
	k := &keystone{t: t, conf: filepath.Join(dir, "keystone.conf")}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, k.port, _ = net.SplitHostPort(ln.Addr().String())
	must(t, ln.Close())
	k.url = "http://127.0.0.1:" + k.port + "/v3"
	must(t, os.WriteFile(k.conf, fmt.Appendf(nil, `[DEFAULT]
log_file = %[1]s/keystone.log
[database]
connection = sqlite:///%[1]s/keystone.db
[fernet_tokens]
key_repository = %[1]s/tokens
[fernet_receipts]
key_repository = %[1]s/receipts
[credential]
key_repository = %[1]s/credentials
[identity]
password_hash_rounds = 4
[token]
expiration = %[2]d
`, dir, int(tokenLife.Seconds())), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "tokens"), 0o700))
	for _, args := range [][]string{
		{"db_sync"},
		{"fernet_setup", "--keystone-user", "root", "--keystone-group", "root"},
		{"bootstrap", "--bootstrap-password", adminPassword, "--bootstrap-public-url", k.url, "--bootstrap-region-id", "RegionOne"},
	} {
		out, err := exec.Command("keystone-manage", append([]string{"--config-file", k.conf}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("keystone-manage %s: %v\n%s", args[0], err, out)
		}
	}
	// Keystone reads in one transaction while it commits another, which SQLite lets it do with a write-ahead log alone.
	db, err := sql.Open("sqlite", filepath.Join(dir, "keystone.db"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), "PRAGMA journal_mode = WAL")
	must(t, err)
	must(t, db.Close())
	k.run()
	t.Cleanup(func() { k.stop() })
	return k
}

// run starts its server and waits until it answers.
func (k *keystone) run() {
	k.t.Helper()
	k.cmd = exec.Command("keystone-wsgi-public", "--host", "127.0.0.1", "--port", k.port, "--", "--config-file", k.conf)
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	k.cmd.Stdout, k.cmd.Stderr = &said, &said
	must(k.t, k.cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = k.cmd.Wait() // it is killed in the end
		close(ended)
	}()
	k.stop = func() {
		_ = k.cmd.Process.Kill()
		<-ended
	}
	for deadline := time.Now().Add(2 * time.Minute); ; {
		resp, err := http.Get(k.url)
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		select {
		case <-ended:
			k.t.Fatalf("keystone ended: %s\n%s", k.cmd.ProcessState, said.String())
		case <-time.After(100 * time.Millisecond): // nothing tells that it listens
		}
		if time.Now().After(deadline) {
			k.t.Fatal(err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// call asks it for something as the administrator and returns what is at a path of the answer.
func (k *keystone) call(method, path string, in any, at ...string) string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var body []byte
	if in != nil {
		var err error
		body, err = json.Marshal(in)
		must(k.t, err)
	}
	r, err := http.NewRequestWithContext(ctx, method, k.url+path, bytes.NewReader(body))
	must(k.t, err)
	if path != "/auth/tokens" {
		if time.Since(k.since) > tokenLife/3 {
			k.since = time.Now()
			k.admin = k.login("admin", adminPassword, "admin")
		}
		r.Header.Set("X-Auth-Token", k.admin)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	must(k.t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(k.t, err)
	if resp.StatusCode >= 300 {
		k.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
	}
	if strings.HasPrefix(path, "/auth/tokens") {
		return resp.Header.Get("X-Subject-Token")
	}
	var v any
	if len(b) > 0 {
		must(k.t, json.Unmarshal(b, &v))
	}
	for _, name := range at { // the first of a list
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		object, _ := v.(map[string]any)
		v = object[name]
	}
	s, _ := v.(string)
	return s
}

type object = map[string]any

func (k *keystone) login(user, password, project string) string {
	k.t.Helper()
	domain := object{"id": "default"}
	auth := object{"identity": object{"methods": []string{"password"}, "password": object{"user": object{"name": user, "password": password, "domain": domain}}}}
	if project != "" {
		auth["scope"] = object{"project": object{"name": project, "domain": domain}}
	}
	return k.call("POST", "/auth/tokens", object{"auth": auth})
}

func (k *keystone) project(name string) string {
	return k.call("POST", "/projects", object{"project": object{"name": name, "domain_id": "default"}}, "project", "id")
}

// grant gives a user, made when it is not there, a role in a project; the password is the name.
func (k *keystone) grant(user, projectID, role string) {
	k.t.Helper()
	userID := k.call("GET", "/users?name="+user, nil, "users", "id")
	if userID == "" {
		userID = k.call("POST", "/users", object{"user": object{"name": user, "password": user, "domain_id": "default"}}, "user", "id")
	}
	roleID := k.call("GET", "/roles?name="+role, nil, "roles", "id")
	if roleID == "" {
		roleID = k.call("POST", "/roles", object{"role": object{"name": role}}, "role", "id")
	}
	k.call("PUT", "/projects/"+projectID+"/users/"+userID+"/roles/"+roleID, nil)
}
