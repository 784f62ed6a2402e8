// Package metrics serves what the daemon has counted, for Prometheus.
//
// Nothing is counted here: what is served is read when somebody asks.
package metrics

import (
	"context"
	"reflect"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/nft/queue"
)

// Numbers are what the daemon has counted, as of one moment.
type Numbers struct {
	Version string
	Workers []Worker

	Standings map[uint16]queue.Standing // what the kernel says of the queues; nil: not known

	EventsLost    uint64 // that the log had no room for
	TableRestored uint64 // times that another program had removed our table
	LineRestored  uint64 // times that the accept line was put back
	Reloads       Reloads
}

// Reloads are what became of configurations.
type Reloads struct {
	Loaded  uint64    // times that one was read again and is in force
	Refused uint64    // times that one was not
	Last    time.Time // when the one in force was read
	Failed  bool      // the last one read was refused
}

// Worker is what one worker and its queue have counted.
type Worker struct {
	Queue  uint16 // its number
	Guard  uint16 // the number of another queue that it reads; 0: none
	Stats  alg.Stats
	Tally  alg.Tally
	Served Served
	Counts queue.Counters
}

// Served is how packets were served. It is counted by one goroutine.
type Served struct {
	Accepted, Changed, Dropped uint64        // packets
	Verdicts                   alg.Histogram // how long packets waited for their verdict
	Commits                    alg.Histogram // how long changes to nf_tables took
}

// Source tells the numbers. It is safe for concurrent use.
type Source interface {
	// Numbers fails if a worker does not answer before ctx ends.
	Numbers(ctx context.Context) (Numbers, error)
}

// patience is how long a worker may take to answer.
const patience = 2 * time.Second

// histogram is which of the steps of an alg.Histogram are served.
type histogram struct {
	*prometheus.Desc
	first, last int
}

// collector has a description for each metric.
type collector struct {
	source Source
	all    []*prometheus.Desc

	build, sessions, started, ended, notFTP, passiveOff, unhelped, unvouched, authTLS *prometheus.Desc
	open, announced, opened, used, closed, refused, missed, violations                *prometheus.Desc
	packets, findings, gaps, changesRefused, overload, failures                       *prometheus.Desc
	length, queueDropped, overruns, late, unreadable                                  *prometheus.Desc
	lost, tableRestored, lineRestored, reloads, reloaded, reloadTime                  *prometheus.Desc

	openSeconds, verdictSeconds, commitSeconds histogram
}

