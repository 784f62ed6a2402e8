package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/cmd/ftplab/internal/bench"
)

// A short run of every column: everything is measured, and nothing fails.
func TestBench(t *testing.T) {
	c := ftplab(t, "bench", "--quick", "--rounds", "1", "--json", "--measure", "active-1,active-512,passive-64,noop-1,login,bulk-8,pinhole-1,memory")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var r bench.Result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, c := range r.Columns {
		there[c.Name] = true
	}
	notes := strings.Join(r.Notes, "\n")
	for _, name := range bench.Names() {
		if told := strings.Contains(notes, "no column"); !there[name] && (!told || name != bench.Helper && name != bench.Conntrackd) {
			t.Errorf("column %s is missing: %s", name, notes)
		}
	}
	for _, s := range r.Runs {
		if s.Values[bench.Failed] != 0 || len(s.Failures) > 0 {
			t.Errorf("%s of %s: %v failed: %v", s.Measure, s.Column, s.Values[bench.Failed], s.Failures)
		}
	}
	measured := func(measure, column string, metrics ...bench.Metric) {
		for _, m := range metrics {
			if s := r.Stat(measure, column, m); s.Rounds != 1 || s.Median <= 0 {
				t.Errorf("%s of %s: %s is %+v", measure, column, m, s)
			}
		}
	}
	for _, c := range r.Columns {
		measured("active-1", c.Name, bench.Rate, bench.P50, bench.P999)
		for _, measure := range []string{"active-512", "passive-64", "noop-1", "login-8"} {
			measured(measure, c.Name, bench.Rate, bench.P99)
		}
		measured("bulk-8", c.Name, bench.Bytes)
	}
	for _, column := range []string{bench.Floor, bench.FTPALG} {
		measured("active-1", column, bench.CPU)
		measured("memory", column, bench.Memory0)
	}
	measured("memory", bench.FTPALG, bench.Memory1)
	measured("pinhole-1", bench.FTPALG, bench.Open)
	again, err := json.MarshalIndent(&r, "", "  ")
	if err != nil || string(again)+"\n" != string(out) {
		t.Errorf("%v: what was written is read otherwise", err)
	}
}

func TestBenchHTML(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	out := run(t, 0, "bench", "--quick", "--rounds", "1", "--column", "plain,ftpalg", "--measure", "noop-1,start,idle", "--html", path)
	for _, want := range []string{"NOOP, 1 client", "exec to ready", "of one CPU", "ftpalg / plain", "Nothing failed."} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing: %s", want, out)
		}
	}
	if page, err := os.ReadFile(path); err != nil || !strings.Contains(string(page), "delays-noop-1") {
		t.Error(err)
	}
}

func TestBenchRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"there is no column":     {"bench", "--column", "moat"},
		"there is no measure":    {"bench", "--measure", "speed"},
		"/does/not/exist":        {"bench", "--ftpalg", "/does/not/exist"},
		"no such file":           {"bench", "--html", "/does/not/exist/page.html"},
		"--json and --html":      {"bench", "--html", "x", "--json"},
		"there is no part \"x\"": {bench.PartCommand, "x", "{}"},
	} {
		if out := run(t, 1, args...); !strings.Contains(out, want) {
			t.Errorf("%s: %s", args, out)
		}
	}
}
