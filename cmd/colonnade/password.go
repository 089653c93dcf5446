package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"colonnade/internal/cli"
	"colonnade/internal/identity"
)

type passwordCommand struct{}

// Run reads a password from standard input and prints its hash.
func (*passwordCommand) Run(k *kong.Context) error {
	password, err := readPassword(os.Stdin, k.Stderr)
	if err != nil {
		return err
	}
	hash, err := identity.HashPassword(password)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(k.Stdout, hash)
	return err
}

// readPassword reads one line, on a terminal without showing it.
func readPassword(in *os.File, prompt io.Writer) (string, error) {
	fd := int(in.Fd())
	if shown, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		silent := *shown
		silent.Lflag &^= unix.ECHO
		silent.Lflag |= unix.ICANON | unix.ISIG
		if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &silent); err != nil {
			return "", fmt.Errorf("hide what is typed: %w", err)
		}
		restore := func() {
			_ = unix.IoctlSetTermios(fd, unix.TCSETSF, shown) // the terminal is as it was or gone
			_, _ = fmt.Fprintln(prompt)
		}
		interrupted := make(chan os.Signal, 1)
		signal.Notify(interrupted, os.Interrupt, unix.SIGTERM)
		go func() {
			if _, ok := <-interrupted; ok {
				restore()
				os.Exit(cli.ExitFailed)
			}
		}()
		defer func() {
			signal.Stop(interrupted)
			close(interrupted)
			restore()
		}()
		_, _ = fmt.Fprint(prompt, "Password: ")
	}
	line, err := bufio.NewReader(io.LimitReader(in, identity.MaxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
