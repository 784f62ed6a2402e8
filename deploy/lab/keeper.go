package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// keeperName is the first word of a keeper's command line, and how labs are found.
const keeperName = "ftplab-keeper"

// keeperScript ends when the other end of its input is closed, which the kernel does
// when the owner ends, in whatever way. While it waits, the shell reaps the orphans of
// the lab. (A shell that reads by itself would end at the first orphan's SIGCHLD.)
const keeperScript = `exec 3<&0; cat <&3 & wait $!`

// keeper is the first process of a lab's process namespace. It owns the mounts.
type keeper struct {
	pid   int
	cmd   *exec.Cmd      // nil: another program's
	alive io.WriteCloser // closing it ends the keeper
	gone  chan struct{}  // closed when the kernel has taken the lab away
}

func startKeeper(name string) (*keeper, error) {
	cmd := exec.Command("/bin/sh")
	cmd.Args = []string{keeperName, "-c", keeperScript, name, strconv.Itoa(os.Getpid())}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:       true, // Ctrl-C is for the owner
		Cloneflags:   syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS, // makes mounts private, as Cloneflags would not
	}
	alive, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	k := &keeper{pid: cmd.Process.Pid, cmd: cmd, alive: alive, gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // however it ended: it has
		close(k.gone)
	}()
	return k, nil
}

// owned tells the caller's own keeper from one that was found.
func (k *keeper) owned() bool { return k.cmd != nil }

// kill ends a keeper of our own, and with it every process of the lab.
func (k *keeper) kill() error {
	if !k.owned() {
		return nil
	}
	if err := k.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the keeper of the lab: %w", err)
	}
	return nil
}

// openNamespaces opens what onThread enters.
func (l *Lab) openNamespaces() (err error) {
	dir := fmt.Sprintf("/proc/%d/ns/", l.keeper.pid)
	if l.mnt, err = os.Open(dir + "mnt"); err != nil {
		return fmt.Errorf("opening the mounts of lab %s: %w", l.Name, err)
	}
	if l.pid, err = os.Open(dir + "pid"); err != nil {
		return fmt.Errorf("opening the processes of lab %s: %w", l.Name, err)
	}
	return nil
}

func (l *Lab) openHosts() (err error) {
	for name, h := range l.hosts {
		if h.net, err = os.Open(l.Path(netnsDir + name)); err != nil {
			return fmt.Errorf("opening the network of %s: %w", name, err)
		}
	}
	return nil
}
