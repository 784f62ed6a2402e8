package daemon

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ftpalg/ftpalg/alg"
)

// savedName is the file in which a clean stop leaves the sessions, beside the control socket.
const savedName = "sessions"

// maxSaved bounds the file: a hundred thousand sessions take a fraction of it.
const maxSaved = 256 << 20

// saved is a session in the file.
type saved struct {
	Client, Server netip.AddrPort
	ID             uint32
	Data           []byte
}

// savedFile returns the file's name, or nothing where there is no place for it.
func (d *daemon) savedFile() string {
	if d.listener == nil { // another daemon may have the folder
		return ""
	}
	return filepath.Join(filepath.Dir(d.config.Socket), savedName)
}

// ours reports whether nobody but this daemon's user can have written a file, or put one in a folder.
func ours(i fs.FileInfo) bool {
	stat, ok := i.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && i.Mode().Perm()&0o022 == 0
}

// errNotOurs: what the file says would be believed.
var errNotOurs = errors.New("somebody else may have written it")

// save writes down the sessions of all workers, for the next daemon on this machine. It
// appears whole or not at all.
func (d *daemon) save(sessions []alg.Saved) error {
	name := d.savedFile()
	if name == "" {
		return nil
	}
	switch dir, err := os.Stat(filepath.Dir(name)); {
	case err != nil:
		return fmt.Errorf("writing down the sessions: %w", err)
	case !ours(dir): // there is no safe place for them
		d.log.Warn("the sessions are not written down", "folder", filepath.Dir(name), "error", errNotOurs)
		return nil
	}
	list := make([]saved, len(sessions))
	for i, s := range sessions {
		list[i] = saved{s.Flow.Client, s.Flow.Server, s.ID, s.Data}
	}
	f, err := os.CreateTemp(filepath.Dir(name), savedName+".*")
	if err != nil {
		return fmt.Errorf("writing down the sessions: %w", err)
	}
	err = errors.Join(gob.NewEncoder(f).Encode(list), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing down the sessions: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// loadSaved reads the sessions that the last daemon wrote down, and removes the file: they are
// good once. ok is false where there is none, as after a crash.
func (d *daemon) loadSaved() (list []saved, ok bool, err error) {
	name := d.savedFile()
	if name == "" {
		return nil, false, nil
	}
	// It may be a link, or a pipe that nobody writes to.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading the sessions of the last daemon: %w", err)
	}
	defer f.Close()
	if err := os.Remove(name); err != nil {
		return nil, false, fmt.Errorf("removing the sessions of the last daemon: %w", err)
	}
	file, err := f.Stat()
	dir, err2 := os.Stat(filepath.Dir(name))
	if err := errors.Join(err, err2); err != nil {
		return nil, false, fmt.Errorf("reading the sessions of the last daemon: %w", err)
	}
	if !file.Mode().IsRegular() || !ours(file) || !ours(dir) {
		return nil, false, fmt.Errorf("reading the sessions of the last daemon from %s: %w", name, errNotOurs)
	}
	if err := gob.NewDecoder(io.LimitReader(f, maxSaved)).Decode(&list); err != nil {
		return nil, false, fmt.Errorf("reading the sessions of the last daemon: %w", err)
	}
	return list, true, nil
}

// takeUp gives the sessions of the last daemon to the workers. Which queue a flow's packets
// come by is the kernel's choice, so every worker waits for all of them, and the first that
// meets one has it.
func (d *daemon) takeUp() {
	list, clean, err := d.loadSaved()
	if err != nil {
		d.log.Warn("no session of the last daemon is taken up exactly", "error", err)
	}
	if clean {
		for _, s := range list {
			d.resumable.saved[alg.Flow{Client: s.Client, Server: s.Server}] = alg.Saved{
				Flow: alg.Flow{Client: s.Client, Server: s.Server}, ID: s.ID, Data: s.Data,
			}
		}
		d.log.Info("sessions of the last daemon are taken up where they go on exactly", "sessions", len(list))
		return
	}
	if d.flows == nil {
		return
	}
	vouched, err := d.flows.Vouched()
	if err != nil {
		d.log.Warn("no session of the last daemon is taken up", "error", err)
		return
	}
	for _, f := range vouched {
		d.resumable.vouched[f] = true
	}
	if len(vouched) > 0 {
		d.log.Info("the last daemon crashed: its sessions are taken up for active mode", "sessions", len(vouched))
	}
}

// resumable are the sessions of the last daemon that have not gone on yet. It is safe for
// concurrent use; each flow is given out once.
type resumable struct {
	mu      sync.Mutex
	saved   map[alg.Flow]alg.Saved
	vouched map[alg.Flow]bool
}

func newResumable() *resumable {
	return &resumable{saved: make(map[alg.Flow]alg.Saved), vouched: make(map[alg.Flow]bool)}
}

// takeVouched reports whether a flow is vouched for, once.
func (r *resumable) takeVouched(f alg.Flow) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ok := r.vouched[f]
	delete(r.vouched, f)
	return ok
}

// takeSaved returns what was saved of a flow, once.
func (r *resumable) takeSaved(f alg.Flow) (alg.Saved, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.saved[f]
	delete(r.saved, f)
	return s, ok
}
