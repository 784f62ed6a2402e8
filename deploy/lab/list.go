package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long an owner may take to end.
const patience = 5 * time.Second

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

// readInfo reads one /proc/PID. A process that has ended has no command line.
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
	i.Stale = parent(dir) != i.Owner // an orphan has another parent
	return i, true
}

// parent returns the parent of a process (proc_pid_stat(5)), or 0.
func parent(dir string) int {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0
	}
	// The second field, a name in parentheses, may contain anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	pid, _ := strconv.Atoi(fields[1])
	return pid
}

// End asks the owner of a lab to end, with SIGTERM, and waits until the lab is gone.
// An owner that does not, or is no more, has its lab taken away.
func (i Info) End(ctx context.Context) error {
	if !i.Stale {
		if err := syscall.Kill(i.Owner, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end process %d, the owner of lab %s: %w", i.Owner, i.Name, err)
		}
		patient, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if i.awaitEnd(patient) == nil {
			return nil
		}
	}
	if err := syscall.Kill(i.Keeper, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end process %d, the keeper of lab %s: %w", i.Keeper, i.Name, err)
	}
	if err := i.awaitEnd(ctx); err != nil {
		return fmt.Errorf("waiting for the end of lab %s: %w", i.Name, err)
	}
	return nil
}

func (i Info) awaitEnd(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if now, ok := readInfo(fmt.Sprintf("/proc/%d", i.Keeper)); !ok || now.Name != i.Name {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
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
	return nil, absentError(name)
}

// absentError says that no lab of this name stands here. It wraps os.ErrNotExist, whose text
// would say so again.
type absentError string

// Error implements error.
func (name absentError) Error() string {
	return fmt.Sprintf("no lab called %s stands here", string(name))
}

// Unwrap returns os.ErrNotExist.
func (absentError) Unwrap() error { return os.ErrNotExist }
