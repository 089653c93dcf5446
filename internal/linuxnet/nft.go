package linuxnet

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Nft applies an nftables script in the namespace at nsPath, as one transaction.
func Nft(ctx context.Context, nsPath, script string) error {
	return In(nsPath, func() error {
		var out bytes.Buffer
		cmd := exec.CommandContext(ctx, "nft", "-f", "-")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), &out, &out
		if err := cmd.Run(); err != nil {
			return fail("apply nftables rules in", ownOr(nsPath), fmt.Errorf("%w: %s", err, strings.TrimSpace(out.String())))
		}
		return nil
	})
}
