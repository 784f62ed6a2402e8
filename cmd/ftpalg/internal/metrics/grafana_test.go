package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exported returns the labels of each metric that the program really serves, by the names
// that queries have.
func exported(t *testing.T) map[string]map[string][]string {
	t.Helper()
	families, err := registry(two()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]map[string][]string)
	for _, f := range families {
		labels := make(map[string][]string)
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		all := []string{f.GetName()}
		if f.GetType().String() == "HISTOGRAM" {
			all = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
			labels["le"] = nil
		}
		for _, name := range all {
			names[name] = labels
		}
	}
	return names
}

var (
	metric   = regexp.MustCompile(`\b(?:ftpalg|go|process)_\w+`)
	selector = regexp.MustCompile(`(\w+)(?:\{([^}]*)\})`)
	matcher  = regexp.MustCompile(`(\w+)\s*=~?\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
	legend   = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// check wants a query to name what is exported, and nothing else.
func check(t *testing.T, names map[string]map[string][]string, query string) {
	t.Helper()
	used := make(map[string][]string)
	for _, name := range metric.FindAllString(query, -1) {
		labels, ok := names[name]
		if !ok {
			t.Errorf("%s is not exported: %s", name, query)
		}
		for l, values := range labels {
			used[l] = append(used[l], values...)
		}
	}
	added := []string{"job", "instance"} // by Prometheus
	for _, s := range selector.FindAllStringSubmatch(query, -1) {
		labels, ok := names[s[1]]
		if !ok {
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if slices.Contains(added, m[1]) {
				continue
			}
			for value := range strings.SplitSeq(m[2], "|") {
				if !slices.Contains(labels[m[1]], value) {
					t.Errorf("%s has no %s=%q: %s", s[1], m[1], value, query)
				}
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(g[1], ",") {
			label = strings.TrimSpace(label)
			if _, ok := used[label]; !ok && !slices.Contains(added, label) {
				t.Errorf("nothing has the label %s: %s", label, query)
			}
		}
	}
	if strings.Count(query, "(") != strings.Count(query, ")") || query == "" {
		t.Errorf("not a whole query: %q", query)
	}
}

// The dashboard asks for what there is, and shows every metric of ours.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../deploy/grafana/ftpalg.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID    string
		Panels []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil || dashboard.UID != "ftpalg" || len(dashboard.Panels) == 0 {
		t.Fatal(err, dashboard)
	}
	names := exported(t)
	ids := make(map[int]bool)
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s: id %d, at %+v", p.Title, p.ID, p.GridPos)
		}
		ids[p.ID] = true
		if len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			check(t, names, target.Expr)
			for _, l := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !strings.Contains(target.Expr, l[1]) {
					t.Errorf("%s: the legend has %s, and the query not: %s", p.Title, l[1], target.Expr)
				}
			}
		}
	}
	// Seldom looked at, and not worth a picture.
	for _, name := range []string{
		"sessions_passive_off_total", "sessions_unvouched_total", "auth_tls_total", "queue_late_verdicts_total", "queue_unreadable_total",
		"config_reloads_total", "config_last_reload_success_timestamp_seconds",
	} {
		delete(names, "ftpalg_"+name)
	}
	for name := range names {
		if strings.HasPrefix(name, "ftpalg_") && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") && !strings.Contains(string(text), name) {
			t.Errorf("%s is shown nowhere", name)
		}
	}
}

// The alert rules ask for what there is, each with a summary and what to do.
func TestAlerts(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../deploy/grafana/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := exported(t)
	names["up"] = nil
	rules := strings.Split(string(text), "- alert: ")[1:]
	for _, rule := range rules {
		name, _, _ := strings.Cut(rule, "\n")
		query := regexp.MustCompile(`(?m)^ +expr: (.+)$`).FindStringSubmatch(rule)
		if query == nil {
			t.Errorf("%s has no query", name)
			continue
		}
		check(t, names, query[1])
		for _, part := range []string{"severity:", "summary:", "description:"} {
			if strings.Count(rule, part) != 1 {
				t.Errorf("%s has not one %s", name, part)
			}
		}
		for _, l := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(rule, -1) {
			if l[1] != "instance" && !strings.Contains(query[1], l[1]) {
				t.Errorf("%s: no label %s", name, l[1])
			}
		}
	}
	if len(rules) < 5 {
		t.Errorf("%d rules", len(rules))
	}
}
