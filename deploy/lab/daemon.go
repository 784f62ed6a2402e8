package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// DaemonOptions are the choices of StartDaemon.
type DaemonOptions struct {
	Binary string   // path of ftpalg
	Config string   // TOML; empty: the program's defaults
	Host   *Host    // nil: the gateway
	Env    []string // KEY=value, on top of the lab's
}

// Daemon is a running ftpalg.
type Daemon struct{ *Process }

// StartDaemon runs `ftpalg run` and waits until it says READY=1 (sd_notify(3)), at most
// as long as ctx. One that ends before yields an error with its log. Its control socket is at the default
// place, in the lab's own /run, and the lab's shells find the program as "ftpalg".
func (l *Lab) StartDaemon(ctx context.Context, o DaemonOptions) (*Daemon, error) {
	if o.Host == nil {
		o.Host = l.Gateway
	}
	binary, err := lookPath(o.Binary)
	if err != nil {
		return nil, fmt.Errorf("starting ftpalg: %w", err)
	}
	// For a person in the lab's shell. A second daemon finds it in place.
	if err := os.Symlink(binary, l.Path(binDir+"/ftpalg")); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("making ftpalg known in the lab: %w", err)
	}
	n := l.serial.Add(1)
	config, socket := fmt.Sprintf("%s/ftpalg-%d.toml", o.Host.Home(), n), fmt.Sprintf("/run/lab/notify-%d", n)
	if err := os.WriteFile(l.Path(config), []byte(o.Config), 0o644); err != nil {
		return nil, fmt.Errorf("writing the configuration of ftpalg: %w", err)
	}
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: l.Path(socket), Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listening for the daemon's readiness: %w", err)
	}
	defer notify.Close()

	c := o.Host.Command(context.WithoutCancel(ctx), binary, "run", "--config", config)
	c.Env = append(append(c.Env, "NOTIFY_SOCKET="+socket), o.Env...)
	p, err := l.start(c, "ftpalg")
	if err != nil {
		return nil, err
	}
	if err := p.begin(ctx, "is ready", func() (bool, error) { return notified(notify) }); err != nil {
		return nil, err
	}
	return &Daemon{p}, nil
}

// notified reports whether READY=1 has come, waiting for it a moment.
func notified(notify *net.UnixConn) (bool, error) {
	buf := make([]byte, 4096)
	if err := notify.SetReadDeadline(time.Now().Add(pollEvery)); err != nil {
		return false, err
	}
	for {
		n, err := notify.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		for line := range strings.Lines(string(buf[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				return true, nil
			}
		}
	}
}

// Event is one line of the daemon's log that reports an event.
type Event struct {
	Time       time.Time      `json:"time"`
	Event      string         `json:"event"`
	Session    uint64         `json:"session"`
	Client     netip.AddrPort `json:"client"`
	Server     netip.AddrPort `json:"server"`
	Reason     string         `json:"reason"`
	Error      string         `json:"error"`
	Mode       string         `json:"mode"`
	Source     netip.Addr     `json:"source"`
	SourcePort Ports          `json:"source_port"`
	Address    netip.Addr     `json:"address"`
	Port       uint16         `json:"port"`

	// Where addresses are translated: see package event of the daemon.
	OutsideClient  netip.AddrPort `json:"outside_client"`
	OutsideServer  netip.AddrPort `json:"outside_server"`
	OutsideAddress netip.Addr     `json:"outside_address"`
	OutsidePort    uint16         `json:"outside_port"`
	OutsideSource  netip.Addr     `json:"outside_source"`

	OpenedAt time.Time     `json:"opened_at"`
	Lifetime time.Duration `json:"-"` // how long the firewall admitted the connection
	Used     bool          `json:"used"`
	Packets  uint64        `json:"packets"`
	Bytes    uint64        `json:"bytes"`
}

// gathers is more than the time for which a daemon gathers events before it logs them.
const gathers = 200 * time.Millisecond

// Events returns the events that have happened so far. It gives the daemon the time to log
// them; who waits for one that is still to come uses AwaitEvent.
func (d *Daemon) Events() []Event {
	time.Sleep(gathers)
	return d.logged()
}

// logged returns the events in the log. Lines that are none are left out.
func (d *Daemon) logged() []Event {
	var events []Event
	for line := range strings.Lines(d.Log()) {
		var e struct {
			Event
			Lifetime string `json:"lifetime"`
		}
		if json.Unmarshal([]byte(line), &e) != nil || e.Event.Event == "" {
			continue
		}
		e.Event.Lifetime, _ = time.ParseDuration(e.Lifetime)
		events = append(events, e.Event)
	}
	return events
}

// AwaitEvent waits until the daemon has logged an event for which match is true,
// and returns the first such.
func (d *Daemon) AwaitEvent(ctx context.Context, match func(Event) bool) (found Event, err error) {
	err = d.await(ctx, "logs the event", func() (bool, error) {
		for _, e := range d.logged() {
			if match(e) {
				found = e
				return true, nil
			}
		}
		return false, nil
	})
	return found, err
}
