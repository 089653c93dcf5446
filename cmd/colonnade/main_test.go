package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"colonnade/internal/testenv"
)

// TestMain makes the test binary the program itself in scripts, and a process that holds a state directory in other
// tests. The scripts touch the machine's networks, so all run in a lab.
func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == "colonnade":
		os.Exit(run())
	case os.Getenv(holdDir) != "":
		os.Exit(hold(stateDir(os.Getenv(holdDir)), os.Getenv(holdRole), os.Getenv(holdOn) != ""))
	}
	os.Exit(testenv.RunInLab(func() int {
		testscript.Main(m, map[string]func(){"colonnade": func() { os.Exit(run()) }})
		return 0 // not reached
	}))
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
