package daemon

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
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

// left is what a daemon leaves to the next one. In the file it stands behind its length, and
// before the marks: one byte that is 1 when a daemon has begun to take it up, and one for
// each session that is 1 once that session has gone on. What is without a mark when that
// daemon is killed is as it was.
type left struct {
	Sessions []saved
	Vouched  []vouched // not taken up since a crash
}

type saved struct {
	Client, Server netip.AddrPort
	ID             uint32
	Translated     bool
	Data           []byte
}

type vouched struct{ Client, Server netip.AddrPort }

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

// save writes down the sessions of all workers, and what has not gone on, for the next
// daemon on this machine. It appears whole or not at all.
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
	f, err := os.CreateTemp(filepath.Dir(name), savedName+".*")
	if err != nil {
		return fmt.Errorf("writing down the sessions: %w", err)
	}
	if d.flows != nil {
		d.resumable.prune(d.flows)
	}
	text, err := d.resumable.leave(sessions)
	if err == nil {
		_, err = f.Write(text)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing down the sessions: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// openSaved opens what the last daemon left. It returns nil where there is nothing.
func (d *daemon) openSaved() (*os.File, error) {
	name := d.savedFile()
	if name == "" {
		return nil, nil
	}
	// It may be a link, or a pipe that nobody writes to.
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the sessions of the last daemon: %w", err), os.Remove(name))
	}
	file, err := f.Stat()
	dir, err2 := os.Stat(filepath.Dir(name))
	if err = errors.Join(err, err2); err == nil && (!file.Mode().IsRegular() || !ours(file) || !ours(dir)) {
		err = errNotOurs
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the sessions of the last daemon from %s: %w", name, err), f.Close(), os.Remove(name))
	}
	return f, nil
}

// takeUp gives the sessions of the last daemon to the workers. Which queue a flow's packets
// come by is the kernel's choice, so every worker waits for all of them, and the first that
// meets one has it.
func (d *daemon) takeUp() {
	f, err := d.openSaved()
	clean := false
	if f != nil {
		d.later(f.Close)
		if clean, err = d.resumable.load(f); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	if err != nil {
		d.log.Warn("no session of the last daemon is taken up exactly", "error", err)
	}
	if n := len(d.resumable.saved); n > 0 || clean {
		d.log.Info("sessions of the last daemon are taken up where they go on exactly", "sessions", n)
	}
	if d.flows == nil || clean && len(d.resumable.vouched) == 0 {
		d.resumable.vouched = nil
		return
	}
	now, err := d.flows.Vouched()
	if err != nil {
		d.resumable.vouched = nil
		d.log.Warn("no session of the last daemon is taken up", "error", err)
		return
	}
	if clean { // those that did not go on since the crash before
		maps.DeleteFunc(now, func(f alg.Flow, _ bool) bool { _, ok := d.resumable.vouched[f]; return !ok })
	}
	if d.resumable.vouched = now; len(now) > 0 {
		d.log.Info("a daemon crashed: its sessions are taken up for active mode", "sessions", len(now))
	}
}

// resumable are the sessions of the last daemon that have not gone on yet. It is safe for
// concurrent use; each flow is given out once.
type resumable struct {
	mu      sync.Mutex
	saved   map[alg.Flow]marked
	vouched map[alg.Flow]bool // whether it is translated
	file    *os.File          // nil: none
}

// marked is a session and the place of its mark in the file.
type marked struct {
	alg.Saved
	mark int64
}

func newResumable() *resumable { return &resumable{saved: make(map[alg.Flow]marked)} }

// leave returns the text of a file: with the sessions of the workers, and with what was not
// given out.
func (r *resumable) leave(sessions []alg.Saved) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.saved {
		sessions = append(sessions, s.Saved)
	}
	var l left
	for _, s := range sessions {
		l.Sessions = append(l.Sessions, saved{s.Flow.Client, s.Flow.Server, s.ID, s.Translated, s.Data})
	}
	for f := range r.vouched {
		l.Vouched = append(l.Vouched, vouched(f))
	}
	var text bytes.Buffer
	text.Write(make([]byte, lengthSize))
	if err := gob.NewEncoder(&text).Encode(l); err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint64(text.Bytes(), uint64(text.Len()-lengthSize))
	text.Write(make([]byte, 1+len(l.Sessions)))
	return text.Bytes(), nil
}

