// Package config reads the configuration file: TOML in, one validated Config out.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/nft"
)

// DefaultFile is read where no other is named, if it exists.
const DefaultFile = "/etc/ftpalg/ftpalg.toml"

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

	// FailOpen lets control packets pass unread when the queue is full.
	FailOpen bool
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

// Default returns the configuration of an empty file.
func Default() *Config {
	c := &Config{
		Policy: alg.DefaultPolicy(),
		Table: nft.Config{
			Hooks:  []string{"forward"},
			Queue:  21000,
			Bypass: true,
			Tag:    nft.Tag{Label: 126},
		},
		Anchor: Anchor{Insert: true, Table: "inet filter", Chains: []string{"forward"}},
		Log:    Log{Level: slog.LevelInfo, Format: "auto"},
		Socket: "/run/ftpalg/ftpalg.sock",
	}
	c.complete()
	return c
}

// complete fills in what follows from the rest.
func (c *Config) complete() {
	if c.Table.Workers == 0 {
		c.Table.Workers = min(runtime.NumCPU(), maxAutoWorkers, 1<<16-int(c.Table.Queue))
	}
	c.Table.Ports = c.Policy.Ports
	c.Table.SourcePort = c.Policy.SourcePort.First
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
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(name, document)
}
