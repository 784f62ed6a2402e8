package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

const logDir = "/run/log"

// startWithin is how long a program may take until it is ready.
const startWithin = 20 * time.Second

// pollEvery is how often the waits of this package look.
const pollEvery = 2 * time.Millisecond

// Process is a program that runs in the background on a host of the lab. What it
// writes goes to a file of the lab. It ends with the lab, if not before. Its methods
// are safe for concurrent use.
type Process struct {
	Host    *Host
	LogFile string // as the lab's programs see it

	name   string
	cmd    *Cmd
	log    *os.File
	exited chan struct{}
}

// start starts c in the background. It gets a session of its own: Ctrl-C on the
// caller's terminal is the caller's to handle.
func (l *Lab) start(c *Cmd, name string) (*Process, error) {
	p := &Process{Host: c.host, name: name, cmd: c, exited: make(chan struct{})}
	p.LogFile = fmt.Sprintf("%s/%s-%d.log", logDir, name, l.serial.Add(1))
	var err error
	if p.log, err = os.OpenFile(l.Path(p.LogFile), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644); err != nil {
		return nil, fmt.Errorf("making the log of %s: %w", name, err)
	}
	c.Stdout, c.Stderr = p.log, p.log
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s on %s: %w", name, c.host.Name, err), p.log.Close())
	}
	go func() {
		_ = c.Wait()
		close(p.exited)
	}()
	return p, nil
}

// PID returns the process id, as the caller sees it.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log returns what the program has written so far, also after its end.
func (p *Process) Log() string {
	text, _ := io.ReadAll(io.NewSectionReader(p.log, 0, 1<<62))
	return string(text)
}

// Signal sends a signal to the program. One that has ended is no error.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v to %s: %w", sig, p.name, err)
	}
	return nil
}

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Wait waits for the end of the program, or of ctx, and returns nil after exit
// status 0, an *exec.ExitError after another, and ctx's error if that ends first.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.exited:
		return p.cmd.Wait()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the end of %s: %w", p.name, ctx.Err())
	}
}

// Stop sends SIGTERM and waits as Wait does.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	return nil
}

// begin waits until the program is ready, and kills one that does not get there.
func (p *Process) begin(ctx context.Context, what string, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := p.await(ctx, what, ready); err != nil {
		return errors.Join(err, p.Kill())
	}
	return nil
}

// await looks again and again until ready says true or an error, the program ends, or ctx does.
func (p *Process) await(ctx context.Context, what string, ready func() (bool, error)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		ok, err := ready()
		if ok && err == nil {
			return nil
		}
		if err == nil {
			select {
			case <-p.exited:
				err = ended(p.cmd.Wait())
			case <-ctx.Done():
				err = ctx.Err()
			case <-tick.C:
				continue
			}
		}
		return fmt.Errorf("waiting until %s %s: %w: %s", p.name, what, err, p.Log())
	}
}

func ended(err error) error {
	if err == nil {
		return errors.New("it ended with exit status 0")
	}
	return fmt.Errorf("it ended: %w", err)
}
