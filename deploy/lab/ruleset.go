package lab

import (
	"context"
	"embed"
	"fmt"
	"strings"
)

//go:embed *.nft
var rulesets embed.FS

// Rulesets are the firewalls of the lab, by name, from the weakest on. Each is a
// file of this package, NAME.nft.
var Rulesets = []string{"open", "stateless", "stateful", "helper"}

// NATs are the ways in which the gateway can translate addresses, beside any firewall and
// beside each other, by name. Each is a file of this package, NAME.nft. Forwarded, the
// server is reached at the gateway's own address.
var NATs = []string{"masquerade", "forward"}

// Ruleset returns the text of one of the lab's firewalls or NATs. It panics where there is
// none of that name.
func Ruleset(name string) string {
	text, err := rulesets.ReadFile(name + ".nft")
	if err != nil {
		panic(fmt.Sprintf("lab: no ruleset %q", name))
	}
	return string(text)
}

// LoadRuleset gives a text to the nft program on the host, in one transaction.
func (h *Host) LoadRuleset(ctx context.Context, text string) error {
	c := h.Command(ctx, "nft", "-f", "-")
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("loading a ruleset on %s: %w: %s", h.Name, err, out)
	}
	return nil
}
