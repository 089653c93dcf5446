package bpf

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"

	"colonnade/internal/linuxnet"
)

// filterRecord keeps where the filter is. A filter cannot be pinned, and a BPF file system takes no files, so the record
// is a symbolic link whose target is text.
const filterRecord = "filter"

const needsMechanism = "a kernel with TCX (6.6 or later) or with sch_ingress and cls_bpf"

// filterPrefix begins the names of all our filters.
const filterPrefix = "colonnade-"

// place is where a filter is.
type place struct {
	namespace string // path
	ifindex   int    // inside it
	made      bool   // the qdisc is ours
}

// filterName tells the filters of one directory of pins from all others, also after the pins are lost.
func filterName(dir string) string {
	return fmt.Sprintf("%s%x", filterPrefix, sha256.Sum256([]byte(filepath.Clean(dir))))[:len(filterPrefix)+16]
}

func readPlace(dir string) (at place, found bool, err error) {
	text, err := os.Readlink(filepath.Join(dir, filterRecord))
	if errors.Is(err, fs.ErrNotExist) {
		return at, false, nil
	}
	if err == nil {
		var head string
		head, at.namespace, _ = strings.Cut(text, " ")
		_, err = fmt.Sscanf(head, "%d,%t", &at.ifindex, &at.made)
	}
	if err != nil {
		return at, false, fmt.Errorf("read record of the filter: %w", err)
	}
	return at, true, nil
}

// write replaces the record in one step.
func (at place) write(dir string) error {
	name := filepath.Join(dir, filterRecord)
	fresh := name + "-new"
	err := os.Remove(fresh)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.Symlink(fmt.Sprintf("%d,%t %s", at.ifindex, at.made, at.namespace), fresh)
	}
	if err == nil {
		err = os.Rename(fresh, name)
	}
	if err != nil {
		return fmt.Errorf("write record of the filter: %w", err)
	}
	return nil
}

// setFilter attaches by clsact: qdisc and filter are made or, if they are there, kept and the program replaced. The record
// comes first, so that a crash leaves nothing that Detach does not find.
func setFilter(dir string, prog *ebpf.Program, at place) error {
	kept, found, err := readPlace(dir)
	if err != nil {
		return err
	}
	if found && (kept.namespace != at.namespace || kept.ifindex != at.ifindex) {
		if err := detachFilter(dir); err != nil {
			return err
		}
		found = false
	}
	h, err := linuxnet.Open("") // the caller is inside
	if err != nil {
		return err
	}
	defer h.Close()
	there, err := h.IngressProgram(at.ifindex)
	if err != nil && !errors.Is(err, linuxnet.ErrNotFound) {
		return err
	}
	if there.Name != "" && !strings.HasPrefix(there.Name, filterPrefix) {
		return fmt.Errorf("the place of the filter is taken by %q", there.Name)
	}
	has, err := h.HasClsact(at.ifindex)
	if err != nil {
		return err
	}
	at.made = !has || found && kept.made
	if err := at.write(dir); err != nil {
		return err
	}
	err = h.EnsureClsact(at.ifindex)
	if err == nil {
		err = h.SetIngressProgram(at.ifindex, prog.FD(), filterName(dir))
	}
	if errors.Is(err, linuxnet.ErrNotFound) { // the interface was there a moment ago
		return &UnsupportedError{Needs: needsMechanism, Err: err}
	}
	return err
}

// detachFilter takes away the filter and the qdisc, if it is ours and nobody else uses it. What is not there any more, the
// interface or its namespace, took them along.
func detachFilter(dir string) error {
	at, found, err := readPlace(dir)
	if err != nil || !found {
		return err
	}
	if at.namespace == "" || linuxnet.NamespaceExists(at.namespace) {
		if err := at.clear(filterName(dir)); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(dir, filterRecord)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove record of the filter: %w", err)
	}
	return nil
}

func (at place) clear(name string) error {
	h, err := linuxnet.Open(at.namespace)
	if errors.Is(err, linuxnet.ErrNoNamespace) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	there, err := h.IngressProgram(at.ifindex)
	switch {
	case err == nil && there.Name == name:
		if err := h.DeleteIngressProgram(at.ifindex); err != nil {
			return err
		}
	case err != nil && !errors.Is(err, linuxnet.ErrNotFound):
		return err
	}
	if !at.made {
		return nil
	}
	return h.DeleteUnusedClsact(at.ifindex)
}

func findFilter(dir string) (Attachment, error) {
	at, found, err := readPlace(dir)
	if err != nil {
		return Attachment{}, err
	}
	if !found {
		return Attachment{}, fmt.Errorf("nothing attached from %s: %w", dir, fs.ErrNotExist)
	}
	h, err := linuxnet.Open(at.namespace)
	if err != nil {
		return Attachment{}, err
	}
	defer h.Close()
	p, err := h.IngressProgram(at.ifindex)
	if err != nil {
		return Attachment{}, err
	}
	if p.Name != filterName(dir) {
		return Attachment{}, fmt.Errorf("nothing attached from %s: %w", dir, fs.ErrNotExist)
	}
	return Attachment{Mechanism: Clsact, Program: ebpf.ProgramID(p.ProgramID)}, nil
}
