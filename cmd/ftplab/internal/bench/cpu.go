package bench

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// spent returns the CPU time of a process, all its threads together, those that have
// ended too: its clock is MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) in the kernel's
// posix-timers.h, which counts nanoseconds where /proc counts hundredths of a second.
func spent(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &t); err != nil {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// resident returns the bytes of a process that are in memory.
func resident(pid int) (uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "VmRSS:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseUint(strings.Fields(value)[0], 10, 64)
		return kib << 10, err
	}
	return 0, fmt.Errorf("reading the memory of process %d: there is no VmRSS: %w", pid, lines.Err())
}