// lengthSize is the size of the length in the file.
const lengthSize = 8

// load reads a file, and keeps it for the marks. It reports whether the daemon that wrote it
// was the last one; if not, that one was killed.
func (r *resumable) load(f *os.File) (clean bool, err error) {
	text, err := io.ReadAll(io.LimitReader(f, maxSaved))
	if err != nil {
		return false, fmt.Errorf("reading the sessions of the last daemon: %w", err)
	}
	if len(text) < lengthSize || binary.BigEndian.Uint64(text) > uint64(len(text)-lengthSize) {
		return false, fmt.Errorf("reading the sessions of the last daemon: %w", io.ErrUnexpectedEOF)
	}
	at := lengthSize + int(binary.BigEndian.Uint64(text))
	var l left
	if err := gob.NewDecoder(bytes.NewReader(text[lengthSize:at])).Decode(&l); err != nil {
		return false, fmt.Errorf("reading the sessions of the last daemon: %w", err)
	}
	marks := text[at:]
	if len(marks) != 1+len(l.Sessions) {
		return false, fmt.Errorf("reading the sessions of the last daemon: %w", io.ErrUnexpectedEOF)
	}
	if _, err := f.WriteAt([]byte{1}, int64(at)); err != nil {
		return false, fmt.Errorf("marking the sessions of the last daemon: %w", err)
	}
	r.file = f
	for i, s := range l.Sessions {
		if flow := (alg.Flow{Client: s.Client, Server: s.Server}); marks[1+i] == 0 {
			r.saved[flow] = marked{alg.Saved{Flow: flow, ID: s.ID, Translated: s.Translated, Data: s.Data}, int64(at + 1 + i)}
		}
	}
	r.vouched = make(map[alg.Flow]bool, len(l.Vouched))
	for _, v := range l.Vouched {
		r.vouched[alg.Flow(v)] = false
	}
	return marks[0] == 0, nil
}

// takeVouched reports whether a flow is vouched for, once.
func (r *resumable) takeVouched(f alg.Flow) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.vouched[f]
	delete(r.vouched, f)
	return ok
}

// takeSaved returns what was saved of a flow, once. What cannot be marked in the file must
// not be found there again.
func (r *resumable) takeSaved(f alg.Flow) (alg.Saved, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.saved[f]
	if !ok {
		return alg.Saved{}, false
	}
	delete(r.saved, f)
	if r.file != nil {
		if _, err := r.file.WriteAt([]byte{1}, s.mark); err != nil {
			_ = os.Remove(r.file.Name())
			r.file = nil
		}
	}
	return s.Saved, true
}

// prune forgets the sessions whose connection is gone.
func (r *resumable) prune(flows alg.Flows) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.saved, func(f alg.Flow, s marked) bool { return gone(flows, f, s.ID) })
	maps.DeleteFunc(r.vouched, func(f alg.Flow, _ bool) bool { return gone(flows, f, 0) })
}

// gone reports whether a connection is known to be gone, or to be another: id is 0 where any
// will do.
func gone(flows alg.Flows, f alg.Flow, id uint32) bool {
	now, ok, err := flows.ID(f)
	return err == nil && (!ok || id != 0 && now != id)
}

// translated reports whether there are sessions that are translated, and live.
func (r *resumable) translated(flows alg.Flows) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for f, s := range r.saved {
		if s.Translated && !gone(flows, f, s.ID) {
			return true
		}
	}
	for f, translated := range r.vouched {
		if translated && !gone(flows, f, 0) {
			return true
		}
	}
	return false
}
