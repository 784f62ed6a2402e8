package metrics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/nft/queue"
)

// source tells the same numbers each time.
type source struct {
	numbers Numbers
	err     error
	asked   int
}

// Numbers implements Source.
func (s *source) Numbers(context.Context) (Numbers, error) {
	s.asked++
	return s.numbers, s.err
}

// two are the numbers of two workers that have done something.
func two() *source {
	a, b := Worker{Queue: 21000, Guard: 21002}, Worker{Queue: 21001, Guard: 21003}
	a.Tally.Sessions, b.Tally.Sessions = [5]int64{1, 2}, [5]int64{0, 3, 4}
	a.Tally.Announced, b.Tally.Announced = [2]uint64{5, 0}, [2]uint64{6, 7}
	a.Tally.Closed[alg.Completed], b.Tally.Closed[alg.TimedOut] = 8, 9
	b.Tally.Refused[alg.LowPort], b.Tally.Refused[alg.Other] = 10, 11
	b.Tally.Missed[alg.SeeOpenOn] = 12
	a.Served = Served{Accepted: 100, Changed: 20, Dropped: 3}
	a.Served.Verdicts.Observe(3*time.Microsecond, 2)
	b.Served.Verdicts.Observe(30*time.Microsecond, 1)
	b.Served.Verdicts.Observe(time.Minute, 1)
	a.Stats.Open, b.Stats.Checksum = 1, 13
	b.Counts = queue.Counters{Overruns: 14, Late: 1, Refused: 2}
	return &source{numbers: Numbers{
		Version: "v1", Workers: []Worker{a, b}, EventsLost: 15, TableRestored: 16, LineRestored: 17,
		Standings: map[uint16]queue.Standing{21000: {Waiting: 18, Dropped: 19, UserDropped: 20}, 21003: {Waiting: 21}, 4: {Waiting: 5}},
		Reloads:   Reloads{Loaded: 22, Refused: 23, Last: time.UnixMilli(1700000000500), Failed: true},
	}}
}

// scrape returns the lines of an answer.
func scrape(t *testing.T, h http.Handler, path string) (code int, lines map[string]bool) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	lines = make(map[string]bool)
	for line := range strings.Lines(w.Body.String()) {
		lines[strings.TrimSuffix(line, "\n")] = true
	}
	return w.Code, lines
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	code, lines := scrape(t, handler(two()), "/metrics")
	if code != http.StatusOK {
		t.Fatal(code, lines)
	}
	for _, want := range []string{
		`ftpalg_sessions{state="greeting"} 1`,
		`ftpalg_sessions{state="dialogue"} 5`,
		`ftpalg_sessions{state="encrypted"} 4`,
		`ftpalg_sessions{state="ended"} 0`,
		`ftpalg_pinholes_announced_total{mode="active"} 11`,
		`ftpalg_pinholes_announced_total{mode="passive"} 7`,
		`ftpalg_pinholes_open 1`,
		`ftpalg_pinholes_closed_total{reason="completed"} 8`,
		`ftpalg_pinholes_closed_total{reason="timeout"} 9`,
		`ftpalg_pinholes_closed_total{reason="abor"} 0`,
		`ftpalg_pinholes_refused_total{reason="min_port"} 10`,
		`ftpalg_pinholes_refused_total{reason="other"} 11`,
		`ftpalg_pinholes_missed_total{reason="open_on"} 12`,
		`ftpalg_packets_total{verdict="accepted"} 100`,
		`ftpalg_packets_total{verdict="changed"} 20`,
		`ftpalg_packets_total{verdict="dropped"} 3`,
		`ftpalg_packet_findings_total{finding="checksum"} 13`,
		`ftpalg_verdict_seconds_bucket{le="4e-06"} 2`,
		`ftpalg_verdict_seconds_bucket{le="3.2e-05"} 3`,
		`ftpalg_verdict_seconds_bucket{le="1.048576"} 3`,
		`ftpalg_verdict_seconds_bucket{le="+Inf"} 4`,
		`ftpalg_verdict_seconds_count 4`,
		`ftpalg_verdict_seconds_sum 60.000036`,
		`ftpalg_queue_overruns_total{queue="21001"} 14`,
		`ftpalg_queue_late_verdicts_total{queue="21001"} 3`,
		`ftpalg_queue_length{queue="21000"} 18`,
		`ftpalg_queue_length{queue="21003"} 21`,
		`ftpalg_queue_dropped_total{full="queue",queue="21000"} 19`,
		`ftpalg_queue_dropped_total{full="socket",queue="21000"} 20`,
		`ftpalg_events_lost_total 15`,
		`ftpalg_table_restored_total 16`,
		`ftpalg_accept_line_restored_total 17`,
		`ftpalg_config_reloads_total{result="loaded"} 22`,
		`ftpalg_config_reloads_total{result="refused"} 23`,
		`ftpalg_config_last_reload_successful 0`,
		`ftpalg_config_last_reload_success_timestamp_seconds 1.7000000005e+09`,
	} {
		if !lines[want] {
			t.Errorf("missing: %s", want)
		}
	}
	for line := range lines {
		if strings.Contains(line, `queue="4"`) {
			t.Errorf("another program's queue: %s", line)
		}
	}
}

