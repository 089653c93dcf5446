// Package snapshot takes pictures of a machine and compares them: what a program left behind, or did not put back. It
// sees network namespaces with links, addresses, routes, rules, forwarding entries, sysctls and nftables rules; mounts,
// BPF file systems, cgroups and processes of ours, and files. For tests and for `colonnade down`'s own proof.
package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"colonnade/internal/linuxnet"
)

// Options say what to look at.
type Options struct {
	// Inside lists prefixes of named namespaces to be looked into. All names are listed in any case.
	Inside []string
	// Files are directories whose files are listed; nil means /etc, /run, /var and /tmp.
	Files []string
	// Exclude are directories and files left out, with all below: the clone, the state directory, others' logs.
	Exclude []string
}

// World is a picture: "kind where: what" -> state.
type World map[string]string

// Diff lists what differs, sorted: "+ …" is only in after, "- …" only in before.
func Diff(before, after World) []string {
	var out []string
	for k, v := range before {
		if w, ok := after[k]; !ok || v != w {
			out = append(out, fmt.Sprintf("- %s %s", k, v))
		}
	}
	for k, v := range after {
		if w, ok := before[k]; !ok || v != w {
			out = append(out, fmt.Sprintf("+ %s %s", k, v))
		}
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(a[2:]+a[:1], b[2:]+b[:1]) })
	return out
}

// Take takes a picture.
func Take(ctx context.Context, o Options) (World, error) {
	w := World{}
	names, err := linuxnet.Namespaces("")
	if err != nil {
		return nil, err
	}
	errs := []error{w.namespace(ctx, "host", "")}
	for _, n := range names {
		w["namespace "+n] = fmt.Sprint("mounted: ", linuxnet.NamespaceExists(linuxnet.Path(n)))
		if slices.ContainsFunc(o.Inside, func(p string) bool { return strings.HasPrefix(n, p) }) && linuxnet.NamespaceExists(linuxnet.Path(n)) {
			errs = append(errs, w.namespace(ctx, n, linuxnet.Path(n)))
		}
	}
	errs = append(errs, w.mounts(), w.processes())
	if o.Files == nil {
		o.Files = []string{"/etc", "/run", "/var", "/tmp"}
	}
	for _, dir := range o.Files {
		errs = append(errs, w.files(dir, append([]string{linuxnet.RunDir}, o.Exclude...)))
	}
	// The directory of namespaces was left out with what is in it (said above), not itself.
	if _, err := os.Stat(linuxnet.RunDir); err == nil {
		w["directory "+linuxnet.RunDir] = "exists"
	}
	return w, errors.Join(errs...)
}

// watched are the settings that a data plane is tempted to change; each is of its namespace.
var watched = func() []string {
	keys := []string{
		"net.ipv4.ip_forward", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_nonlocal_bind", "net.ipv4.tcp_syncookies",
		"net.ipv6.conf.all.forwarding", "net.core.somaxconn", "net.netfilter.nf_conntrack_tcp_be_liberal", "net.netfilter.nf_conntrack_max",
		"net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables", "net.bridge.bridge-nf-call-arptables",
	}
	for _, scope := range []string{"all", "default"} {
		for _, k := range []string{"rp_filter", "arp_ignore", "arp_announce", "forwarding", "proxy_arp", "accept_local", "route_localnet", "send_redirects"} {
			keys = append(keys, "net.ipv4.conf."+scope+"."+k)
		}
		keys = append(keys, "net.ipv6.conf."+scope+".disable_ipv6")
	}
	return keys
}()

// expires is what changes by itself in a route learned from a router.
var expires = regexp.MustCompile(` expires \d+sec`)

