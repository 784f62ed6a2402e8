package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// within is how long after the last reply the last packet and the daemon's last event
// may come.
const within = 5 * time.Second

// Options are the choices of Run.
type Options struct {
	Daemon   string       // path of ftpalg
	Progress func(string) // is told what comes next; nil: nobody
	PcapDir  string       // directory for one capture file per place; empty: none
}

// Missing returns nil where Run can work, and otherwise says what lacks: the rights of
// root, or programs, by their Debian packages.
func Missing() error {
	errs := []error{lab.Available()}
	for _, program := range []string{"mount", "nft", "vsftpd", "lftp"} {
		errs = append(errs, lab.Require(program))
	}
	return errors.Join(errs...)
}

// Run builds a lab with the stateful firewall and ftpalg, runs the reference dialogue
// in it, takes the lab away, and tells what happened. An ended ctx ends it early, with
// ctx's error.
func Run(ctx context.Context, o Options) (_ *Story, err error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	o.Progress("building two networks with a firewall between them")
	l, err := lab.New(ctx, lab.Options{Ruleset: lab.Ruleset("stateful")})
	if err != nil {
		return nil, cause(ctx, err)
	}
	r := &run{Lab: l, Options: o}
	defer func() { err = cause(ctx, errors.Join(err, r.stop(), l.Close())) }()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	if err := r.play(ctx); err != nil {
		return nil, err
	}
	if err := r.settle(ctx, len(lab.Reference), r.captures[atClient]); err != nil {
		return nil, err
	}
	if err := r.stop(); err != nil { // what follows is not of the reference dialogue
		return nil, err
	}
	if err := r.masquerade(ctx); err != nil {
		return nil, err
	}
	o.Progress("reading what was captured")
	s, err := r.tell(ctx)
	if err != nil {
		return nil, err
	}
	return s, r.save()
}

// cause puts the end of ctx in place of the errors that come of it.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// run is one run of the reference dialogue.
type run struct {
	*lab.Lab
	Options
	daemon   *lab.Daemon
	captures [places]*lab.Capture
	crossing [sides]*lab.Capture // of the masquerade
}

// begin starts the programs and the captures.
func (r *run) begin(ctx context.Context) (err error) {
	r.Progress("starting vsftpd on the server, ftpalg on the gateway")
	if _, err := r.StartVSFTPD(ctx, lab.VSFTPDOptions{}); err != nil {
		return err
	}
	if r.daemon, err = r.StartDaemon(ctx, lab.DaemonOptions{Binary: r.Daemon}); err != nil {
		return err
	}
	for at, from := range [places]struct {
		host *lab.Host
		name string
	}{{r.Client, "eth0"}, {r.Gateway, "inside"}, {r.Gateway, "outside"}} {
		if r.captures[at], err = from.host.Capture(from.name); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the captures.
func (r *run) stop() error {
	var errs []error
	for _, c := range slices.Concat(r.captures[:], r.crossing[:]) {
		if c != nil {
			errs = append(errs, c.Stop())
		}
	}
	return errors.Join(errs...)
}

// play lets the programs act.
func (r *run) play(ctx context.Context) error {
	r.Progress("the detour: two probes that the server refuses")
	for i := range uint16(2) {
		if err := r.detour(ctx, 49160+i, 33440+i); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	knocked := make(chan error, 1)
	go func() { knocked <- r.knock(ctx) }()
	err := r.dialogue(ctx)
	cancel(errNoCommand)
	if err = errors.Join(err, <-knocked); err != nil {
		return err
	}
	return r.checkFiles()
}

// errNoCommand says why nobody has knocked.
var errNoCommand = errors.New("the gateway has not seen the transfer's command")

// dialogue runs the reference dialogue.
func (r *run) dialogue(ctx context.Context) error {
	for _, s := range lab.Reference {
		r.Progress("with lftp: " + strings.ToLower(s.Title))
		if err := r.lftp(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) lftp(ctx context.Context, s lab.Script) error {
	c := r.Client.LFTP(ctx, s.Commands)
	c.SysProcAttr = apart()
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s with lftp: %w: %s\nthe daemon's log:\n%s", s.Title, err, out, r.daemon.Log())
	}
	return nil
}

// apart keeps the terminal's Ctrl-C from a program: it is for us to end it.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// checkFiles compares what was transferred with what should have been.
func (r *run) checkFiles() error {
	for path, want := range map[string]string{
		r.Client.Home() + "/R1.cfg": lab.R1,
		lab.ServerFiles + "/R3.cfg": lab.R3,
	} {
		got, err := os.ReadFile(r.Path(path))
		if err != nil {
			return fmt.Errorf("look at what was transferred: %w", err)
		}
		if string(got) != want {
			return fmt.Errorf("%s arrived as %q", path, got)
		}
	}
	return nil
}

// settle waits until every captured connection is closed at both ends, and the daemon has
// told the end of so many sessions.
func (r *run) settle(ctx context.Context, sessions int, captured *lab.Capture) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	ended := map[uint64]bool{}
	_, err := r.daemon.AwaitEvent(ctx, func(e lab.Event) bool {
		if e.Event == "session.end" {
			ended[e.Session] = true
		}
		return len(ended) == sessions
	})
	if err != nil {
		return err
	}
	for !closed(lab.Connections(captured.Packets())) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the end of the connections: %w", ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// closed reports whether both ends of each connection have said so and heard it, or one
// has broken it off.
func closed(conns []lab.Connection) bool {
	for _, c := range conns {
		said, last := map[bool]bool{}, c.Segments[len(c.Segments)-1]
		for _, s := range c.Segments {
			said[s.Initiator] = said[s.Initiator] || s.FIN
		}
		if !last.RST && (!said[true] || !said[false] || last.FIN) {
			return false
		}
	}
	return true
}

// save writes the captures, one file for each place. A file that could not be written
// whole is not left.
func (r *run) save() error {
	if r.PcapDir == "" {
		return nil
	}
	if err := os.MkdirAll(r.PcapDir, 0o755); err != nil {
		return fmt.Errorf("making the directory of the captures: %w", err)
	}
	files := map[string]*lab.Capture{"masquerade-client": r.crossing[ofClient], "masquerade-server": r.crossing[ofServer]}
	for at, c := range r.captures {
		files[names[at]] = c
	}
	for name, c := range files {
		var b bytes.Buffer
		if err := c.WritePcapNG(&b); err != nil {
			return err
		}
		path := filepath.Join(r.PcapDir, name+".pcapng")
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return errors.Join(fmt.Errorf("writing a capture: %w", err), os.Remove(path))
		}
	}
	return nil
}