func newCollector(source Source) *collector {
	c := &collector{source: source}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc("ftpalg_"+name, help, labels, nil)
		c.all = append(c.all, d)
		return d
	}
	c.build = desc("build_info", "Which ftpalg runs: always 1.", "version", "goversion")

	c.sessions = desc("sessions", "Control connections that are followed.", "state")
	c.started = desc("sessions_started_total", "Control connections whose dialogue has begun.")
	c.ended = desc("sessions_ended_total", "Control connections whose dialogue had begun and that have ended.")
	c.notFTP = desc("sessions_not_ftp_total", "Connections to a control port that turned out not to be FTP.")
	c.passiveOff = desc("sessions_passive_off_total", "Sessions whose passive replies are not believed any more.")
	c.unhelped = desc("sessions_unhelped_total", "Connections that there was no room for: see max_sessions.")
	c.unvouched = desc("sessions_unvouched_total", "Sessions that a crash would end, for want of a conntrack label.")
	c.authTLS = desc("auth_tls_total", "Times that AUTH was accepted, or turned into another command.")

	c.open = desc("pinholes_open", "Pinholes that are open and not yet used.")
	c.announced = desc("pinholes_announced_total", "Data connections that were announced.", "mode")
	c.opened = desc("pinholes_opened_total", "Pinholes that were opened.", "mode")
	c.used = desc("pinholes_used_total", "Pinholes whose connection came.", "mode")
	c.closed = desc("pinholes_closed_total", "Announcements that came to their end, whether or not they had a pinhole.", "reason")
	c.refused = desc("pinholes_refused_total", "Announcements that were not acted on.", "reason")
	c.missed = desc("pinholes_missed_total", "Data connections that nearly had a pinhole, by the setting that would have admitted them.", "reason")
	c.violations = desc("violations_total", "What no honest client or server does.", "reason")
	c.openSeconds = histogram{desc("pinhole_open_seconds", "How long pinholes were open, until their use was noticed."), 10, 28}

	c.packets = desc("packets_total", "Packets that were given a verdict.", "verdict")
	c.findings = desc("packet_findings_total", "Packets that something was wrong with, or that had to wait.", "finding")
	c.gaps = desc("gaps_total", "Times that bytes had gone by unseen.")
	c.verdictSeconds = histogram{desc("verdict_seconds", "How long packets waited for their verdict, from when they were read."), 2, 20}
	c.commitSeconds = histogram{desc("nft_commit_seconds", "How long transactions of nf_tables took."), 2, 20}
	c.changesRefused = desc("nft_changes_refused_total", "Changes that nf_tables refused.")
	c.overload = desc("overload_events_total", "Times that a limit was reached.")
	c.failures = desc("failure_events_total", "Times that the kernel would not do what was asked of it.")

	c.length = desc("queue_length", "Packets that wait for a verdict.", "queue")
	c.queueDropped = desc("queue_dropped_total", "Packets that the queue, or the socket of its reader, had no room for.", "queue", "full")
	c.overruns = desc("queue_overruns_total", "Times that the socket of a queue's reader had been full.", "queue")
	c.late = desc("queue_late_verdicts_total", "Verdicts that the kernel did not want any more, or refused.", "queue")
	c.unreadable = desc("queue_unreadable_total", "Messages of the kernel without a whole packet.", "queue")

	c.lost = desc("events_lost_total", "Events that the log had no room for.")
	c.tableRestored = desc("table_restored_total", "Times that another program had removed our table.")
	c.lineRestored = desc("accept_line_restored_total", "Times that the accept line was put back.")
	c.reloads = desc("config_reloads_total", "Configurations that were read again.", "result")
	c.reloaded = desc("config_last_reload_successful", "Whether the last configuration that was read is in force.")
	c.reloadTime = desc("config_last_reload_success_timestamp_seconds", "When the configuration in force was read.")
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.all {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	n, err := c.source.Numbers(context.Background())
	if err != nil { // a sum without one of the workers would seem to fall
		to <- prometheus.NewInvalidMetric(c.sessions, err)
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	durations := func(d histogram, h *alg.Histogram) {
		buckets, below := make(map[float64]uint64), uint64(0)
		for i, counted := range h.Counts {
			below += counted
			if i >= d.first && i <= d.last {
				buckets[h.Bound(i).Seconds()] = below
			}
		}
		to <- prometheus.MustNewConstHistogram(d.Desc, below, h.Sum.Seconds(), buckets)
	}

	gauge(c.build, 1, n.Version, runtime.Version())
	all := total(n.Workers)
	stats, tally, served := &all.Stats, &all.Tally, &all.Served
	for i, state := range alg.States {
		gauge(c.sessions, float64(tally.Sessions[i]), state)
	}
	count(c.started, tally.Started)
	count(c.ended, tally.Ended)
	count(c.notFTP, tally.NotFTP)
	count(c.passiveOff, tally.PassiveOff)
	count(c.unhelped, stats.Unhelped)
	count(c.unvouched, stats.Unvouched)
	count(c.authTLS, tally.AuthTLS)

	gauge(c.open, float64(stats.Open))
	for _, m := range []alg.Mode{alg.Active, alg.Passive} {
		count(c.announced, tally.Announced[m], m.String())
		count(c.opened, tally.Opened[m], m.String())
		count(c.used, tally.Used[m], m.String())
	}
	for _, by := range []struct {
		*prometheus.Desc
		kind   alg.Kind
		counts []uint64
	}{
		{c.closed, alg.PinholeClosed, tally.Closed[:]},
		{c.refused, alg.PinholeRefused, tally.Refused[:]},
		{c.missed, alg.PinholeMissed, tally.Missed[:]},
		{c.violations, alg.Violation, tally.Violations[:]},
	} {
		rest := uint64(0)
		for _, n := range by.counts {
			rest += n
		}
		for _, cause := range alg.Causes(by.kind) {
			count(by.Desc, by.counts[cause], cause.String())
			rest -= by.counts[cause]
		}
		count(by.Desc, rest, alg.Other.String())
	}
	durations(c.openSeconds, &tally.Open)

	count(c.packets, served.Accepted, "accepted")
	count(c.packets, served.Changed, "changed")
	count(c.packets, served.Dropped, "dropped")
	for finding, n := range map[string]uint64{
		"unreadable": stats.Unreadable, "checksum": stats.Checksum, "outside": stats.Outside, "astray": stats.Astray,
		"conflict": stats.Conflicts, "held": stats.Held, "no_room": stats.Unheld, "expired": stats.Expired,
	} {
		count(c.findings, n, finding)
	}
	count(c.gaps, stats.Lost)
	durations(c.verdictSeconds, &served.Verdicts)
	durations(c.commitSeconds, &served.Commits)
	count(c.changesRefused, stats.Failures)
	count(c.overload, tally.Overload)
	count(c.failures, tally.Failures)

	for _, w := range n.Workers {
		name := strconv.Itoa(int(w.Queue))
		count(c.overruns, w.Counts.Overruns, name)
		count(c.late, w.Counts.Late+w.Counts.Refused, name)
		count(c.unreadable, w.Counts.Unreadable+w.Counts.Nameless, name)
		for _, number := range []uint16{w.Queue, w.Guard} {
			if s, ok := n.Standings[number]; ok {
				name := strconv.Itoa(int(number))
				gauge(c.length, float64(s.Waiting), name)
				count(c.queueDropped, s.Dropped, name, "queue")
				count(c.queueDropped, s.UserDropped, name, "socket")
			}
		}
	}

	count(c.lost, n.EventsLost)
	count(c.tableRestored, n.TableRestored)
	count(c.lineRestored, n.LineRestored)
	count(c.reloads, n.Reloads.Loaded, "loaded")
	count(c.reloads, n.Reloads.Refused, "refused")
	ok := 1.0
	if n.Reloads.Failed {
		ok = 0
	}
	gauge(c.reloaded, ok)
	gauge(c.reloadTime, float64(n.Reloads.Last.UnixMilli())/1000)
}

// total adds up what is served as one number.
func total(workers []Worker) (all Worker) {
	for i := range workers {
		w := &workers[i]
		add(reflect.ValueOf(&all.Stats).Elem(), reflect.ValueOf(&w.Stats).Elem())
		add(reflect.ValueOf(&all.Tally).Elem(), reflect.ValueOf(&w.Tally).Elem())
		add(reflect.ValueOf(&all.Served).Elem(), reflect.ValueOf(&w.Served).Elem())
	}
	return all
}

// add adds every number of one value to that of another of the same type, so that none is
// left out that is counted one day.
func add(to, more reflect.Value) {
	switch to.Kind() {
	case reflect.Uint64:
		to.SetUint(to.Uint() + more.Uint())
	case reflect.Int64:
		to.SetInt(to.Int() + more.Int())
	case reflect.Array:
		for i := range to.Len() {
			add(to.Index(i), more.Index(i))
		}
	case reflect.Struct:
		for i := range to.NumField() {
			add(to.Field(i), more.Field(i))
		}
	default:
		panic("metrics: " + to.Type().String() + " is no number")
	}
}
