package bench

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// The names of the columns.
const (
	Plain  = "plain"
	Helper = "helper"
	Floor  = "floor"
	FTPALG = "ftpalg"

	Translated = "translated"

	Conntrackd = "conntrackd"
)

// program is what a gateway runs.
type program int

const (
	programNone program = iota
	programFloor
	programFTPALG
)

// column is one kind of gateway.
type column struct {
	name, title, about string
	ruleset            string // text for nft
	runs               program
	config             string // TOML, of programFTPALG
	refused            error  // why the column is left out where the kernel refuses it; nil: that is an error

	// start starts what is none of the programs above; nil: there is none such.
	start func(context.Context, *stand) (*process, error)
}

//go:embed plain.nft
var plainRuleset string

var errNoHelper = errors.New("this kernel has no FTP helper")

// columns are all there are, in the order in which they are shown.
var columns = []column{
	{
		name: Plain, title: "plain routing", ruleset: plainRuleset,
		about: "The gateway forwards; its ruleset admits every data connection.",
	},
	{
		name: Helper, title: "in-kernel helper", ruleset: lab.Ruleset("helper"), refused: errNoHelper,
		about: "The FTP helper of the kernel reads the dialogue.",
	},
	{
		name: Conntrackd, title: "conntrackd", ruleset: lab.Ruleset("stateful"), refused: errNoConntrackd, start: startConntrackd,
		about: "The FTP helper of conntrackd, a program, reads the dialogue, which the kernel queues for it.",
	},
	{
		name: Floor, title: "floor", ruleset: plainRuleset, runs: programFloor,
		about: "Control packets are diverted by ftpalg's own rules, to a reader that accepts everything at once.",
	},
	{
		name: FTPALG, title: "ftpalg", ruleset: lab.Ruleset("stateful"), runs: programFTPALG,
		about: "The daemon, with its defaults.",
	},
	{
		name: Translated, title: "ftpalg, translated", ruleset: lab.Ruleset("stateful") + lab.Ruleset("masquerade"), runs: programFTPALG,
		about: "The same behind masquerade: announcements are rewritten, and data connections translated.",
	},
}

// Names returns the names of the columns, in the order in which they are shown.
func Names() []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return names
}

// chosen returns the columns of these names, or all.
func chosen(names []string) ([]column, error) {
	if len(names) == 0 {
		return columns, nil
	}
	for _, n := range names {
		if !slices.Contains(Names(), n) {
			return nil, fmt.Errorf("there is no column %q; there are %s", n, strings.Join(Names(), ", "))
		}
	}
	var some []column
	for _, c := range columns {
		if slices.Contains(names, c.name) {
			some = append(some, c)
		}
	}
	return some, nil
}