func TestConventions(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(registry(two()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "ftpalg_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// The causes, and so the labels, are as many however many reasons there are; each has one.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	few, many := two(), two()
	for i := range many.numbers.Workers {
		tally := &many.numbers.Workers[i].Tally
		for _, counts := range [][]uint64{tally.Closed[:], tally.Refused[:], tally.Missed[:], tally.Violations[:]} {
			for c := range counts {
				counts[c] += 1000
			}
		}
	}
	count := func(s *source) int {
		n, err := testutil.GatherAndCount(registry(s))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if few, many := count(few), count(many); few != many {
		t.Errorf("%d series, and %d with every cause", few, many)
	}
}

// What cannot be told is an error, and not a smaller number.
func TestAWorkerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	h := handler(&source{err: errors.New("the worker of queue 7 does not answer")})
	if code, lines := scrape(t, h, "/healthz"); code != http.StatusServiceUnavailable || !lines["the worker of queue 7 does not answer"] {
		t.Error(code, lines)
	}
	if code, lines := scrape(t, h, "/metrics"); code != http.StatusInternalServerError {
		t.Error(code, lines)
	}
}

func TestHealthz(t *testing.T) {
	t.Parallel()
	s := two()
	h := handler(s)
	for range 10 {
		if code, lines := scrape(t, h, "/healthz"); code != http.StatusOK || !lines["ok"] {
			t.Error(code, lines)
		}
	}
	if s.asked > 5 { // however slow the machine is: one is answered in far less than atLeast
		t.Errorf("the workers were asked %d times", s.asked)
	}
	for path, want := range map[string]int{"/": http.StatusNotFound, "/metrics/x": http.StatusNotFound} {
		if code, _ := scrape(t, h, path); code != want {
			t.Errorf("%s: %d", path, code)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/metrics", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Error(w.Code)
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if _, err := Listen(address); err == nil || !strings.HasPrefix(err.Error(), "metrics.listen: listen tcp "+address) {
		t.Errorf("the address twice: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, two()) }()
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	for _, want := range []string{"ftpalg_build_info", "go_goroutines", "process_start_time_seconds", `version="v1"`} {
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%v: %s is missing", err, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Every number of every worker is in the sum.
func TestTotal(t *testing.T) {
	t.Parallel()
	var fill func(v reflect.Value, n *uint64)
	fill = func(v reflect.Value, n *uint64) {
		*n++
		switch v.Kind() {
		case reflect.Uint64:
			v.SetUint(*n)
		case reflect.Int64:
			v.SetInt(int64(*n))
		case reflect.Array:
			for i := range v.Len() {
				fill(v.Index(i), n)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i), n)
			}
		default:
			t.Errorf("%v", v.Type())
		}
	}
	var one, twice Worker
	for _, w := range []*Worker{&one, &twice} {
		var n uint64
		for _, part := range []any{&w.Stats, &w.Tally, &w.Served} {
			fill(reflect.ValueOf(part).Elem(), &n)
		}
	}
	all := total([]Worker{one, twice, {}})
	if all.Stats.Packets != 2*one.Stats.Packets || all.Tally.Open.Sum != 2*one.Tally.Open.Sum || all.Served.Commits.Counts[31] != 2*one.Served.Commits.Counts[31] ||
		all.Tally.Violations[alg.OtherWay] != 2*one.Tally.Violations[alg.OtherWay] || all.Tally.Sessions[4] != 2*one.Tally.Sessions[4] {
		t.Errorf("%+v", all)
	}
}
