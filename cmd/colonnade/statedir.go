package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// stateDir is what a control plane keeps on disk: the database, its authority, the API token, instances' files.
type stateDir string

func (s stateDir) path(name string) string { return filepath.Join(string(s), name) }

// Files and directories of a state directory.
const (
	databaseFile   = "colonnade.db"
	authorityDir   = "pki"
	cloudsFile     = "clouds.yaml"
	deploymentFile = "deployment.json" // whose the database is, and which drivers made what stands
	lockFileName   = "lock"            // held by all running processes: alone by "up" and "down", together by single roles
	startFileName  = "start.lock"      // held while a process looks at what is there and makes what is missing
	runningDir     = "running"         // one file for each running process, named by its id and locked by it; it says what it is
	stateDirMode   = 0o700
	lockFileMode   = 0o600
	stopTimeout    = 20 * time.Second
	lockPollEvery  = 50 * time.Millisecond
)

// open makes the directory and returns its absolute path.
func (s stateDir) open() (stateDir, error) {
	abs, err := filepath.Abs(string(s))
	if err != nil {
		return "", fmt.Errorf("open state directory: %w", err)
	}
	if err := os.MkdirAll(abs, stateDirMode); err != nil {
		return "", fmt.Errorf("open state directory: %w", err)
	}
	return stateDir(abs), nil
}