func (w World) namespace(ctx context.Context, name, path string) error {
	h, err := linuxnet.Open(path)
	if err != nil {
		return err
	}
	defer h.Close()
	links, err := h.Links()
	if err != nil {
		return err
	}
	byIndex := map[int]string{0: "-"}
	for _, l := range links {
		byIndex[l.Index] = l.Name
	}
	for _, l := range links {
		w[fmt.Sprintf("link %s: %s", name, l.Name)] = fmt.Sprintf("%s %s mtu %d master %s up %v alias %q", l.Kind, l.MAC, l.MTU, byIndex[l.Master], l.Up, l.Alias)
		addrs, err := h.Addresses(l.Name)
		if errors.Is(err, linuxnet.ErrNotFound) {
			continue // it went while we looked
		}
		if err != nil {
			return err
		}
		for _, a := range addrs {
			w[fmt.Sprintf("address %s: %s %s", name, l.Name, a)] = ""
		}
	}
	fdb, err := h.FDB()
	if err != nil {
		return err
	}
	for _, e := range fdb {
		if e.Static {
			w[fmt.Sprintf("forwarding entry %s: %s %s", name, byIndex[e.Port], e.MAC)] = "static"
		}
	}
	for _, key := range watched {
		if v, err := linuxnet.Sysctl(path, key); err == nil {
			w[fmt.Sprintf("sysctl %s: %s", name, key)] = v
		} else if !errors.Is(err, linuxnet.ErrNotFound) {
			return err
		}
	}
	for what, argv := range map[string][]string{
		"route":  {"ip", "route", "show", "table", "all"},
		"route6": {"ip", "-6", "route", "show", "table", "all"},
		"rule":   {"ip", "rule", "show"},
		"rule6":  {"ip", "-6", "rule", "show"},
	} {
		out, err := command(ctx, path, argv...)
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			w[fmt.Sprintf("%s %s: %s", what, name, expires.ReplaceAllString(strings.TrimSpace(line), ""))] = ""
		}
	}
	rules, err := command(ctx, path, "nft", "-s", "list", "ruleset")
	if err != nil {
		return err
	}
	if rules != "" {
		w["nftables "+name] = rules
	}
	return nil
}

func command(ctx context.Context, path string, argv ...string) (string, error) {
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := linuxnet.In(path, cmd.Run); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, stderr.String())
	}
	return out.String(), nil
}

// mounts lists them all, and walks those that hold pins and cgroups.
func (w World) mounts() error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 2 {
			return fmt.Errorf("mountinfo line %q is not understood", line)
		}
		if g[0] == "nsfs" {
			f[3] = "-" // the namespace's number is another after a rebuild
		}
		w["mount "+f[4]] = strings.Join([]string{g[0], g[1], f[3], f[5]}, " ")
		switch g[0] {
		case "bpf":
			w.tree("pin", f[4], func(string) bool { return true })
		case "cgroup2":
			w.tree("cgroup", f[4], func(rel string) bool { return strings.HasPrefix(rel, "colonnade-") })
		}
	}
	return nil
}

// tree lists what is below a root, directories of cgroups only.
func (w World) tree(what, root string, keep func(rel string) bool) {
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		switch {
		case err != nil || rel == ".":
			return nil
		case !keep(rel):
			if e.IsDir() {
				return fs.SkipDir
			}
		case what != "cgroup" || e.IsDir():
			w[what+" "+path] = ""
		}
		return nil
	})
}

// processes counts ours by command line: those of our binaries, and those in our cgroups whatever they are.
func (w World) processes() error {
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for _, p := range pids {
		cmdline, err := os.ReadFile(p + "/cmdline")
		if err != nil || len(cmdline) == 0 {
			continue // gone, or the kernel's, or dead and waiting to be waited for
		}
		cgroup, _ := os.ReadFile(p + "/cgroup")
		argv := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
		name := filepath.Base(argv[0])
		if name == "colonnade" || name == "colonnade-agent" || bytes.Contains(cgroup, []byte("/colonnade-")) {
			counts[strings.Join(argv, " ")]++
		}
	}
	for line, n := range counts {
		w["process "+line] = fmt.Sprint(n)
	}
	return nil
}

// files lists a directory's files with mode; small ones below /etc with their content's sum.
func (w World) files(root string, exclude []string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if slices.Contains(exclude, path) {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		state := info.Mode().String()
		if info.Mode().IsRegular() && strings.HasPrefix(path, "/etc/") && info.Size() < 1<<16 {
			if b, err := os.ReadFile(path); err == nil {
				state += fmt.Sprintf(" %x", sha256.Sum256(b))[:17]
			}
		}
		w["file "+path] = state
		return nil
	})
}
