package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/ftpalg/ftpalg/alg"
)

// Problem is one thing that is wrong with a configuration file.
type Problem struct {
	File string
	Line int    // from 1
	Key  string // with its section, as in "pinhole.min_port"; empty: not TOML there
	Text string
}

// Error names file, line and key.
func (p Problem) Error() string {
	if p.Key == "" {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Key, p.Text)
}

// Problems are all that is wrong with a configuration file, from top to bottom.
type Problems []Problem

// Error has a line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a document. What it does not mention has its default. The name is for
// errors, which are of type Problems.
func Parse(name string, document []byte) (*Config, error) {
	if text := encoding(document); text != "" {
		return nil, Problems{{File: name, Line: 1, Text: text}}
	}
	var values map[string]any
	if err := toml.Unmarshal(document, &values); err != nil {
		return nil, syntax(name, err)
	}
	c := defaults()
	d := decoder{file: name, values: values, settings: c.settings(), lines: make(map[string]int)}
	d.names = names(d.settings)
	sections, servers := split(entries(document))
	for _, e := range sections {
		d.entry(e)
	}
	c.overrides(&d, servers)
	c.relations(&d)
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, d.problems
	}
	c.complete()
	return c, nil
}

// names returns the settings and those of a [[server]], each with its section, in order.
func names(settings map[string]setting) []string {
	all := slices.Collect(maps.Keys(settings))
	all = slices.AppendSeq(all, maps.Keys(serverSettings(&alg.Override{})))
	slices.Sort(all)
	return all
}

// encoding says what is wrong with the first bytes of a file that an editor wrote in
// another encoding than TOML's, which is UTF-8. go-toml would speak of one character.
func encoding(document []byte) string {
	begins := func(mark string) bool { return bytes.HasPrefix(document, []byte(mark)) }
	switch {
	case begins("\xef\xbb\xbf"):
		return "the file begins with a byte order mark: save it as UTF-8 without BOM"
	case begins("\xff\xfe"), begins("\xfe\xff"), len(document) > 1 && (document[0] == 0) != (document[1] == 0):
		return "the file is UTF-16: save it as UTF-8"
	}
	return ""
}

// syntax is an error about what is not TOML.
func syntax(name string, err error) error {
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return fmt.Errorf("%s: %w", name, err)
	}
	line, _ := at.Position()
	return Problems{{File: name, Line: line, Text: strings.TrimPrefix(at.Error(), "toml: ")}}
}

// decoder takes a document's entries to their settings.
type decoder struct {
	file     string
	values   map[string]any
	settings map[string]setting // by section and key, as in "pinhole.min_port"
	lines    map[string]int     // of the settings that the document mentions
	names    []string           // of all settings that there are
	problems Problems
	skip     string // a section that was refused as a whole
}

func (d *decoder) entry(e entry) {
	name := strings.Join(e.path, ".")
	switch {
	case d.skip != "" && strings.HasPrefix(name, d.skip+"."):
		// Told with its section.
	case e.kind == unstable.Table && len(e.path) == 1 && d.section(name):
		// Its keys follow.
	case e.kind == unstable.KeyValue && len(e.path) == 2 && d.settings[name] != nil:
		section, _ := d.values[e.path[0]].(map[string]any)
		d.lines[name] = e.line
		if err := d.settings[name](section[e.path[1]]); err != nil {
			for text := range strings.Lines(err.Error()) { // errors.Join: one a line
				d.problem(name, e.line, strings.TrimSuffix(text, "\n"))
			}
		}
	case len(e.path) == 1 && d.section(name):
		d.skip = name
		d.problem(name, e.line, "is a section: write ["+name+"]")
	case e.path[0] == "server" && !d.section("server"):
		d.skip = "server"
		d.problem("server", e.line, "is a table for each server: write [[server]]")
	case e.kind == unstable.KeyValue:
		d.problem(name, e.line, "unknown key"+meantKey(e.path, d.names))
	default:
		d.skip = name
		d.problem(name, e.line, "unknown section"+meantSection(e.path, d.names))
	}
}

func (d *decoder) section(name string) bool {
	for s := range d.settings {
		if strings.HasPrefix(s, name+".") {
			return true
		}
	}
	return false
}

func (d *decoder) problem(key string, line int, text string) {
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Key: key, Text: text})
}

// entry is a section's heading, or a key with its value.
type entry struct {
	kind unstable.Kind // Table, ArrayTable or KeyValue
	path []string      // section and key
	line int
}

// entries lists what a valid document mentions, from top to bottom. go-toml tells
// the lines of values to its own syntax errors alone, hence its parser.
func entries(document []byte) (list []entry) {
	var p unstable.Parser
	p.Reset(document)
	var section []string
	var add func(n *unstable.Node, within []string)
	add = func(n *unstable.Node, within []string) {
		e := entry{kind: n.Kind, path: slices.Clone(within)}
		for k := n.Key(); k.Next(); {
			if e.line == 0 {
				e.line = p.Shape(k.Node().Raw).Start.Line
			}
			e.path = append(e.path, string(k.Node().Data))
		}
		switch {
		case n.Kind != unstable.KeyValue:
			section = e.path
		case n.Value().Kind == unstable.InlineTable && len(e.path) == 1: // section = { key = value }
			for c := n.Value().Children(); c.Next(); {
				add(c.Node(), e.path)
			}
			return
		}
		list = append(list, e)
	}
	for p.NextExpression() {
		n := p.Expression()
		within := section
		if n.Kind != unstable.KeyValue {
			within = nil
		}
		add(n, within)
	}
	return list
}
