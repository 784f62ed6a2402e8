package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrNotRoot says that the caller may not create namespaces.
var ErrNotRoot = errors.New("the lab needs root: it creates network, mount and process namespaces")

// Available returns nil where New can work, and otherwise says why not.
func Available() error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	return nil
}

// Options are the choices of New. The zero value is a lab with open routing and
// without any program running in it.
type Options struct {
	Name    string   // by which others find it; empty: made up, and unique
	Ruleset string   // text for the gateway's nftables; see Ruleset
	NAT     []string // of NATs: how the gateway translates addresses; empty: it does not
}

// Lab is two networks and the hosts on them. Its methods are safe for concurrent use.
type Lab struct {
	Name string

	Client    *Host // 10.1.4.4, the FTP client of the reference dialogue
	Neighbour *Host // 10.1.4.5, another host on the client's network
	Router    *Host // between lan and transit
	Gateway   *Host // between transit ("inside") and outside ("outside"): the firewall
	Server    *Host // 10.2.5.5, the FTP server
	Outsider  *Host // 10.2.5.66, another host on the server's network

	keeper   *keeper
	hosts    map[string]*Host
	mnt, pid *os.File

	closing sync.Once
	closed  error

	mu      sync.Mutex
	running map[*Cmd]struct{}
	serial  atomic.Uint64
}

var labs atomic.Uint64

// New builds a lab. Close takes it away; so does the end of the calling process.
// Errors that come from missing rights satisfy errors.Is(err, ErrNotRoot).
func New(ctx context.Context, o Options) (l *Lab, err error) {
	if err := Available(); err != nil {
		return nil, err
	}
	for _, name := range o.NAT {
		if !slices.Contains(NATs, name) {
			return nil, fmt.Errorf("there is no NAT %q; there are %s", name, strings.Join(NATs, ", "))
		}
	}
	if o.Name == "" {
		o.Name = fmt.Sprintf("%d-%d", os.Getpid(), labs.Add(1))
	} else if _, err := findKeeper(o.Name); err == nil {
		return nil, fmt.Errorf("a lab called %s stands already: %w", o.Name, os.ErrExist)
	}
	k, err := startKeeper(o.Name)
	if errors.Is(err, os.ErrPermission) {
		err = fmt.Errorf("%w, with CAP_SYS_ADMIN, which some containers lack: %w", ErrNotRoot, err)
	}
	if err != nil {
		return nil, fmt.Errorf("starting the keeper of lab %s: %w", o.Name, err)
	}
	l = newLab(o.Name, k)
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
			l = nil
		}
	}()
	if err := l.openNamespaces(); err != nil {
		return l, err
	}
	if err := l.furnish(ctx); err != nil {
		return l, fmt.Errorf("setting up the files of lab %s: %w", o.Name, err)
	}
	if err := l.wire(); err != nil {
		return l, fmt.Errorf("setting up the network of lab %s: %w", o.Name, err)
	}
	if o.Ruleset != "" {
		if err := l.Gateway.LoadRuleset(ctx, o.Ruleset); err != nil {
			return l, err
		}
	}
	for _, name := range o.NAT {
		if err := l.Gateway.LoadRuleset(ctx, Ruleset(name)); err != nil {
			return l, err
		}
	}
	return l, nil
}

// Attach finds a lab that another process keeps. Closing it lets go of it and
// leaves it standing. An unknown name satisfies errors.Is(err, os.ErrNotExist).
func Attach(name string) (*Lab, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	k, err := findKeeper(name)
	if err != nil {
		return nil, err
	}
	l := newLab(name, k)
	if err := errors.Join(l.openNamespaces(), l.openHosts()); err != nil {
		return nil, errors.Join(fmt.Errorf("attaching to lab %s: %w", name, err), l.Close())
	}
	return l, nil
}

func newLab(name string, k *keeper) *Lab {
	l := &Lab{Name: name, keeper: k, hosts: map[string]*Host{}, running: map[*Cmd]struct{}{}}
	for _, name := range hostNames {
		l.hosts[name] = &Host{Name: name, lab: l}
	}
	l.Client, l.Neighbour = l.hosts["client"], l.hosts["neighbour"]
	l.Router, l.Gateway = l.hosts["router"], l.hosts["gateway"]
	l.Server, l.Outsider = l.hosts["server"], l.hosts["outsider"]
	l.addresses()
	return l
}

// Host returns the host of that name, or nil.
func (l *Lab) Host(name string) *Host {
	if name == switchName {
		return nil
	}
	return l.hosts[name]
}

// Path returns where the caller's own file system shows the lab's file p. It is
// good while the lab stands.
func (l *Lab) Path(p string) string {
	return fmt.Sprintf("/proc/%d/root%s", l.keeper.pid, p)
}

// Done is closed when the lab is gone: closed, or ended from outside. For a lab of
// another program it is nil.
func (l *Lab) Done() <-chan struct{} { return l.keeper.gone }

// Close ends every process of the lab and takes everything away. It waits until
// that is done. Further calls do nothing and return the same.
func (l *Lab) Close() error {
	l.closing.Do(func() { l.closed = l.close() })
	return l.closed
}

func (l *Lab) close() error {
	err := l.keeper.kill()
	if l.keeper.owned() {
		// The namespace ends when every process in it has been waited for, those
		// that the caller started and forgot among them.
		for _, c := range l.started() {
			_ = c.Wait()
		}
		<-l.keeper.gone
		_ = l.keeper.alive.Close()
	}
	for _, f := range append(l.networks(), l.mnt, l.pid) {
		_ = f.Close() // a nil file says so, and that is all
	}
	return err
}

// networks returns what openHosts or makeHosts opened, nil where they did not.
func (l *Lab) networks() []*os.File {
	var files []*os.File
	for _, h := range l.hosts {
		files = append(files, h.net)
	}
	return files
}

// started returns the programs that nobody has waited for.
func (l *Lab) started() []*Cmd {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.running))
}
