package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	cmd   *exec.Cmd      // nil: another process's
	alive io.WriteCloser // closing it ends the keeper
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
		return nil, errors.Join(err, alive.Close())
	}
	return &keeper{pid: cmd.Process.Pid, cmd: cmd, alive: alive}, nil
}

// owned tells the caller's own keeper from one that was found.
func (k *keeper) owned() bool { return k.cmd != nil }

// kill ends a keeper of our own, and with it every process of the lab.
func (k *keeper) kill() error {
	if !k.owned() || k.cmd.ProcessState != nil {
		return nil
	}
	if err := k.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end the keeper of the lab: %w", err)
	}
	return nil
}

// wait waits until the kernel has taken the lab away.
func (k *keeper) wait() error {
	if !k.owned() || k.cmd.ProcessState != nil {
		return nil
	}
	exit := (*exec.ExitError)(nil)
	if err := k.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("wait for the keeper of the lab: %w", err)
	}
	return nil
}

// Info describes a lab that stands on this machine.
type Info struct {
	Name   string
	Keeper int  // process id
	Owner  int  // process id of the program that made it
	Stale  bool // the owner is gone
}

// List returns the labs that stand on this machine, by name.
func List() ([]Info, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var infos []Info
	for _, file := range files {
		if i, ok := readInfo(filepath.Dir(file)); ok {
			infos = append(infos, i)
		}
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// readInfo reads one /proc/PID. A process that is gone by now is no keeper.
func readInfo(dir string) (i Info, ok bool) {
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return i, false
	}
	args := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	if len(args) != 5 || args[0] != keeperName || args[2] != keeperScript {
		return i, false
	}
	s, err := os.Stat(dir)
	if err != nil || s.Sys().(*syscall.Stat_t).Uid != 0 {
		return i, false
	}
	i.Name = args[3]
	i.Keeper, _ = strconv.Atoi(filepath.Base(dir))
	i.Owner, _ = strconv.Atoi(args[4])
	// An orphan has another parent. A keeper that was killed has no mounts.
	parent, state := readStat(dir)
	i.Stale = parent != i.Owner
	return i, state != "Z"
}

// readStat returns the parent and the state of a process (proc_pid_stat(5)).
func readStat(dir string) (parent int, state string) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0, ""
	}
	// The name, in parentheses, may contain anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return 0, ""
	}
	parent, _ = strconv.Atoi(fields[1])
	return parent, fields[0]
}

func findKeeper(name string) (*keeper, error) {
	infos, err := List()
	if err != nil {
		return nil, fmt.Errorf("look for lab %s: %w", name, err)
	}
	for _, i := range infos {
		if i.Name == name {
			return &keeper{pid: i.Keeper}, nil
		}
	}
	return nil, fmt.Errorf("no lab called %s stands here: %w", name, os.ErrNotExist)
}

// openNamespaces opens what onThread enters.
func (l *Lab) openNamespaces() (err error) {
	dir := fmt.Sprintf("/proc/%d/ns/", l.keeper.pid)
	if l.mnt, err = os.Open(dir + "mnt"); err != nil {
		return fmt.Errorf("open the mounts of lab %s: %w", l.Name, err)
	}
	if l.pid, err = os.Open(dir + "pid"); err != nil {
		return fmt.Errorf("open the processes of lab %s: %w", l.Name, err)
	}
	return nil
}

func (l *Lab) openHosts() (err error) {
	for name, h := range l.hosts {
		if h.net, err = os.Open(l.Path(netnsDir + name)); err != nil {
			return fmt.Errorf("open the network of %s: %w", name, err)
		}
	}
	return nil
}
