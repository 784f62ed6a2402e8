// Package config reads the configuration file: TOML in, one validated Config out.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/nft"
)

// DefaultFile is read where no other is named, if it exists.
const DefaultFile = "/etc/ftpalg/ftpalg.toml"

// minSets is the size of the kernel's sets where few sessions are allowed: some of them
// count servers and clients.
const minSets = 1024

// maxAutoWorkers bounds the number of queues where the operator names none: more
// than a few are of use only at rates that one seldom sees.
const maxAutoWorkers = 4

// Config is a whole, valid configuration.
type Config struct {
	Policy  alg.Policy
	Table   nft.Config // Workers is resolved: at least 1
	Anchor  Anchor
	Log     Log
	Metrics string // address to serve metrics on; empty: off
	Socket  string // path of the control socket; empty: off
	Cluster Cluster

	// File is where it was read from; empty: there was none.
	File string

	// FailOpen lets control packets pass unread when the queue is full.
	FailOpen bool

	// Warnings are what the file asks for and does not get, each with file, line and key.
	Warnings []string
}

// Anchor is the accept line in the operator's ruleset.
type Anchor struct {
	Insert bool     // put it there; else the operator does
	Table  string   // family and name, as in "inet filter"
	Chains []string // at least one
}

// Log says what is logged, and how.
type Log struct {
	Level  slog.Level
	Format string // "auto", "text" or "json"
}

// Cluster says with which other gateways sessions are shared.
type Cluster struct {
	Name          string   // empty: the host's
	Listen        string   // empty: off
	Peers         []string // address and port of each
	CA, Cert, Key string   // PEM files
	Barrier       time.Duration
	Hold          bool // without its peers the gateway opens nothing
}

// Default returns the configuration of an empty file.
func Default() *Config {
	c := defaults()
	c.complete()
	return c
}

// defaults is Default before what follows from the rest.
func defaults() *Config {
	return &Config{
		Policy: alg.DefaultPolicy(),
		Table: nft.Config{
			Hooks: []string{"forward"}, Queue: 21000, Bypass: true,
			Tag: nft.Tag{Label: 126, Mark: 0x01000000},
		},
		Anchor:  Anchor{Insert: true, Table: "inet filter"},
		Log:     Log{Level: slog.LevelInfo, Format: "auto"},
		Socket:  "/run/ftpalg/ftpalg.sock",
		Cluster: Cluster{Barrier: 5 * time.Millisecond},
	}
}

// complete fills in what follows from the rest.
func (c *Config) complete() {
	if c.Table.Workers == 0 {
		c.Table.Workers = min(runtime.NumCPU(), maxAutoWorkers, 1<<16-int(c.Table.Queue))
	}
	if c.Anchor.Chains == nil {
		c.Anchor.Chains = slices.Clone(c.Table.Hooks)
	}
	if c.Policy.DenyTLS { // what is not read may be an AUTH
		c.Table.Bypass, c.FailOpen = false, false
	}
	c.Table.Ports = c.Policy.Ports
	// A session has one live announcement. A set that is full to the last element refuses
	// also what would take the place of one (nft_add_set_elem).
	c.Table.SetSize = uint32(max(c.Policy.MaxSessions+c.Policy.MaxSessions/16, minSets))
	c.Table.SourcePorts = c.each(func(r *alg.Rules) (alg.Ports, bool) { return r.SourcePort, true })
	c.Table.FTPS = c.each(func(r *alg.Rules) (alg.Ports, bool) { return r.FTPSPorts, !r.FTPSPorts.Any() })
}

// each returns the ports that the rules of any server name, each range once, in order.
func (c *Config) each(of func(*alg.Rules) (alg.Ports, bool)) []alg.Ports {
	var all []alg.Ports
	add := func(r *alg.Rules) {
		if p, ok := of(r); ok {
			all = append(all, p)
		}
	}
	add(&c.Policy.Rules)
	for i := range c.Policy.Overrides {
		add(&c.Policy.Overrides[i].Rules)
	}
	slices.SortFunc(all, func(a, b alg.Ports) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last))
	})
	return slices.Compact(all)
}

// Load reads a file. An empty name stands for DefaultFile, which need not exist. An
// error about what the file says is a Problems.
func Load(file string) (*Config, error) {
	name := file
	if name == "" {
		name = DefaultFile
	}
	document, err := os.ReadFile(name)
	if file == "" && errors.Is(err, fs.ErrNotExist) {
		return Default(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := Parse(name, document)
	if err != nil {
		return nil, err
	}
	c.File = name
	return c, nil
}
